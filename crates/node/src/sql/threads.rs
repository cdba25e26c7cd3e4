//! [`Threads`]: those on which statements are answered. They give way to those that serve operations.

use isogrid_core::{Error, ErrorCode, Result};
use tokio::runtime::{Handle, Runtime};

/// By how much the threads give way: in the system's own measure.
const NICE: i32 = 10;

/// The threads on which statements are answered.
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    pub(super) fn start(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name("query")
            .thread_stack_size(isogrid_query::STACK_BYTES)
            .enable_all()
            .on_thread_start(|| {
                // Where the system does not let it they are as important as others.
                let _ = rustix::process::nice(NICE);
            })
            .build();
        if let Err(error) = &runtime {
            tracing::error!(%error, "there are no threads for SQL: statements are refused");
        }
        Threads(runtime.ok())
    }

    pub(super) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }

    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        match &self.0 {
            Some(runtime) => {
                runtime.spawn(work);
                Ok(())
            }
            None => {
                let detail = "this node could not start threads for SQL";
                Err(Error::new(ErrorCode::Internal, detail))
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
