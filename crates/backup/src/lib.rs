//! A backup of a cluster: what its objects are made of, what its manifest says, and how a chain of backups is read again.
//! Whoever takes or restores one brings the pieces and the runtime; docs/backup.md tells the format to a stranger.
//!
//! | module | what it does |
//! |---|---|
//! | [`block`] | blocks of records, versions and entries: compressed, with a checksum; objects are made of them |
//! | [`manifest`] | [`Manifest`]: what a backup has, where it cuts, and which one it builds on |
//! | [`collect`] | [`Collector`]: one partition on its way into a backup, up to the cut |
//! | [`place`] | [`Place`]: a folder or an object store |
//! | [`chain`] | a backup with all that it builds on |
//! | [`image`] | [`Image`]: the records of one partition at the cut |
//! | [`verify`] | looks at every byte |

pub mod block;
pub mod chain;
pub mod collect;
mod error;
pub mod image;
pub mod manifest;
pub mod place;
pub mod verify;

pub use chain::Chain;
pub use collect::Collector;
pub use error::{Error, Result};
pub use image::Image;
pub use manifest::Manifest;
pub use place::Place;
