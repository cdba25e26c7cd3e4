//! `isogrid support bundle`: what was gathered, cleaned, as a .tar.gz that only its owner can read.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::gather::{Gathered, gather};
use super::redact::Redactor;
use crate::cli::Global;
use crate::commands::settings::SettingArgs;
use crate::connect::in_runtime;
use crate::exit::{CommandResult, Exit, Failure};
use crate::output::{Format, print, print_json, tell};

/// What goes in, and where to.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The file to write, which must not be there yet; by default its name has the cluster and the time
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// A log of a node, of which the end is taken; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) log: Vec<PathBuf>,

    /// Take along the beginning of keys of slow and hot operations: they are data of yours
    #[arg(long)]
    pub(super) with_keys: bool,

    #[command(flatten)]
    pub(super) settings: SettingArgs,
}

pub(super) fn run(args: &BundleArgs, global: &Global) -> CommandResult {
    in_runtime(async || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut redactor = Redactor::new(std::env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        }));
        let mut gathered = gather(args, &global.endpoint, &mut redactor).await;
        let out = args.out.clone().unwrap_or_else(|| name(&gathered.cluster, now));
        let manifest = json!({
            "made_at": time(now, "%Y-%m-%dT%H:%M:%SZ"),
            "made_by": concat!("isogrid ", env!("CARGO_PKG_VERSION")),
            "endpoint": global.endpoint,
            "cluster": gathered.cluster,
            "with_keys": args.with_keys,
            "files": gathered.files.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "missing": gathered.missing,
        });
        gathered.add_json("manifest.json", &manifest);
        for (_, text) in &mut gathered.files {
            *text = redactor.clean(text);
        }
        let missing: Vec<String> = gathered.missing.iter().map(|why| redactor.clean(why)).collect();
        let bytes = write(&out, &gathered, now).map_err(|error| unwritable(&out, &error))?;
        missing.iter().for_each(|why| tell(format!("not in it: {why}")));
        match global.output {
            Format::Json => print_json(&json!({
                "file": out, "bytes": bytes, "files": gathered.files.len(), "missing": missing,
            }))?,
            Format::Table => print(&format!("{}\n", out.display()))?,
        }
        Ok(if missing.is_empty() { Exit::Ok } else { Exit::Partial })
    })
}

fn name(cluster: &str, now: u64) -> PathBuf {
    let cluster = if cluster.is_empty() { "unknown" } else { cluster };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let cluster: String = cluster.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    PathBuf::from(format!("isogrid-support-{cluster}-{}.tar.gz", time(now, "%Y%m%d-%H%M%S")))
}

fn time(seconds: u64, format: &str) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    at.map(|at| at.format(format).to_string()).unwrap_or_default()
}

fn unwritable(out: &Path, error: &std::io::Error) -> Failure {
    let why = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "it is there already".to_owned(),
        _ => error.to_string(),
    };
    std::io::Error::new(error.kind(), format!("cannot write {}: {why}", out.display())).into()
}

/// Writes the archive; says how large it is. A file that was begun and cannot be finished is removed.
fn write(out: &Path, gathered: &Gathered, now: u64) -> std::io::Result<u64> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out)?;
    let folder = out.file_name().unwrap_or_default().to_string_lossy();
    let folder = folder.trim_end_matches(".gz").trim_end_matches(".tar").to_owned();
    let written = (|| {
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        for (name, text) in &gathered.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now);
            archive.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())?;
        }
        let mut file = archive.into_inner()?.finish()?;
        file.flush()?;
        Ok(file.metadata()?.len())
    })();
    if written.is_err() {
        // What was begun is of no use to anybody.
        let _ = std::fs::remove_file(out);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_has_the_cluster_and_the_time_in_its_name() {
        let name = name("my cluster/1", 1_700_000_000);
        let expected = "isogrid-support-my_cluster_1-20231114-221320.tar.gz";
        assert_eq!(name, PathBuf::from(expected));
    }
}
