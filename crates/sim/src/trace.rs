//! What happened, as lines for people and as one hash for the replay test. The hash covers every event, whether its line
//! is kept or not, so that a run that keeps no lines can be compared with one that keeps all.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;

use xxhash_rust::xxh3::Xxh3;

use crate::network::NodeIndex;
use crate::time::SimTime;

/// Which lines a trace keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// None: the fastest. A failing seed is run again with more.
    #[default]
    Nothing,
    /// The last so many.
    Last(usize),
    /// All.
    Everything,
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// Which event of the run, from one.
    pub number: u64,
    /// When.
    pub at: SimTime,
    /// Where; `None` for the world as a whole.
    pub node: Option<NodeIndex>,
    /// What kind of event.
    pub kind: &'static str,
    /// What happened.
    pub what: String,
}

impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.map_or_else(|| "-".to_owned(), |node| node.to_string());
        write!(f, "{:>13} {node:<4} {:<10} {}", self.at.to_string(), self.kind, self.what)
    }
}

/// The trace of a run.
#[derive(Clone)]
pub struct Trace {
    keep: Keep,
    lines: VecDeque<TraceLine>,
    hash: Xxh3,
    events: u64,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} events, {:016x})", self.events, self.hash())
    }
}

impl Trace {
    /// An empty trace.
    pub fn new(keep: Keep) -> Self {
        Trace { keep, lines: VecDeque::new(), hash: Xxh3::new(), events: 0 }
    }

    /// Records an event. `detail` is what the hash covers: everything that must be the same in a replay. `line` says it for
    /// people, and is only called when the line is kept.
    pub fn record<D: Hash + ?Sized>(
        &mut self,
        at: SimTime,
        node: Option<NodeIndex>,
        kind: &'static str,
        detail: &D,
        line: impl FnOnce() -> String,
    ) {
        self.events += 1;
        (at, node, kind).hash(&mut self.hash);
        detail.hash(&mut self.hash);
        let room = match self.keep {
            Keep::Nothing => return,
            Keep::Last(count) => count,
            Keep::Everything => usize::MAX,
        };
        if self.lines.len() >= room {
            self.lines.pop_front();
        }
        if room > 0 {
            self.lines.push_back(TraceLine { number: self.events, at, node, kind, what: line() });
        }
    }

    /// Records an event whose line is all there is to it.
    pub fn note(&mut self, at: SimTime, node: Option<NodeIndex>, kind: &'static str, what: &str) {
        self.record(at, node, kind, what, || what.to_owned());
    }

    /// The hash of all events so far.
    pub fn hash(&self) -> u64 {
        self.hash.digest()
    }

    /// The number of events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &TraceLine> {
        self.lines.iter()
    }

    /// The lines kept, as text. It says how many events came before the first of them.
    pub fn to_text(&self) -> String {
        let before = self.lines.front().map_or(self.events, |line| line.number - 1);
        let mut text = String::new();
        if before > 0 {
            text.push_str(&format!("... {before} events before\n"));
        }
        for line in &self.lines {
            text.push_str(&format!("{line}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(keep: Keep, count: u64) -> Trace {
        let mut trace = Trace::new(keep);
        for number in 0..count {
            let node = Some(NodeIndex(number as u16 % 3));
            let line = || format!("message {number}");
            trace.record(SimTime::from_millis(number), node, "deliver", &number, line);
        }
        trace
    }

    #[test]
    fn the_hash_is_the_same_whatever_is_kept() {
        let hash = filled(Keep::Nothing, 50).hash();
        assert_eq!(filled(Keep::Last(3), 50).hash(), hash);
        assert_eq!(filled(Keep::Last(0), 50).hash(), hash);
        assert_eq!(filled(Keep::Everything, 50).hash(), hash);
    }

    #[test]
    fn every_part_of_an_event_counts() {
        let hash = |at, node, kind, detail: u64| {
            let mut trace = Trace::new(Keep::Nothing);
            trace.record(SimTime(at), node, kind, &detail, String::new);
            trace.hash()
        };
        let base = hash(1, None, "crash", 7);
        assert_eq!(hash(1, None, "crash", 7), base);
        assert_ne!(hash(2, None, "crash", 7), base);
        assert_ne!(hash(1, Some(NodeIndex(0)), "crash", 7), base);
        assert_ne!(hash(1, None, "pause", 7), base);
        assert_ne!(hash(1, None, "crash", 8), base);
        assert_ne!(filled(Keep::Nothing, 50).hash(), filled(Keep::Nothing, 49).hash());
    }

    #[test]
    fn the_ring_keeps_the_last_lines_and_says_what_is_missing() {
        let trace = filled(Keep::Last(2), 5);
        assert_eq!(
            trace.to_text(),
            "... 3 events before\n       0.003s n0   deliver    message 3\n       0.004s n1   deliver    message 4\n"
        );
        assert_eq!(filled(Keep::Everything, 5).lines().len(), 5);
        assert_eq!(filled(Keep::Nothing, 5).to_text(), "... 5 events before\n");
    }

    #[test]
    fn a_note_is_its_own_detail() {
        let mut trace = Trace::new(Keep::Everything);
        trace.note(SimTime::ZERO, None, "fault", "at 1.000s pause n1");
        let line = trace.lines().next().map(ToString::to_string);
        assert_eq!(line.as_deref(), Some("       0.000s -    fault      at 1.000s pause n1"));
    }
}
