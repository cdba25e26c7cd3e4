//! The options that set configuration keys: `start` obeys them, `config` explains them.

use std::env;
use std::path::PathBuf;

use clap::Args;
use isogrid_core::{Error, Result};
use isogrid_node::config::{FileSource, FlagSource, Loaded, Sources, check, environment, load};

use crate::exit::{Failure, wrong_argument};

/// The options that set configuration keys.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SettingArgs {
    /// The configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "ISOGRID_CONFIG")]
    config: Option<PathBuf>,

    /// The name of the node [node.name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Where clients and peers connect [node.grpc_addr]
    #[arg(long, value_name = "HOST:PORT")]
    grpc_addr: Option<String>,

    /// Where other members reach this one [node.gossip_addr]
    #[arg(long, value_name = "HOST:PORT")]
    gossip_addr: Option<String>,

    /// Where health, figures and the API are served over HTTP [node.http_addr]
    #[arg(long, value_name = "HOST:PORT")]
    http_addr: Option<String>,

    /// Where PostgreSQL's clients connect [node.pg_addr]
    #[arg(long, value_name = "HOST:PORT")]
    pg_addr: Option<String>,

    /// The folder of what must survive a restart [node.data_dir]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,

    /// Set any configuration key; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl SettingArgs {
    /// Nothing is said but where the file is.
    pub(crate) fn of_file(config: Option<PathBuf>) -> Self {
        SettingArgs { config, ..SettingArgs::default() }
    }

    /// The configuration that applies, with the origin of each value.
    pub(crate) fn load(&self) -> std::result::Result<Loaded, Failure> {
        Ok(load(&self.sources(self.file()?)?)?)
    }

    /// The same, with everything that is wrong. The outer error is one of the command line itself.
    pub(crate) fn check(
        &self,
    ) -> std::result::Result<std::result::Result<Loaded, Vec<Error>>, Failure> {
        match self.file() {
            Ok(file) => Ok(check(&self.sources(file)?)),
            Err(error) => {
                // The other layers are checked all the same.
                let others = check(&self.sources(None)?);
                Ok(Err([vec![error], others.err().unwrap_or_default()].concat()))
            }
        }
    }

    /// The configuration file, if one is named.
    pub(crate) fn path(&self) -> Option<&PathBuf> {
        self.config.as_ref()
    }

    fn file(&self) -> Result<Option<FileSource>> {
        self.config.as_deref().map(FileSource::read).transpose()
    }

    fn sources(&self, file: Option<FileSource>) -> std::result::Result<Sources, Failure> {
        // A variable that is not UTF-8 is no less an error for being unreadable: it is checked with what can be read.
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let environment = env::vars_os()
            .map(|(name, value)| (lossy(name), lossy(value)))
            .filter(|(name, _)| name.starts_with(environment::PREFIX))
            .collect();
        Ok(Sources { file, environment, flags: self.flags()? })
    }

    fn flags(&self) -> std::result::Result<Vec<FlagSource>, Failure> {
        let named = [
            ("--name", "node.name", &self.name),
            ("--grpc-addr", "node.grpc_addr", &self.grpc_addr),
            ("--gossip-addr", "node.gossip_addr", &self.gossip_addr),
            ("--http-addr", "node.http_addr", &self.http_addr),
            ("--pg-addr", "node.pg_addr", &self.pg_addr),
            ("--data-dir", "node.data_dir", &self.data_dir),
        ];
        let mut flags: Vec<FlagSource> = named
            .into_iter()
            .filter_map(|(flag, key, value)| Some((flag, key, value.clone()?)))
            .map(|(flag, key, value)| FlagSource { flag: flag.into(), key: key.into(), value })
            .collect();
        for pair in &self.set {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| wrong_argument(format!("--set {pair:?} is not KEY=VALUE")))?;
            flags.push(FlagSource {
                flag: "--set".into(),
                key: key.trim().into(),
                value: value.into(),
            });
        }
        Ok(flags)
    }
}
