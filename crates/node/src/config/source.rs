//! The layers as plain data. The caller reads the file, the environment and the command line; everything behind this is
//! pure and can be tested without touching the process.

use std::fmt;
use std::path::{Path, PathBuf};

use isogrid_core::{Error, ErrorCode, Result};

use super::kind::Raw;

/// The text of a configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSource {
    /// Where it was read from; only shown.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl FileSource {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<FileSource> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(ErrorCode::ConfigUnreadable, format!("{}: {error}", path.display()))
        })?;
        Ok(FileSource { path: path.to_owned(), text })
    }
}

/// A key set by a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagSource {
    /// The flag, such as `--grpc-addr` or `--set`; only shown.
    pub flag: String,
    /// The key it sets.
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// All layers above the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The configuration file, if there is one.
    pub file: Option<FileSource>,
    /// The environment; variables that do not begin with `ISOGRID__` are ignored.
    pub environment: Vec<(String, String)>,
    /// The flags, later ones above earlier ones.
    pub flags: Vec<FlagSource>,
}

/// Where a value came from. The order is that of the layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing set it.
    Default,
    /// A line of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A flag.
    Flag {
        /// Its name.
        flag: String,
    },
}

impl Origin {
    /// The layer in one word.
    pub fn layer(&self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File { .. } => "file",
            Origin::Environment { .. } => "environment",
            Origin::Flag { .. } => "flag",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Environment { variable } => f.write_str(variable),
            Origin::Flag { flag } => f.write_str(flag),
        }
    }
}

/// A key as a layer sets it, not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The dotted key, such as `node.grpc_addr`.
    pub key: String,
    /// The value.
    pub raw: Raw,
    /// Where it stands.
    pub origin: Origin,
}

/// A checked value and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The value; `None` for an optional key that nothing set.
    pub value: Option<toml::Value>,
    /// Where it came from.
    pub origin: Origin,
}

impl Setting {
    /// The value as text: words without quotes, `-` for none.
    pub fn show(&self) -> String {
        match &self.value {
            None => "-".into(),
            Some(toml::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    }
}
