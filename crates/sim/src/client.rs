//! What the clients of the simulation saw, and the oracles that judge it. An oracle knows nothing of replicas: it gets the
//! operations with their times and answers, and says which of them no correct store could have given.
//!
//! | module | what it catches |
//! |---|---|
//! | [`history`] | the operations themselves |
//! | [`version_oracle`] | versions against real time, stale reads, values from nowhere: for everything, O(n log n) |
//! | [`linearizable`] | whether some order explains it all: per key, exact |
//! | [`counters`] | increments counted twice or not at all |
//! | [`survive`] | acknowledged writes that are gone at the end |
//! | [`watch`] | watchers that miss, repeat or swap |

pub mod counters;
pub mod history;
#[cfg(test)]
pub(crate) mod history_for_tests;
pub mod linearizable;
pub mod survive;
pub mod version_oracle;
pub mod watch;

pub use history::History;

use crate::client::linearizable::Limits;
use crate::invariant::Violation;

/// Asks every oracle about a history and the state at its end. Also gives the number of keys for which the exact check was
/// given up.
pub fn judge(history: &History, end: &history::Finals) -> (Vec<Violation>, u64) {
    let mut violations = version_oracle::check(history);
    violations.extend(survive::check(history, end));
    violations.extend(counters::check(history, end));
    let exact = linearizable::check(history, &Limits::default());
    violations.extend(exact.violations);
    (violations, exact.undecided)
}

#[cfg(test)]
#[path = "client/judge_test.rs"]
mod tests;
