//! Every bound of a connection.

use std::time::Duration;

/// How long a client may take from connecting to its first statement.
pub const STARTUP_MAX: Duration = Duration::from_secs(10);

/// The largest message before that.
pub const STARTUP_BYTES_MAX: usize = 10_000;

/// The largest message then: a statement may have a mebibyte, and values of parameters come beside it.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// How many bytes of an answer are gathered before they are sent.
pub const PIECE_BYTES: usize = 32 << 10;

/// How long a piece of an answer waits for a client that does not read.
pub const WRITE_MAX: Duration = Duration::from_secs(30);

/// How many bytes are read ahead while a statement runs.
pub const READ_AHEAD_BYTES: usize = 64 << 10;

/// How long a message may take from its first byte to its last.
pub const MESSAGE_MAX: Duration = Duration::from_secs(30);

/// How long the last words of a connection may take.
pub const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The most prepared statements of a connection.
pub const STATEMENTS_MAX: usize = 256;

/// The longest text of a prepared statement.
pub const STATEMENT_BYTES_MAX: usize = 256 << 10;

/// The most bytes that prepared statements and the values of open portals have together on one connection.
pub const HELD_BYTES_MAX: usize = 4 << 20;

/// How many bytes are counted for each of a prepared statement's text: its plan is larger than that.
pub const STATEMENT_WEIGHT: usize = 4;

/// The most portals of a connection.
pub const PORTALS_MAX: usize = 64;

/// How long the rest of a portal's rows waits for its client: a statement that waits keeps others out.
pub const SUSPENDED_MAX: Duration = Duration::from_secs(30);

/// The most columns of an answer: as many as PostgreSQL has.
pub const COLUMNS_MAX: usize = 1_664;

/// The most parameters of a statement.
pub const PARAMETERS_MAX: usize = 1_000;

/// The most settings of a session, and the longest of them.
pub const SETTINGS_MAX: usize = 128;
/// See [`SETTINGS_MAX`].
pub const SETTING_BYTES_MAX: usize = 1_024;
