//! Values that say themselves how they are written, as JSON or as MessagePack: their fields, and whether they fit the columns of a
//! map or a filter. Nothing here knows of tables or queries: nodes check with it what is written, and queries read with it what is there.
//!
//! | module | what it holds |
//! |---|---|
//! | `fields` | from a value's bytes to its fields |
//! | `cell` | [`Cell`]: one field of one value |
//! | `fold` | [`Fold`]: counts, sums and extremes of groups |
//! | `json` | anything, as JSON |
//! | `time` | points in time as text |
//! | `filter` | [`Filter`]: which records are meant |
//! | `live` | [`Members`] and [`Top`]: what a watch of some records shows |
//! | `order` | [`Order`]: any two fields stand to each other |
//! | `seen` | [`Wanted`]: some fields of a value, in one pass |
//! | `shape` | [`Shape`]: what the values of a map with columns must be |

mod cell;
mod fields;
mod filter;
mod fold;
mod json;
mod live;
mod order;
mod seen;
mod shape;
mod time;

pub use cell::{Cell, hex};
pub use fields::{Take, fields, has_fields, text};
pub use filter::{Comparison, Constant, Field, Filter, Predicate, col};
pub use fold::{Extent, Fold, Group};
pub use live::{Change, Members, Origin, Place, Top};
pub use order::Order;
pub use seen::{Found, Seen, Wanted, key_text};
pub use shape::Shape;
pub use time::millis;
