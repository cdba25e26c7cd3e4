//! `[log]`: what the node writes to its log.

use serde::{Deserialize, Serialize};

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// What the node writes to its log, which is standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// What is logged: a level, or a level for each part of the program, as in `warn,isogrid_node=debug`.
    pub level: String,
    /// How a line of the log looks: for people, or one JSON object per line.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info,openraft=warn,chitchat=warn".into(), format: LogFormat::Text }
    }
}
