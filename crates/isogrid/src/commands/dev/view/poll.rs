//! Asks the cluster how it is, again and again, without making the view wait: a node may be paused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isogrid_client::{ClusterStatus, Operator};
use tokio::sync::watch;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long one node may take to answer before another is asked.
const ANSWER_WAIT_MAX: Duration = Duration::from_millis(1_500);

/// Asks these addresses, the first that answers, until nobody looks any more.
pub(super) async fn poll(
    addresses: watch::Receiver<Vec<String>>,
    found: watch::Sender<Option<ClusterStatus>>,
) {
    let mut known: Option<Operator> = None;
    while !found.is_closed() {
        let whom = addresses.borrow().clone();
        known = known.filter(|operator| whom.iter().any(|address| address == operator.address()));
        let mut status = match &known {
            Some(operator) => ask(operator).await,
            None => None,
        };
        if status.is_none() {
            known = None;
            for address in &whom {
                let connecting = tokio::time::timeout(ANSWER_WAIT_MAX, Operator::connect(address));
                let Ok(Ok(operator)) = connecting.await else { continue };
                status = ask(&operator).await;
                if status.is_some() {
                    known = Some(operator);
                    break;
                }
            }
        }
        found.send_replace(status);
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn ask(operator: &Operator) -> Option<ClusterStatus> {
    tokio::time::timeout(ANSWER_WAIT_MAX, operator.status(true)).await.ok()?.ok()
}

/// Operations per second, from one look to the next.
#[derive(Default)]
pub(super) struct Rates {
    last: BTreeMap<String, (u64, Instant)>,
    per_second: BTreeMap<String, u64>,
}

impl Rates {
    /// Takes a look into account.
    pub(super) fn take(&mut self, status: Option<&ClusterStatus>) {
        self.take_at(status, Instant::now());
    }

    fn take_at(&mut self, status: Option<&ClusterStatus>, now: Instant) {
        self.per_second.clear();
        let members = status.into_iter().flat_map(|status| &status.members);
        for member in members.filter(|member| member.has_answered) {
            let total = member.operations_total;
            let before = self.last.insert(member.node_id.clone(), (total, now));
            let Some((before, at)) = before else { continue };
            let seconds = now.duration_since(at).as_secs_f64();
            // A node that was started again counts from nought.
            if let Some(more) = total.checked_sub(before)
                && seconds > 0.0
            {
                let rate = (more as f64 / seconds).round() as u64;
                self.per_second.insert(member.node_id.clone(), rate);
            }
        }
    }

    /// The rate of a node, if two looks at it are known.
    pub(super) fn of(&self, node: &str) -> Option<u64> {
        self.per_second.get(node).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isogrid_client::MemberStatus;

    #[test]
    fn a_rate_needs_two_looks_and_survives_a_restart() {
        let look = |operations| {
            let mut status = ClusterStatus::default();
            let mut member = MemberStatus::default();
            (member.node_id, member.has_answered) = ("node-0".into(), true);
            member.operations_total = operations;
            status.members.push(member);
            status
        };
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut rates = Rates::default();
        rates.take_at(Some(&look(100)), start);
        assert_eq!(rates.of("node-0"), None);
        rates.take_at(Some(&look(200)), at(500));
        assert_eq!(rates.of("node-0"), Some(200));
        rates.take_at(Some(&look(10)), at(1_000));
        assert_eq!(rates.of("node-0"), None, "it was started again");
        rates.take_at(Some(&look(20)), at(2_000));
        assert_eq!(rates.of("node-0"), Some(10));
        rates.take_at(None, at(3_000));
        assert_eq!(rates.of("node-0"), None);
    }
}
