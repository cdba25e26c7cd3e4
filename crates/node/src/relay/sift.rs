//! Between the answers of a round and whoever asked: what is final goes on, what the wrong node said is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use isogrid_core::{Error, ErrorCode, Outcome, Receipt, Reply};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::engine::Late;

/// Lets answers through, but for those of a node that is not the owner: these operations are tried again.
pub(super) struct Sift {
    late: Arc<dyn Late>,
    /// What an earlier try may have done: nobody can say any more that nothing happened.
    doubtful: BTreeSet<usize>,
    state: Mutex<Sifted>,
    done: Notify,
}

#[derive(Default)]
struct Sifted {
    again: BTreeMap<usize, Error>,
    left: usize,
}

impl Sift {
    pub(super) fn new(late: Arc<dyn Late>, doubtful: BTreeSet<usize>) -> Self {
        Sift { late, doubtful, state: Mutex::default(), done: Notify::new() }
    }

    /// Lets an answer through, whatever it is; but it never promises more than is known of all tries.
    pub(super) fn pass(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        match reply {
            Reply::Failed(error)
                if error.outcome() == Outcome::NotApplied && self.doubtful.contains(&index) =>
            {
                let doubtful = error.clone().with_outcome(Outcome::Unknown);
                self.late.answer(index, &Reply::Failed(doubtful), None);
            }
            _ => self.late.answer(index, reply, receipt),
        }
    }

    pub(super) fn expect(&self, operations: usize) {
        self.state.lock().left += operations;
    }

    pub(super) fn again(&self, index: usize, why: Error) {
        self.state.lock().again.insert(index, why);
    }

    pub(super) fn sort(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        match reply {
            Reply::Failed(error) if is_tried_again(error) => self.again(index, error.clone()),
            _ => self.pass(index, reply, receipt),
        }
    }

    pub(super) fn answer(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        self.sort(index, reply, receipt);
        let mut state = self.state.lock();
        state.left -= 1;
        if state.left == 0 {
            self.done.notify_one();
        }
    }

    pub(super) async fn all_answered(&self) {
        while self.state.lock().left > 0 {
            self.done.notified().await;
        }
    }

    pub(super) fn take(&self) -> BTreeMap<usize, Error> {
        std::mem::take(&mut self.state.lock().again)
    }
}

/// What ends by itself when the table changes, and certainly had no effect.
fn is_tried_again(error: &Error) -> bool {
    error.outcome() == Outcome::NotApplied
        && matches!(
            error.code(),
            ErrorCode::NotOwner | ErrorCode::NotReady | ErrorCode::ShuttingDown
        )
}

/// Answers of a batch whose operations stand elsewhere in the frame.
pub(super) struct Moved {
    sift: Arc<Sift>,
    places: Arc<[usize]>,
}

impl Moved {
    pub(super) fn new(sift: Arc<Sift>, places: Arc<[usize]>) -> Self {
        Moved { sift, places }
    }
}

impl Late for Moved {
    fn answer(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        self.sift.answer(self.places[index], reply, receipt);
    }

    fn client(&self) -> Option<SocketAddr> {
        self.sift.late.client()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<(usize, ErrorCode, Outcome)>>);

    impl Late for Heard {
        fn answer(&self, index: usize, reply: &Reply<'_>, _: Option<&Receipt>) {
            let Reply::Failed(error) = reply else { return };
            self.0.lock().push((index, error.code(), error.outcome()));
        }
    }

    #[test]
    fn what_an_earlier_try_may_have_done_is_never_said_not_to_have_happened() {
        let heard = Arc::new(Heard::default());
        let sift = Sift::new(Arc::clone(&heard) as Arc<dyn Late>, BTreeSet::from([1]));
        let refused = Error::new(ErrorCode::NotEnoughReplicas, "");
        for index in [0, 1] {
            sift.sort(index, &Reply::Failed(refused.clone()), None);
            sift.sort(index, &Reply::Failed(Error::new(ErrorCode::NotOwner, "")), None);
        }
        let code = ErrorCode::NotEnoughReplicas;
        assert_eq!(*heard.0.lock(), [(0, code, Outcome::NotApplied), (1, code, Outcome::Unknown)]);
        assert_eq!(sift.take().len(), 2, "the wrong owner is no answer");
    }
}
