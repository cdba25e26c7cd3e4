//! Leases of all partitions of a node pair in one message.
//!
//! A node that leads partitions beats to every node that holds backups of them. What it leads there, with the epochs, is a
//! numbered list that is sent again only when it changes. The other node answers which of the listed partitions it can
//! *not* vouch for, because it promised a higher epoch, and all others are as good as acknowledged one by one.

use std::collections::BTreeMap;

use isogrid_core::{Epoch, PartitionId, Replica};

use crate::time::Ticks;

/// What a node leads that another holds: partition and epoch, ascending.
pub type Claims = Vec<(PartitionId, Epoch)>;

/// A heartbeat from a node that leads to one that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The number of the list of claims.
    pub number: u64,
    /// The list, unless the other node has it.
    pub claims: Option<Claims>,
    /// The sender's clock.
    pub sent_at: Ticks,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeatAck {
    /// The list of claims it answers for.
    pub number: u64,
    /// Whether the other node has that list; if not, it answers for nothing.
    pub has_claims: bool,
    /// The partitions it cannot vouch for.
    pub excluded: Vec<PartitionId>,
    /// The clock in the beat.
    pub sent_at: Ticks,
}

/// The side that leads: its claims at one other node.
#[derive(Clone, Debug, Default)]
pub struct Claimant {
    number: u64,
    claims: Claims,
    is_known: bool,
}

impl Claimant {
    /// The next beat, if anything is claimed or the other node should forget what was.
    pub fn beat(&mut self, claims: Claims, now: Ticks) -> Option<Beat> {
        if claims != self.claims {
            self.number += 1;
            self.claims = claims;
            self.is_known = false;
        }
        if self.claims.is_empty() {
            return None;
        }
        let claims = (!self.is_known).then(|| self.claims.clone());
        Some(Beat { number: self.number, claims, sent_at: now })
    }

    /// The partitions that the answer vouches for, with their epochs.
    pub fn answered(&mut self, ack: &BeatAck) -> Claims {
        if ack.number != self.number {
            return Vec::new();
        }
        self.is_known = ack.has_claims;
        if !ack.has_claims {
            return Vec::new();
        }
        let vouched = |(partition, _): &&(PartitionId, Epoch)| !ack.excluded.contains(partition);
        self.claims.iter().filter(vouched).copied().collect()
    }
}

/// The side that follows: what other nodes claim.
#[derive(Clone, Debug, Default)]
pub struct Voucher {
    claims: BTreeMap<Replica, (u64, Claims)>,
}

impl Voucher {
    /// Answers a beat. `grant` is asked for each claim whether the replica here has promised nothing above the epoch, and
    /// notes that it was granted.
    pub fn answer(
        &mut self,
        from: &Replica,
        beat: Beat,
        mut grant: impl FnMut(PartitionId, Epoch) -> bool,
    ) -> BeatAck {
        if let Some(claims) = beat.claims {
            self.claims.insert(from.clone(), (beat.number, claims));
        }
        let known = self.claims.get(from).filter(|(number, _)| *number == beat.number);
        let excluded = known.map(|(_, claims)| {
            let refused = claims.iter().filter(|(partition, epoch)| !grant(*partition, *epoch));
            refused.map(|(partition, _)| *partition).collect()
        });
        BeatAck {
            number: beat.number,
            has_claims: excluded.is_some(),
            excluded: excluded.unwrap_or_default(),
            sent_at: beat.sent_at,
        }
    }

    /// Forgets what a node of an earlier life claimed.
    pub fn forget(&mut self, keep: impl Fn(&Replica) -> bool) {
        self.claims.retain(|from, _| keep(from));
    }
}

#[cfg(test)]
#[path = "lease_test.rs"]
mod tests;
