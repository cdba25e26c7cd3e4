//! The wire: what crosses the network, and its conversions to and from the vocabulary of the core.
//!
//! | module | what lives there |
//! |---|---|
//! | [`pb`] | code generated from `proto/isogrid/v1` |
//! | [`frame`] | the compact frame of a session: layout in docs/wire.md |
//! | [`operation`] | typed operations and replies to and from core |
//! | [`scalar`] | fields and groups to and from value |
//! | [`status`] | errors to and from their wire forms |
//! | [`trace`] | which operations are traced, to and from their wire forms |

pub mod frame;
pub mod operation;
pub mod scalar;
pub mod status;
pub mod trace;

/// Code generated from the contract in `proto/isogrid/v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod pb {
    tonic::include_proto!("isogrid.v1");

    /// The descriptors of the contract, for gRPC reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
