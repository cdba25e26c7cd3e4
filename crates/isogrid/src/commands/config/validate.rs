//! `isogrid config validate`: everything that is wrong with a configuration, at once.

use serde_json::{Value, json};

use crate::commands::settings::SettingArgs;
use crate::exit::{CommandResult, Exit, text_of};
use crate::output::{Format, print, print_json, tell};

pub(super) fn run(args: &SettingArgs, format: Format) -> CommandResult {
    let problems = args.check()?.err().unwrap_or_default();
    let exit = if problems.is_empty() { Exit::Ok } else { Exit::Usage };
    if format == Format::Json {
        let listed: Vec<Value> = problems
            .iter()
            .map(|error| json!({ "code": error.code().to_string(), "detail": error.detail() }))
            .collect();
        print_json(&json!({ "valid": problems.is_empty(), "problems": listed }))?;
        return Ok(exit);
    }
    for error in &problems {
        tell(text_of(error));
    }
    if exit == Exit::Ok {
        let what = match args.path() {
            Some(path) => format!("{}, the environment and the flags are", path.display()),
            None => "the environment and the flags are".into(),
        };
        print(&format!("{what} valid\n"))?;
    }
    Ok(exit)
}
