//! `isogrid support analyze BUNDLE`: what a bundle says of its cluster and its machine, without asking either.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::commands::doctor;
use crate::exit::CommandResult;
use crate::output::{Format, print, print_json};

/// A file of a bundle is no larger; one that is was not made by us.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Which bundle.
#[derive(Debug, Args)]
pub(crate) struct AnalyzeArgs {
    /// The .tar.gz that `isogrid support bundle` has written
    bundle: PathBuf,
}

/// The files of a bundle that say most.
#[derive(Default)]
struct Parts {
    manifest: Value,
    findings: Value,
    status: String,
}

pub(super) fn run(args: &AnalyzeArgs, format: Format) -> CommandResult {
    let unreadable = |error: Error| {
        let told = format!("cannot read {}: {error}", args.bundle.display());
        Error::new(error.kind(), told)
    };
    let parts = read(&args.bundle).map_err(unreadable)?;
    let Some((findings, exit)) = doctor::retold(&parts.findings) else {
        let why = Error::new(ErrorKind::InvalidData, "no findings are in it (doctor.json)");
        return Err(unreadable(why).into());
    };
    match format {
        Format::Json => {
            print_json(&json!({ "manifest": parts.manifest, "doctor": parts.findings }))?;
        }
        Format::Table => print(&format!("{}{}\n{findings}", head(&parts.manifest), parts.status))?,
    }
    Ok(exit)
}

/// When and of which cluster it was made, and what is not in it.
fn head(manifest: &Value) -> String {
    let text = |name: &str| manifest[name].as_str().unwrap_or("unknown");
    let (cluster, at, by) = (text("cluster"), text("made_at"), text("made_by"));
    let mut head = format!("cluster {cluster}, as it was at {at}, told by {by}\n");
    for missing in manifest["missing"].as_array().into_iter().flatten() {
        head.push_str(&format!("not in it: {}\n", missing.as_str().unwrap_or_default()));
    }
    head.push('\n');
    head
}

fn read(bundle: &Path) -> Result<Parts> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(bundle)?));
    let mut parts = Parts::default();
    for entry in archive.entries()? {
        let entry = entry?;
        let name = entry.path()?.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !["manifest.json", "doctor.json", "status.txt"].contains(&name.as_str()) {
            continue;
        }
        let mut text = String::new();
        entry.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        match name.as_str() {
            "manifest.json" => parts.manifest = serde_json::from_str(&text)?,
            "doctor.json" => parts.findings = serde_json::from_str(&text)?,
            _ => parts.status = text,
        }
    }
    Ok(parts)
}
