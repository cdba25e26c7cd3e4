//! What goes wrong, and whether the connection survives it.

use isogrid_core::{Error, ErrorCode};
use isogrid_query::pg::Refused;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The client is told, and may go on.
    Refused(Refused),
    /// The client is told, and the connection ends.
    Fatal(Refused),
    /// There is nobody to tell.
    Gone,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Fault::Refused(refused)
    }
}

impl From<std::io::Error> for Fault {
    fn from(_: std::io::Error) -> Self {
        Fault::Gone
    }
}

/// A refusal of this door: a SQLSTATE and what is wrong.
pub(crate) fn refused(state: &'static str, detail: impl Into<String>) -> Refused {
    Refused { state, error: Error::new(ErrorCode::QueryInvalid, detail) }
}

/// What ends a connection: bytes that are not the protocol.
pub(crate) fn broken(detail: impl Into<String>) -> Fault {
    Fault::Fatal(Refused { state: "08P01", error: Error::new(ErrorCode::FrameMalformed, detail) })
}

/// The node ends.
pub(crate) fn stopping() -> Fault {
    let error = Error::new(ErrorCode::ShuttingDown, "the connection ends with the node");
    Fault::Fatal(Refused { state: "57P01", error })
}
