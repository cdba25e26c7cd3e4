//! How an answer is made for a reader who takes it piece by piece, and who may go away.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use isogrid_core::{Error, ErrorCode, Outcome};
use tokio::sync::mpsc;

/// How many pieces of an answer wait for their reader.
pub(crate) const PIECES_WAITING: usize = 2;

/// For how long a piece waits for a reader that does not read: statements that wait keep others out.
pub(crate) const TAKEN_MAX: Duration = Duration::from_secs(30);

/// For how much longer than a statement may take a piece is waited for. Threads that are busy notice late that its time is over.
pub(crate) const LATE_MAX: Duration = Duration::from_secs(1);

/// Makes an answer until it is whole, or nobody takes it. A panic is told as an error.
pub(crate) async fn until_gone<T, E>(
    answering: impl Future<Output = ()>,
    sender: &mpsc::Sender<Result<T, E>>,
    told: fn(&Error) -> E,
) {
    tokio::select! {
        answered = AssertUnwindSafe(answering).catch_unwind() => {
            if answered.is_err() {
                let broken = Error::new(ErrorCode::Internal, "a statement panicked");
                let _ = sender.send_timeout(Err(told(&broken)), TAKEN_MAX).await;
            }
        }
        () = sender.closed() => {}
    }
}

/// No piece came for so long, though the statement's time is over.
pub(crate) fn late(patience: Duration) -> Error {
    let detail = format!("no row came for {} ms", patience.as_millis());
    Error::new(ErrorCode::QueryTooLong, detail).with_outcome(Outcome::Unknown)
}
