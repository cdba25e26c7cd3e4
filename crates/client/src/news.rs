//! [`News`]: that something about the cluster is new, for those who wait for a node to come back.

use std::time::Duration;

use tokio::sync::watch;

/// News come in crowds: no pause ends sooner.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Where news are told.
#[derive(Debug, Default)]
pub(crate) struct News(watch::Sender<()>);

/// Who wants to hear of them.
pub(crate) struct Listener(watch::Receiver<()>);

impl News {
    /// Something is new.
    pub(crate) fn tell(&self) {
        self.0.send_replace(());
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Listener {
    /// What was told up to now is known.
    pub(crate) fn forget(&mut self) {
        self.0.mark_unchanged();
    }

    /// Waits so long, or until there are news; says whether there are.
    pub(crate) async fn end(&mut self, pause: Duration) -> bool {
        let early = async {
            tokio::time::sleep(PAUSE_MIN).await;
            // Fails only when the client is gone.
            let _ = self.0.changed().await;
        };
        tokio::time::timeout(pause, early).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn news_end_a_pause() {
        let pause = Duration::from_secs(1);
        let news = News::default();
        let mut listener = news.listen();
        let begun = Instant::now();
        assert!(!listener.end(pause).await);
        assert_eq!(Instant::now() - begun, pause, "nothing is new");
        let later = async {
            tokio::time::sleep(5 * PAUSE_MIN).await;
            news.tell();
        };
        let begun = Instant::now();
        let (is_early, ()) = tokio::join!(listener.end(pause), later);
        assert!(is_early);
        assert_eq!(Instant::now() - begun, 5 * PAUSE_MIN);
        news.tell();
        let begun = Instant::now();
        assert!(listener.end(pause).await, "they came during an attempt");
        assert_eq!(Instant::now() - begun, PAUSE_MIN, "it is a pause all the same");
        news.tell();
        listener.forget();
        assert!(!listener.end(pause).await, "they were known before");
    }
}
