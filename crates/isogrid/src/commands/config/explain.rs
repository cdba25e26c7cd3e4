//! `isogrid config explain [KEY]`: the value that applies, and which layers set it.

use clap::Args;
use isogrid_core::{Error, ErrorCode};
use isogrid_node::config::keys::{find, map_and_setting, suggestion};
use isogrid_node::config::{Key, Loaded, MAP_DEFAULT, Origin, Setting, environment};
use serde_json::{Value, json};

use crate::commands::settings::SettingArgs;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print, print_json, print_table, table};

/// Which key, under which settings.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The key, such as node.grpc_addr or maps.orders.eviction
    key: Option<String>,

    #[command(flatten)]
    settings: SettingArgs,
}

pub(super) fn run(args: &ExplainArgs, format: Format) -> CommandResult {
    let loaded = args.settings.load()?;
    match &args.key {
        Some(name) => one(name, &loaded, format)?,
        None => all(&loaded, format)?,
    }
    Ok(Exit::Ok)
}

fn all(loaded: &Loaded, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        return print_json(&origins(loaded));
    }
    let mut rows = table(&["key", "value", "origin"]);
    for (name, layers) in &loaded.origins {
        if let Some(setting) = layers.last() {
            rows.add_row([name.clone(), setting.show(), setting.origin.to_string()]);
        }
    }
    print_table(&rows)
}

/// Every key with its value, and which layers set it.
pub(crate) fn origins(loaded: &Loaded) -> Value {
    loaded.origins.iter().filter_map(|(name, layers)| object(name, layers)).collect()
}

fn one(name: &str, loaded: &Loaded, format: Format) -> Result<(), Failure> {
    let key = find(name).ok_or_else(|| unknown(name))?;
    let layers = layers_of(name, key, loaded);
    if format == Format::Json {
        return print_json(&object(name, &layers));
    }
    let applies = layers.last();
    let mut lines = vec![
        format!("{name} = {}", applies.map_or("-".into(), Setting::show)),
        String::new(),
        format!("  {}", key.doc),
        String::new(),
        format!("  allowed:     {}", key.kind.allowed()),
        format!("  origin:      {}", applies.map_or("default".into(), |s| s.origin.to_string())),
        format!("  environment: {}", environment::variable_of(name)),
        "  layers:      (the last one applies)".into(),
    ];
    for setting in &layers {
        let Setting { origin, .. } = setting;
        let place = match origin {
            Origin::Default => String::new(),
            _ => format!("  ({origin})"),
        };
        lines.push(format!("    {:<12} {}{place}", origin.layer(), setting.show()));
    }
    print(&(lines.join("\n") + "\n"))
}

/// The layers of a key. A map without a section of its own takes those of `[maps.default]`.
fn layers_of(name: &str, key: &Key, loaded: &Loaded) -> Vec<Setting> {
    let of_default = || {
        let (_, setting) = map_and_setting(name)?;
        loaded.origins.get(&format!("maps.{MAP_DEFAULT}.{setting}"))
    };
    let built_in = || vec![Setting { value: key.default_value(), origin: Origin::Default }];
    loaded.origins.get(name).or_else(of_default).cloned().unwrap_or_else(built_in)
}

fn object(name: &str, layers: &[Setting]) -> Option<Value> {
    let key: &Key = find(name)?;
    let applies = layers.last()?;
    let listed: Vec<Value> = layers
        .iter()
        .map(|setting| {
            json!({
                "layer": setting.origin.layer(),
                "origin": setting.origin.to_string(),
                "value": setting.value,
            })
        })
        .collect();
    Some(json!({
        "key": name,
        "value": applies.value,
        "origin": applies.origin.to_string(),
        "layer": applies.origin.layer(),
        "default": layers.first().and_then(|setting| setting.value.clone()),
        "layers": listed,
        "allowed": key.kind.allowed(),
        "environment": environment::variable_of(name),
        "doc": key.doc,
    }))
}

fn unknown(name: &str) -> Failure {
    let hint = suggestion(name).map(|meant| format!("; did you mean `{meant}`?"));
    let detail = format!("`{name}`{}", hint.unwrap_or_default());
    Failure::Error(Error::new(ErrorCode::ConfigKeyUnknown, detail))
}
