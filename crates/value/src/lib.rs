//! Values that say themselves how they are written, as JSON or as MessagePack: their fields, and whether they fit the columns of a
//! map. Nothing here knows of tables or queries: nodes check with it what is written, and queries read with it what is there.
//!
//! | module | what it holds |
//! |---|---|
//! | `fields` | from a value's bytes to its fields |
//! | `cell` | [`Cell`]: one field of one value |
//! | `json` | anything, as JSON |
//! | `change` | from cells to values, and values with some of their fields changed |
//! | `time` | points in time as text |
//! | `shape` | [`Shape`]: what the values of a map with columns must be |

mod cell;
mod change;
mod fields;
mod json;
mod shape;
mod time;

pub use cell::{Cell, hex};
pub use change::{Field, object, with_fields};
pub use fields::{Take, fields, has_fields, text};
pub use shape::Shape;
pub use time::millis;
