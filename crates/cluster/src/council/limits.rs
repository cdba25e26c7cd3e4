//! How far the council's content can grow: every voter holds all of it in memory and in each snapshot. What would go
//! beyond is refused as [`OutOfBounds`](super::Refusal::OutOfBounds).

/// The most nodes, with those that are down.
pub const NODES_MAX: usize = 4_096;

/// The longest name of a node or zone, and the longest address, in bytes.
pub const TEXT_BYTES_MAX: usize = 255;

/// The most maps.
pub const MAPS_MAX: usize = 16_384;

/// The most sessions open at once.
pub const SESSIONS_OPEN_MAX: usize = 1 << 20;

/// The most sessions opened by one command.
pub const SESSIONS_OPENED_AT_ONCE_MAX: u32 = 4_096;
