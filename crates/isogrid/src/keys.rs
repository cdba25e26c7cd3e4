//! What is typed on a terminal that is drawn on.

use std::io;

use crossterm::event::Event;
use tokio::sync::mpsc;

/// How many keys may wait.
const KEYS_MAX: usize = 64;

/// Keys and changes of the size. A thread of its own reads them: the runtime's would have to be waited for at the end.
pub(crate) fn events() -> io::Result<mpsc::Receiver<Event>> {
    let (sender, events) = mpsc::channel(KEYS_MAX);
    std::thread::Builder::new().name("keys".into()).spawn(move || {
        while let Ok(event) = crossterm::event::read() {
            if sender.blocking_send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(events)
}
