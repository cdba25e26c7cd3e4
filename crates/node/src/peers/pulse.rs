//! [`Pulse`]: the signs of life of another node.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isogrid_core::Incarnation;

/// When a node was heard last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// When anything arrived from it, over a link or as a question or answer; if nothing ever did, when its address
    /// became known here.
    pub(crate) last: Instant,
    /// The life that was heard last; zero when nothing was heard.
    pub(crate) incarnation: Incarnation,
    /// Whether its address refuses connections at present: nobody listens there, so its process is gone.
    pub(crate) is_refused: bool,
}

/// The signs of life of another node. Links of all cores write to it.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// What times are counted from.
    origin: Instant,
    last_ms: AtomicU64,
    incarnation: AtomicU64,
    is_refused: AtomicBool,
    /// What arrived over links.
    received_bytes: AtomicU64,
    received_messages: AtomicU64,
    /// How many links to it broke.
    breaks: AtomicU64,
}

impl Pulse {
    pub(super) fn new(origin: Instant) -> Self {
        let pulse = Self {
            origin,
            last_ms: AtomicU64::new(0),
            incarnation: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
            received_bytes: AtomicU64::new(0),
            received_messages: AtomicU64::new(0),
            breaks: AtomicU64::new(0),
        };
        pulse.beat();
        pulse
    }

    /// Something arrived.
    pub(super) fn beat(&self) {
        self.last_ms.store(self.origin.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// This life spoke.
    pub(crate) fn speaks(&self, incarnation: Incarnation) {
        self.incarnation.store(incarnation.0, Ordering::Relaxed);
        self.beat();
    }

    /// A batch arrived.
    pub(crate) fn received(&self, bytes: usize, messages: usize) {
        self.beat();
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.received_messages.fetch_add(messages as u64, Ordering::Relaxed);
    }

    /// Notes whether its address refuses connections; says whether it is news that it does.
    pub(super) fn refuses(&self, is_refused: bool) -> bool {
        !self.is_refused.swap(is_refused, Ordering::Relaxed) && is_refused
    }

    pub(super) fn link_broke(&self) {
        self.breaks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn heard(&self) -> Heard {
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        Heard {
            last: self.origin + Duration::from_millis(last_ms),
            incarnation: Incarnation(self.incarnation.load(Ordering::Relaxed)),
            is_refused: self.is_refused.load(Ordering::Relaxed),
        }
    }

    /// Bytes and messages that arrived, and links that broke.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.received_bytes), read(&self.received_messages), read(&self.breaks))
    }
}
