//! What must hold after every step of the world, and what it looks like when it does not. One invariant, one type, one
//! file; a violation is data.

use std::fmt;

use serde::Serialize;

use crate::network::NodeIndex;
use crate::time::SimTime;

/// Something that must never happen has happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// Which invariant or oracle says so.
    pub rule: String,
    /// When, in nanoseconds of virtual time; `None` when it has no one moment.
    pub at_ns: Option<u64>,
    /// On which node, if on one.
    pub node: Option<u16>,
    /// What was seen, and what should have been.
    pub what: String,
}

impl Violation {
    /// A violation of a rule.
    pub fn new(rule: impl Into<String>, what: impl Into<String>) -> Self {
        Violation { rule: rule.into(), at_ns: None, node: None, what: what.into() }
    }

    /// The same, at this time.
    #[must_use]
    pub fn at(self, at: SimTime) -> Self {
        Violation { at_ns: Some(at.0), ..self }
    }

    /// The same, on this node.
    #[must_use]
    pub fn on(self, node: NodeIndex) -> Self {
        Violation { node: Some(node.0), ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)?;
        if let Some(node) = self.node {
            write!(f, " on {}", NodeIndex(node))?;
        }
        match self.at_ns {
            Some(at) => write!(f, " at {}", SimTime(at)),
            None => Ok(()),
        }
    }
}

/// Something that must hold after every step of a world `W`. It may remember what it saw before: that epochs never go
/// back is such a rule.
pub trait Invariant<W> {
    /// Its name, as in the summary.
    fn name(&self) -> &'static str;

    /// Looks at the world.
    fn check(&mut self, world: &W) -> Result<(), Violation>;
}

/// Invariants that are checked together.
pub struct Invariants<W> {
    all: Vec<Box<dyn Invariant<W>>>,
    checks: u64,
}

impl<W> Default for Invariants<W> {
    fn default() -> Self {
        Invariants { all: Vec::new(), checks: 0 }
    }
}

impl<W> Invariants<W> {
    /// One more.
    #[must_use]
    pub fn with(mut self, invariant: impl Invariant<W> + 'static) -> Self {
        self.all.push(Box::new(invariant));
        self
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.all.iter().map(|invariant| invariant.name())
    }

    /// Checks all of them, also after one failed, and returns what does not hold.
    pub fn check(&mut self, world: &W) -> Vec<Violation> {
        self.checks += self.all.len() as u64;
        self.all.iter_mut().filter_map(|invariant| invariant.check(world).err()).collect()
    }

    /// How many checks were made.
    pub fn checks(&self) -> u64 {
        self.checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that never falls.
    #[derive(Default)]
    struct NeverFalls(u64);

    impl Invariant<u64> for NeverFalls {
        fn name(&self) -> &'static str {
            "never falls"
        }

        fn check(&mut self, world: &u64) -> Result<(), Violation> {
            let last = std::mem::replace(&mut self.0, *world);
            if *world < last {
                return Err(Violation::new(self.name(), format!("{world} after {last}")));
            }
            Ok(())
        }
    }

    struct Small;

    impl Invariant<u64> for Small {
        fn name(&self) -> &'static str {
            "small"
        }

        fn check(&mut self, world: &u64) -> Result<(), Violation> {
            if *world < 10 { Ok(()) } else { Err(Violation::new(self.name(), world.to_string())) }
        }
    }

    #[test]
    fn all_are_checked_and_they_remember() {
        let mut invariants = Invariants::default().with(NeverFalls::default()).with(Small);
        assert_eq!(invariants.names().collect::<Vec<_>>(), ["never falls", "small"]);
        assert_eq!(invariants.check(&20), [Violation::new("small", "20")]);
        let rules: Vec<String> = invariants.check(&15).into_iter().map(|v| v.rule).collect();
        assert_eq!(rules, ["never falls", "small"]);
        assert_eq!(invariants.check(&5).len(), 1);
        assert_eq!(invariants.check(&5).len(), 0);
        assert_eq!(invariants.checks(), 8);
    }

    #[test]
    fn a_violation_says_what_where_and_when() {
        let violation = Violation::new("one primary per epoch", "two in epoch 3 of partition 7")
            .on(NodeIndex(2))
            .at(SimTime::from_millis(1_250));
        let text = "one primary per epoch: two in epoch 3 of partition 7 on n2 at 1.250s";
        assert_eq!(violation.to_string(), text);
    }
}
