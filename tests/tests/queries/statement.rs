//! [`Statement`]: a text of SQL for both sides, and how its answers are compared.

use crate::answer::{Comparison, Value};

/// A statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// What it is about.
    pub(crate) name: String,
    pub(crate) text: String,
    /// How SQLite says the same, where it has other words for it.
    pub(crate) in_sqlite: Option<String>,
    /// The values of `$1` and so on.
    pub(crate) parameters: Vec<Value>,
    pub(crate) comparison: Comparison,
}

impl Statement {
    /// One whose rows may come in any order.
    pub(crate) fn any(name: impl Into<String>, text: impl Into<String>) -> Statement {
        Statement {
            name: name.into(),
            text: text.into(),
            in_sqlite: None,
            parameters: Vec::new(),
            comparison: Comparison { is_ordered: false, is_exact: true },
        }
    }

    /// One that says in which order each of its rows comes.
    pub(crate) fn ordered(name: impl Into<String>, text: impl Into<String>) -> Statement {
        let mut statement = Statement::any(name, text);
        statement.comparison.is_ordered = true;
        statement
    }

    /// Its numbers are not exact.
    pub(crate) fn near(mut self) -> Statement {
        self.comparison.is_exact = false;
        self
    }

    /// SQLite has other words for it.
    pub(crate) fn in_sqlite(mut self, text: impl Into<String>) -> Statement {
        self.in_sqlite = Some(text.into());
        self
    }

    /// The next of its values.
    pub(crate) fn bind(mut self, value: Value) -> Statement {
        self.parameters.push(value);
        self
    }

    /// The text for SQLite.
    pub(crate) fn sqlite_text(&self) -> &str {
        self.in_sqlite.as_deref().unwrap_or(&self.text)
    }
}
