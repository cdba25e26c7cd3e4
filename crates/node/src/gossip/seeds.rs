//! Whom to call first: the seeds, and DNS. Chitchat would look names up once a minute, wait for them at the start, and
//! forget what it knew when a look-up fails; a cluster whose nodes all start at once would take a minute to meet.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::time::timeout;
use tracing::warn;

use super::Shared;

/// How long a look-up may take.
const LOOKUP_MAX: Duration = Duration::from_secs(3);

/// How often names are looked up while this node is alone, and while it is not.
const LOOKUP_PAUSE_ALONE: Duration = Duration::from_secs(1);
const LOOKUP_PAUSE: Duration = Duration::from_secs(15);

/// How often a seed that does not answer is called while others do: two halves of a cluster find each other by it.
pub(super) const CALL_PAUSE: Duration = Duration::from_secs(1);

/// The most addresses that are called at once by a node that is alone.
const CALLS_MAX: usize = 16;

/// Looks the names of the seeds up, again and again: a pod comes back with another address.
pub(super) async fn resolve(shared: Arc<Shared>) {
    let mut found: Vec<Vec<SocketAddr>> = vec![Vec::new(); shared.settings.seeds.len()];
    let needs_lookup = |seed: &String| seed.parse::<SocketAddr>().is_err();
    loop {
        for (index, seed) in shared.settings.seeds.iter().enumerate() {
            if let Some(addresses) = look_up(&shared, seed).await {
                found[index] = addresses;
            }
            // At once: a name that is slow to fail must not hold up the others.
            *shared.seeds.lock() = found.concat();
        }
        if !shared.settings.seeds.iter().any(needs_lookup) {
            return;
        }
        let is_alone = !shared.members.borrow().values().any(|seen| seen.is_live);
        let pause = if is_alone { LOOKUP_PAUSE_ALONE } else { LOOKUP_PAUSE };
        tokio::time::sleep(pause).await;
    }
}

/// The addresses of a seed; `None` if they are not to be had now: what was found earlier may still be right.
async fn look_up(shared: &Shared, seed: &str) -> Option<Vec<SocketAddr>> {
    if let Ok(address) = seed.parse() {
        return Some(vec![address]);
    }
    let error = match timeout(LOOKUP_MAX, lookup_host(seed)).await {
        Ok(Ok(addresses)) => return Some(addresses.collect()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    unresolved(shared, seed, &error);
    None
}

fn unresolved(shared: &Shared, seed: &str, error: &str) {
    if let Some(count) = shared.counters.unresolved.event(Instant::now()) {
        warn!(seed, error, count, "the name of a seed could not be resolved");
    }
}

/// What is known when it is decided whom to call.
pub(super) struct Known<'a> {
    pub(super) own: SocketAddr,
    pub(super) seeds: &'a [SocketAddr],
    /// Where members are or were.
    pub(super) members: &'a [SocketAddr],
    /// Where live members are.
    pub(super) live: &'a BTreeSet<SocketAddr>,
}

/// Whom to call in this turn. A node that is alone calls all seeds and everybody it ever knew; otherwise one seed a turn
/// that is not among the living. Chitchat calls the living and the dead by itself.
pub(super) fn calls(known: &Known<'_>, turn: usize) -> Vec<SocketAddr> {
    let is_candidate = |address: &&SocketAddr| **address != known.own;
    let unique = |addresses: Vec<SocketAddr>| {
        let mut met = BTreeSet::new();
        addresses.into_iter().filter(|a| met.insert(*a)).collect::<Vec<_>>()
    };
    let (mut candidates, calls_max) = if known.live.is_empty() {
        let all = known.seeds.iter().chain(known.members).filter(is_candidate);
        (unique(all.copied().collect()), CALLS_MAX)
    } else {
        let others = known.seeds.iter().filter(is_candidate);
        (unique(others.filter(|seed| !known.live.contains(seed)).copied().collect()), 1)
    };
    if !candidates.is_empty() {
        let first = turn.wrapping_mul(calls_max) % candidates.len();
        candidates.rotate_left(first);
    }
    candidates.truncate(calls_max);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn called(seeds: &[u16], members: &[u16], live: &[u16], turn: usize) -> Vec<u16> {
        let list = |ports: &[u16]| ports.iter().map(|port| at(*port)).collect::<Vec<_>>();
        let (seeds, members) = (list(seeds), list(members));
        let live = list(live).into_iter().collect();
        let known = Known { own: at(1), seeds: &seeds, members: &members, live: &live };
        calls(&known, turn).iter().map(SocketAddr::port).collect()
    }

    #[test]
    fn a_lonely_node_calls_everybody() {
        assert_eq!(called(&[1, 2, 3, 2], &[3, 4], &[], 0), [2, 3, 4], "but not itself");
        assert!(called(&[1], &[], &[], 3).is_empty());
    }

    #[test]
    fn seeds_that_are_silent_are_called_in_turn() {
        let turns: Vec<_> = (0..3).map(|turn| called(&[2, 3, 4], &[9], &[3], turn)).collect();
        assert_eq!(turns, [[2], [4], [2]]);
        assert!(called(&[2, 3], &[], &[2, 3], 0).is_empty(), "all seeds are there");
    }

    #[test]
    fn many_seeds_are_called_some_at_a_time_and_all_in_the_end() {
        let seeds: Vec<u16> = (2..42).collect();
        let mut all = BTreeSet::new();
        for turn in 0..5 {
            let some = called(&seeds, &[], &[], turn);
            assert_eq!(some.len(), CALLS_MAX);
            all.extend(some);
        }
        assert_eq!(all.len(), seeds.len());
    }
}
