//! [`Cancels`]: how a statement is cancelled. A client opens another connection for that, and names the first by a number
//! and a secret that it was told there.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use tokio_util::sync::CancellationToken;

/// The connections whose statements can be cancelled.
#[derive(Debug, Default)]
pub struct Cancels {
    /// By their numbers. Taken for moments only.
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    last: i32,
    connections: HashMap<i32, (i32, Current)>,
}

/// The statement that runs on a connection, if one does.
type Current = Arc<Mutex<Option<CancellationToken>>>;

/// A connection's part of it. Dropped, it is forgotten.
#[derive(Debug)]
pub(crate) struct Cancel {
    cancels: Arc<Cancels>,
    pub(crate) process: i32,
    pub(crate) secret: i32,
    current: Current,
}

impl Cancels {
    /// A number and a secret for a connection.
    pub(crate) fn register(self: &Arc<Self>) -> Cancel {
        let mut bytes = [0; 4];
        // Without a secret there is a number that nobody was told.
        let is_secret = SystemRandom::new().fill(&mut bytes).is_ok();
        let secret = i32::from_be_bytes(bytes);
        let current = Current::default();
        let mut open = self.open.lock();
        loop {
            open.last = open.last.checked_add(1).unwrap_or(1);
            if !open.connections.contains_key(&open.last) {
                break;
            }
        }
        let process = open.last;
        if is_secret {
            open.connections.insert(process, (secret, Arc::clone(&current)));
        }
        Cancel { cancels: Arc::clone(self), process, secret, current }
    }

    /// Cancels what runs on a connection.
    pub(crate) fn cancel(&self, process: i32, secret: i32) {
        let open = self.open.lock();
        if let Some((known, current)) = open.connections.get(&process)
            && *known == secret
            && let Some(running) = &*current.lock()
        {
            running.cancel();
        }
    }
}

impl Cancel {
    /// A statement begins: what is cancelled when somebody asks for it.
    pub(crate) fn begin(&self) -> CancellationToken {
        let token = CancellationToken::new();
        *self.current.lock() = Some(token.clone());
        token
    }

    /// It has ended.
    pub(crate) fn end(&self) {
        *self.current.lock() = None;
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.cancels.open.lock().connections.remove(&self.process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_secret_cancels_and_only_what_runs() {
        let cancels = Arc::new(Cancels::default());
        let (one, other) = (cancels.register(), cancels.register());
        assert_ne!(one.process, other.process);
        cancels.cancel(one.process, one.secret);
        let running = one.begin();
        cancels.cancel(one.process, one.secret.wrapping_add(1));
        cancels.cancel(other.process, other.secret);
        assert!(!running.is_cancelled());
        cancels.cancel(one.process, one.secret);
        assert!(running.is_cancelled());
        drop((one, other));
        assert!(cancels.open.lock().connections.is_empty());
    }
}
