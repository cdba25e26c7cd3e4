//! Rare paths that the simulation must have visited: a test that never sees a failover during a migration says nothing
//! about one. "Always" is an invariant; this is "sometimes".

use std::collections::BTreeMap;

use serde::Serialize;

/// How often each expected path was visited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Sometimes {
    visits: BTreeMap<&'static str, u64>,
}

impl Sometimes {
    /// Nothing visited yet of these.
    pub fn expecting(names: &[&'static str]) -> Self {
        Sometimes { visits: names.iter().map(|name| (*name, 0)).collect() }
    }

    /// A path is visited.
    ///
    /// # Panics
    ///
    /// When nobody expects it: a misspelt name would never be missed.
    pub fn reached(&mut self, name: &str) {
        match self.visits.get_mut(name) {
            Some(count) => *count += 1,
            None => panic!("{name:?} is not among the expected paths"),
        }
    }

    /// How often a path was visited.
    pub fn count(&self, name: &str) -> u64 {
        self.visits.get(name).copied().unwrap_or(0)
    }

    /// All paths with the number of visits, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.visits.iter().map(|(name, count)| (*name, *count))
    }

    /// The paths nobody visited.
    pub fn never_reached(&self) -> Vec<&'static str> {
        self.iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }

    /// Adds the visits of another run. What only the other expects is expected from now on.
    pub fn add(&mut self, other: &Sometimes) {
        for (name, count) in other.iter() {
            *self.visits.entry(name).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 2] = ["failover during migration", "stale retry"];

    #[test]
    fn what_was_never_reached_is_listed_over_all_runs() {
        let mut one = Sometimes::expecting(&PATHS);
        one.reached("stale retry");
        assert_eq!(one.never_reached(), ["failover during migration"]);
        let mut other = Sometimes::expecting(&PATHS);
        other.reached("failover during migration");
        other.reached("stale retry");
        one.add(&other);
        assert!(one.never_reached().is_empty());
        assert_eq!(one.count("stale retry"), 2);
        assert_eq!(one.count("something else"), 0);
    }

    #[test]
    #[should_panic(expected = "not among the expected paths")]
    fn a_misspelt_path_is_a_mistake() {
        Sometimes::expecting(&PATHS).reached("stale retries");
    }
}
