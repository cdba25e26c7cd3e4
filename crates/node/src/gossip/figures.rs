//! What gossip counts, and warnings that do not flood the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::envelope::Refused;

/// At most one warning of a kind in this time.
const WARN_PAUSE: Duration = Duration::from_secs(10);

/// What gossip has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GossipFigures {
    /// Datagrams sent.
    pub(crate) sent: u64,
    /// Their bytes, without the headers of IP and UDP.
    pub(crate) sent_bytes: u64,
    /// Datagrams received and let in.
    pub(crate) received: u64,
    /// Their bytes.
    pub(crate) received_bytes: u64,
    /// Dropped: of another cluster.
    pub(crate) foreign: u64,
    /// Dropped: plain, though this node has a key.
    pub(crate) unsealed: u64,
    /// Dropped: sealed with another key, forged or damaged; or sealed, though this node has no key.
    pub(crate) wrongly_sealed: u64,
    /// Dropped: of an unknown version, too short, or unreadable.
    pub(crate) malformed: u64,
    /// Datagrams that could not be sent.
    pub(crate) not_sent: u64,
    /// How often gossip died and was started again.
    pub(crate) restarts: u64,
    /// Values that were too long to publish.
    pub(crate) refused_values: u64,
    /// How often another node was seen that bears this node's name.
    pub(crate) namesakes: u64,
}

/// A counter whose events are warned of now and then.
#[derive(Debug, Default)]
pub(super) struct Rare {
    count: AtomicU64,
    /// When the last warning was, and how many events it told of. Short and sync.
    last: Mutex<Option<(Instant, u64)>>,
}

impl Rare {
    /// Counts an event. Returns how many there were since the last warning if it is time for one.
    pub(super) fn event(&self, now: Instant) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut last = self.last.lock();
        let told = match *last {
            Some((at, _)) if now.saturating_duration_since(at) < WARN_PAUSE => return None,
            Some((_, told)) => told,
            None => 0,
        };
        *last = Some((now, count));
        Some(count.saturating_sub(told))
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// The counters behind [`GossipFigures`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    foreign: Rare,
    unsealed: Rare,
    wrongly_sealed: Rare,
    malformed: Rare,
    pub(super) not_sent: Rare,
    pub(super) restarts: Rare,
    pub(super) refused_values: Rare,
    pub(super) namesakes: Rare,
    /// Names of seeds that could not be resolved; not among the figures.
    pub(super) unresolved: Rare,
}

impl Counters {
    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The counter of a reason to drop a datagram, and the reason in words.
    pub(super) fn of(&self, why: Refused) -> (&Rare, &'static str) {
        match why {
            Refused::Foreign => (&self.foreign, "of another cluster"),
            Refused::Unsealed => (&self.unsealed, "plain, and this node has a key"),
            Refused::NoKey => (&self.wrongly_sealed, "sealed, and this node has no key"),
            Refused::WronglySealed => (&self.wrongly_sealed, "sealed with another key, or forged"),
            Refused::UnknownVersion => (&self.malformed, "of an unknown version"),
            Refused::Malformed => (&self.malformed, "unreadable"),
        }
    }

    pub(super) fn figures(&self) -> GossipFigures {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GossipFigures {
            sent: load(&self.sent),
            sent_bytes: load(&self.sent_bytes),
            received: load(&self.received),
            received_bytes: load(&self.received_bytes),
            foreign: self.foreign.count(),
            unsealed: self.unsealed.count(),
            wrongly_sealed: self.wrongly_sealed.count(),
            malformed: self.malformed.count(),
            not_sent: self.not_sent.count(),
            restarts: self.restarts.count(),
            refused_values: self.refused_values.count(),
            namesakes: self.namesakes.count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_warning() {
        let (rare, start) = (Rare::default(), Instant::now());
        assert_eq!(rare.event(start), Some(1));
        for _ in 0..1_000 {
            assert_eq!(rare.event(start + Duration::from_secs(1)), None);
        }
        assert_eq!(rare.event(start + WARN_PAUSE), Some(1_001));
        assert_eq!(rare.count(), 1_002);
    }
}
