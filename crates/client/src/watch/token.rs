//! [`WatchToken`]: where a watch stands, partition by partition.

use std::collections::BTreeMap;

use bytes::Bytes;
use isogrid_core::PartitionId;

use crate::error::{Error, Result};

/// The length of a token's part for one partition.
const TOKEN_BYTES: usize = 16;

/// Where a watch stands: keep it, and a later watch goes on from there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchToken {
    pub(super) positions: BTreeMap<PartitionId, Bytes>,
}

impl WatchToken {
    /// The token as bytes, to be stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.positions.values().flat_map(|position| position.iter().copied()).collect()
    }

    /// A stored token.
    ///
    /// # Errors
    ///
    /// `DecodeFailed` if the bytes are not a token.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (positions, rest) = bytes.as_chunks::<TOKEN_BYTES>();
        if !rest.is_empty() {
            return Err(Error::decode(format!("{} bytes are no watch token", bytes.len())));
        }
        let mut token = WatchToken::default();
        positions.iter().for_each(|position| token.note(&Bytes::copy_from_slice(position)));
        Ok(token)
    }

    /// Goes behind an event.
    pub(super) fn note(&mut self, position: &Bytes) {
        if let Some(&[low, high]) = position.first_chunk::<2>()
            && position.len() == TOKEN_BYTES
        {
            let partition = PartitionId(u16::from_le_bytes([low, high]));
            self.positions.insert(partition, position.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(partition: u16, seq: u8) -> Bytes {
        let mut bytes = vec![0; TOKEN_BYTES];
        bytes[..2].copy_from_slice(&partition.to_le_bytes());
        bytes[8] = seq;
        bytes.into()
    }

    #[test]
    fn a_token_keeps_the_newest_position_of_each_partition() {
        let mut token = WatchToken::default();
        for (partition, seq) in [(1, 1), (300, 1), (1, 2)] {
            token.note(&position(partition, seq));
        }
        token.note(&Bytes::from_static(b"short"));
        let bytes = token.to_bytes();
        assert_eq!(bytes, [position(1, 2), position(300, 1)].concat());
        assert_eq!(WatchToken::from_bytes(&bytes).ok(), Some(token));
        assert!(WatchToken::from_bytes(&bytes[1..]).is_err());
    }
}
