//! [`States`]: which states are read page by page, and which are lost.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use isogrid_core::{Error, ErrorCode, Moment, Result, Version, View};

/// States without records: only whether they are kept.
#[derive(Debug, Default)]
pub(crate) struct States {
    kept: Mutex<BTreeSet<u64>>,
    begun: AtomicU64,
    /// How many are lost when they are asked for again.
    pub(crate) losing: AtomicUsize,
}

impl States {
    /// How many are kept.
    pub(crate) fn kept(&self) -> usize {
        self.kept.lock().expect("no test panics with it").len()
    }

    /// How many were begun and had more than one page.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// The state of the page behind this one, if there is one.
    pub(super) fn next(&self, view: View, goes_on: bool) -> Result<Option<Moment>> {
        let mut kept = self.kept.lock().expect("no test panics with it");
        match view {
            View::Begin if goes_on => {
                let version = Version(self.begun.fetch_add(1, Ordering::Relaxed));
                kept.insert(version.0);
                Ok(Some(Moment { version, records: 0 }))
            }
            View::Latest | View::Begin | View::Done(_) => Ok(None),
            View::At(moment) => {
                let lost = |left: usize| left.checked_sub(1);
                let is_lost =
                    self.losing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lost).is_ok();
                if is_lost || !goes_on {
                    assert!(kept.remove(&moment.version.0), "it was not kept");
                }
                if is_lost {
                    return Err(Error::new(ErrorCode::ViewLost, "a state"));
                }
                Ok(goes_on.then_some(moment))
            }
        }
    }

    pub(super) fn let_go(&self, moment: Moment) {
        let mut kept = self.kept.lock().expect("no test panics with it");
        assert!(kept.remove(&moment.version.0), "it was not kept");
    }
}
