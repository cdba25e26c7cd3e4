//! The state machine: the council itself, in memory, restored from the last snapshot and the log behind it. Everybody else
//! reads it as a value, new once per applied batch.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures::{Stream, StreamExt};
use isogrid_cluster::Council;
use isogrid_cluster::council::{Command, Outcome};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio::sync::watch;

use crate::record::Cover;
use crate::snapshot;
use crate::store::Write;
use crate::types::{LogId, Snapshot, SnapshotMeta, StoredMembership, Types};
use crate::writer::Writer;

/// Entries that are applied before readers see the council again.
const BATCH_MAX: usize = 1_024;

/// The council and where in the log it stands.
#[derive(Debug)]
pub(crate) struct Machine {
    council: watch::Sender<Arc<Council>>,
    applied: Option<LogId>,
    voters: StoredMembership,
    writer: Writer,
}

/// The council as it was, to make a snapshot of.
#[derive(Debug)]
pub(crate) struct Builder {
    council: Arc<Council>,
    meta: SnapshotMeta,
    writer: Writer,
}

/// Whom to tell what came of a command.
type Answer = (ApplyResponder<Types>, Option<Outcome>);

impl Machine {
    /// An empty council, to be restored by openraft.
    pub(super) fn new(council: watch::Sender<Arc<Council>>, writer: Writer) -> Machine {
        Machine { council, applied: None, voters: StoredMembership::default(), writer }
    }

    /// Applies a batch, shows the new council, then answers: whoever was answered finds it there.
    ///
    /// The council is changed in place unless somebody holds on to the old one. Should it break half-way, nobody is told
    /// of what there is then, and the node ends.
    fn apply_batch(&mut self, batch: Vec<EntryResponder<Types>>) -> io::Result<()> {
        let mut answers: Vec<Answer> = Vec::new();
        let mut applied = Ok(());
        let Machine { council, applied: last, voters, .. } = self;
        council.send_if_modified(|council| {
            let mut has_changed = false;
            for (entry, responder) in batch {
                let outcome = match &entry.payload {
                    EntryPayload::Blank => None,
                    EntryPayload::Membership(new) => {
                        *voters = StoredMembership::new(Some(entry.log_id), new.clone());
                        None
                    }
                    EntryPayload::Normal(proposal) => match apply(council, &proposal.0) {
                        Some(outcome) => {
                            has_changed = true;
                            Some(outcome)
                        }
                        None => {
                            let why = format!("the council broke at {}", entry.log_id);
                            applied = Err(io::Error::other(why));
                            return false;
                        }
                    },
                };
                *last = Some(entry.log_id);
                answers.extend(responder.map(|responder| (responder, outcome)));
            }
            has_changed
        });
        applied?;
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.voters.clone() }
    }
}

/// Applies a command; `None` when the council's own assertions fail. That must end the node, not leave a raft that hangs.
fn apply(council: &mut Arc<Council>, command: &Command) -> Option<Outcome> {
    let council = Arc::make_mut(council);
    catch_unwind(AssertUnwindSafe(|| council.apply(command))).ok()
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Vec<u8>;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.voters.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut batches = entries.ready_chunks(BATCH_MAX);
        while let Some(batch) = batches.next().await {
            self.apply_batch(batch.into_iter().collect::<io::Result<_>>()?)?;
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            council: Arc::clone(&self.council.borrow()),
            meta: self.meta(),
            writer: self.writer.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, bytes: Vec<u8>) -> io::Result<()> {
        let council = snapshot::unpack(&bytes)?;
        let cover = Cover::from(meta);
        let is_kept = self.writer.snapshot().await?.is_some_and(|(kept, _)| kept == cover);
        if !is_kept {
            self.writer.write(Write::Snapshot(Box::new(cover), Arc::new(bytes))).await?;
        }
        self.applied = meta.last_log_id;
        self.voters = meta.last_membership.clone();
        self.council.send_replace(Arc::new(council));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let Some((cover, snapshot)) = self.writer.snapshot().await? else { return Ok(None) };
        Ok(Some(Snapshot { meta: cover.try_into()?, snapshot }))
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Vec<u8>;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let council = Arc::clone(&self.council);
        let packed = tokio::task::spawn_blocking(move || snapshot::pack(&council));
        let bytes = packed.await.map_err(io::Error::other)??;
        let shared = Arc::new(bytes);
        let write = Write::Snapshot(Box::new((&self.meta).into()), Arc::clone(&shared));
        self.writer.write(write).await?;
        let snapshot = Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone());
        Ok(Snapshot { meta: self.meta.clone(), snapshot })
    }
}
