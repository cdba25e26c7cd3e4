//! [`Rest`]: how much of its time the thread that writes images works. Images that nobody waits for are written gently: whoever
//! reads and writes meanwhile wants the processor too. That ends where the log grows so fast that it would become too long.

use std::time::Duration;

/// The smallest share of its time.
const SHARE_MIN: f64 = 0.25;

/// A rest is worth the trouble from so long on.
const REST_MIN: Duration = Duration::from_millis(1);

/// When to rest, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// The share of its time that it works.
    share: f64,
    owed: Duration,
}

impl Rest {
    /// None: somebody waits.
    pub(super) fn none() -> Self {
        Rest::with_share(1.0)
    }

    /// As much as there can be: nobody waits.
    pub(super) fn long() -> Self {
        Rest::with_share(SHARE_MIN)
    }

    /// Of a log that may become so much longer while so many images are written: it rests as long as the images are ahead of the
    /// log.
    pub(super) fn ahead((over, most): (u64, u64), (written, all): (usize, usize)) -> Self {
        let is_ahead = over as u128 * all as u128 <= written as u128 * u128::from(most);
        if is_ahead { Rest::long() } else { Rest::none() }
    }

    /// Whether it does not rest.
    pub(super) fn is_none(&self) -> bool {
        self.share >= 1.0
    }

    fn with_share(share: f64) -> Self {
        Rest { share, owed: Duration::ZERO }
    }

    /// After so much work, how long to rest now; `None` as long as that is not worth it.
    pub(super) fn after(&mut self, work: Duration) -> Option<Duration> {
        self.owed += work.mul_f64(1.0 / self.share - 1.0);
        (self.owed >= REST_MIN).then(|| std::mem::take(&mut self.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_works_for_its_share_of_the_time() {
        let mut rest = Rest::long();
        assert_eq!(rest.after(MS / 10), None, "too short to sleep for");
        assert_eq!(rest.after(MS * 2), Some(MS * 63 / 10), "what was owed comes with it");
        assert_eq!(rest.after(MS * 2), Some(MS * 6));
        assert_eq!(Rest::none().after(MS * 1_000), None);
        assert!(Rest::none().is_none() && !Rest::long().is_none());
    }

    #[test]
    fn it_rests_while_images_are_written_faster_than_the_log_grows() {
        let rests = |log, images| Rest::ahead(log, images).after(MS * 12).is_some();
        assert!(rests((0, 1_000), (0, 256)));
        assert!(rests((499, 1_000), (128, 256)));
        assert!(!rests((501, 1_000), (128, 256)));
        assert!(!rests((9_000, 1_000), (255, 256)));
        assert!(!rests((1, 0), (128, 256)), "no data, no room");
    }
}
