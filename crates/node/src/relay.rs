//! [`Relay`]: operations of clients that do not know who owns what. What this node leads it executes; the rest it asks of
//! the owners, one hop away; what finds the wrong owner is tried again as the table changes, until the deadline.
//!
//! Typed calls and sessions in gateway mode come through here. Every operation stands in a frame, whoever asked.

mod sift;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use isogrid_core::{
    Error, ErrorCode, NodeId, Op, Outcome, PageEntry, Receipt, Reply, Result, Target, Traces,
};
use isogrid_proto::frame::{
    FrameHead, OpOptions, ReplyFrame, ReplyWriter, RequestFrame, RequestWriter,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::sift::{Moved, Sift};
use crate::clock;
use crate::engine::{Batch, Deadline, Engine, Late};
use crate::grpc::maps::{Maps, Wanted};
use crate::traces::at_places;

/// How long an owner is asked when the client set no deadline, in milliseconds.
const DEFAULT_TIMEOUT_MS: u32 = 10_000;

/// The pauses between tries: the table changes within milliseconds of a failover's end.
const PAUSE_MIN_MS: u64 = 2;
const PAUSE_MAX_MS: u64 = 50;

/// How long before the deadline the last word is said: one that comes when the client has given up tells it nothing.
const LAST_WORD_MS: u64 = 20;

/// What a client is told beside the error by a node that is cut off.
pub(crate) const NO_WORD: &str = "no word from the council";

/// How often it is looked whether who was asked still leads.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It never left.
    NotSent,
    /// It may have arrived.
    Unknown,
}

/// Questions to other nodes.
pub(crate) trait Asker: Send + Sync {
    /// Asks a node to execute a frame, some of whose operations may belong to traces.
    fn forward(
        &self,
        to: NodeId,
        frame: Bytes,
        traces: Traces,
        timeout: Duration,
    ) -> BoxFuture<'static, Result<Bytes, Unanswered>>;
}

/// Sends operations where they belong.
pub(crate) struct Relay {
    pub(crate) engine: Arc<Engine>,
    pub(crate) asker: Arc<dyn Asker>,
    pub(crate) maps: Arc<dyn Maps>,
}

/// One operation of the frame.
#[derive(Clone, Copy)]
struct Asked<'a> {
    index: usize,
    map: usize,
    op: Op<'a>,
    options: OpOptions,
}

/// Operations of a frame, its maps, and which of its operations belong to traces.
type Frame<'a> = (&'a [Arc<str>], &'a [Asked<'a>], &'a Traces);

impl Relay {
    /// Brings every operation of a frame to its owner and its answer to `late`. An error means that the frame cannot be
    /// understood; then nothing was answered.
    pub(crate) async fn run(
        &self,
        core: usize,
        bytes: &Bytes,
        traces: Traces,
        late: Arc<dyn Late>,
    ) -> Result<()> {
        if let Some(wanted) = Wanted::of_frame(&self.engine, bytes)? {
            self.maps.provide(wanted).await?;
        }
        let mut frame = RequestFrame::parse(bytes)?;
        let mut head = frame.head;
        if head.deadline_ms == 0 {
            head.deadline_ms = DEFAULT_TIMEOUT_MS;
        }
        let deadline = Deadline::after_ms(head.deadline_ms);
        let mut left = Vec::with_capacity(frame.ops);
        for index in 0..frame.ops {
            let (map, op, options) = frame.next_op()?;
            left.push(Asked { index, map, op, options });
        }
        let maps: Vec<Arc<str>> = frame.maps.iter().map(|name| Arc::from(*name)).collect();
        frame.finish()?;
        let mut pause_ms = PAUSE_MIN_MS;
        let mut doubtful = BTreeSet::new();
        loop {
            let sift = Arc::new(Sift::new(Arc::clone(&late), doubtful.clone()));
            self.round(core, head, (&maps, &left, &traces), deadline, &sift).await;
            let again = sift.take();
            if again.is_empty() {
                return Ok(());
            }
            let left_ms = deadline.left_ms().unwrap_or(0);
            if !has_time_for_another(left_ms, pause_ms) {
                for (index, error) in again {
                    sift.pass(index, &Reply::Failed(self.last_word(error)), None);
                }
                return Ok(());
            }
            left.retain(|asked| again.contains_key(&asked.index));
            let in_doubt = again.iter().filter(|(_, error)| error.outcome() == Outcome::Unknown);
            doubtful.extend(in_doubt.map(|(index, _)| *index));
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
            head.deadline_ms = deadline.left_ms().unwrap_or(0).max(1) as u32;
        }
    }

    /// What a client is told that waited in vain. A node that is cut off does not know who leads; what it would say of the owner
    /// is old.
    fn last_word(&self, error: Error) -> Error {
        if error.outcome() == Outcome::NotApplied && self.maps.is_cut_off() {
            return Error::new(ErrorCode::CutOff, NO_WORD);
        }
        error
    }

    /// Every operation once, here or at its owner.
    async fn round(
        &self,
        core: usize,
        head: FrameHead,
        (maps, asked, traces): Frame<'_>,
        deadline: Deadline,
        sift: &Arc<Sift>,
    ) {
        let mut of_owners: BTreeMap<NodeId, Vec<Asked<'_>>> = BTreeMap::new();
        let mut own = Vec::new();
        for one in asked {
            match self.owner(&one.op) {
                Some(owner) if owner != self.engine.own().node => {
                    of_owners.entry(owner).or_default().push(*one);
                }
                _ => own.push(*one),
            }
        }
        let others = of_owners.iter().map(|(owner, asked)| {
            self.ask_owner(owner.clone(), head, (maps, asked, traces), deadline, sift)
        });
        let here = self.execute_here(core, head, (maps, &own, traces), deadline, sift);
        futures::join!(join_all(others), here);
    }

    /// Who leads the partition of an operation, as far as this node knows.
    fn owner(&self, op: &Op<'_>) -> Option<NodeId> {
        let view = self.engine.view();
        let partition = match op.target() {
            Target::Key(key) => view.table.partitions().partition_of_key(key),
            Target::Partition(partition) => partition,
        };
        view.table.owner(partition).cloned()
    }

    async fn execute_here(
        &self,
        core: usize,
        head: FrameHead,
        (maps, asked, traces): Frame<'_>,
        deadline: Deadline,
        sift: &Arc<Sift>,
    ) {
        if asked.is_empty() {
            return;
        }
        let places: Arc<[usize]> = asked.iter().map(|one| one.index).collect();
        {
            let names = maps.iter().map(|name| &**name);
            let traces = at_places(traces, places.iter().copied());
            let batch = Batch::new(&self.engine, head, names, asked.len());
            let mut batch = batch.traced(traces);
            for one in asked {
                batch.push(one.map, one.op, one.options);
            }
            sift.expect(asked.len());
            let moved: Arc<dyn Late> = Arc::new(Moved::new(Arc::clone(sift), Arc::clone(&places)));
            let mut bytes = 0;
            self.engine.execute(
                core,
                batch,
                deadline,
                &|| Arc::clone(&moved),
                |index, reply, receipt| {
                    sift.answer(places[index], reply, receipt);
                    bytes += reply_bytes(reply);
                    bytes
                },
            );
        }
        sift.all_answered().await;
    }

    async fn ask_owner(
        &self,
        owner: NodeId,
        mut head: FrameHead,
        (maps, asked, traces): Frame<'_>,
        deadline: Deadline,
        sift: &Arc<Sift>,
    ) {
        if self.maps.is_out_of_reach(&owner) {
            for one in asked {
                let cut_off = Error::new(ErrorCode::CutOff, NO_WORD);
                sift.pass(one.index, &Reply::Failed(cut_off), None);
            }
            return;
        }
        let mut writer = RequestWriter::new();
        for one in asked {
            writer.push_with(&maps[one.map], &one.op, &one.options);
        }
        head.is_gateway = false;
        let left_ms = deadline.left_ms().unwrap_or(u64::from(DEFAULT_TIMEOUT_MS));
        let timeout = Duration::from_millis(left_ms + 100);
        let frame = writer.finish(&head);
        let traces = at_places(traces, asked.iter().map(|one| one.index));
        let answer = tokio::select! {
            answer = self.asker.forward(owner.clone(), frame, traces, timeout) => answer,
            // A node that hangs would be waited for until the deadline.
            () = self.until_moved(&owner, asked) => Err(Unanswered::Unknown),
        };
        let answered = match &answer {
            Ok(bytes) => take_answers(&self.engine, bytes, asked, sift),
            Err(_) => vec![false; asked.len()],
        };
        let was_sent = !matches!(answer, Err(Unanswered::NotSent));
        for (one, _) in asked.iter().zip(answered).filter(|(_, answered)| !answered) {
            // Asked again with the same number a write is not executed twice.
            let is_safe = !was_sent || one.op.is_read() || one.options.tag.is_some();
            let error = Error::new(ErrorCode::ConnectionLost, "the owner did not answer");
            if is_safe {
                let outcome = if was_sent { Outcome::Unknown } else { Outcome::NotApplied };
                sift.again(one.index, error.with_outcome(outcome));
            } else {
                sift.pass(one.index, &Reply::Failed(error.with_outcome(Outcome::Unknown)), None);
            }
        }
    }

    /// Until a node leads nothing of what it was asked, as far as this node knows.
    async fn until_moved(&self, owner: &NodeId, asked: &[Asked<'_>]) {
        let is_owner = |one: &Asked<'_>| self.owner(&one.op).as_ref() == Some(owner);
        while asked.iter().any(is_owner) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// A frame that another node forwards: only what this node leads, answered when all of it is.
    pub(crate) async fn serve(&self, core: usize, bytes: &Bytes, traces: Traces) -> Result<Bytes> {
        if let Some(wanted) = Wanted::of_frame(&self.engine, bytes)? {
            self.maps.provide(wanted).await?;
        }
        let gathered = Arc::new(Gathered::default());
        {
            let mut frame = RequestFrame::parse(bytes)?;
            let deadline = Deadline::after_ms(frame.head.deadline_ms);
            let head = frame.head;
            let mut batch = Batch::new(&self.engine, head, frame.maps.iter().copied(), frame.ops);
            for _ in 0..frame.ops {
                let (map, op, options) = frame.next_op()?;
                batch.push(map, op, options);
            }
            let batch = batch.traced(traces);
            gathered.state.lock().left = batch.len();
            let late = || Arc::clone(&gathered) as Arc<dyn Late>;
            self.engine.execute(core, batch, deadline, &late, |index, reply, receipt| {
                gathered.answer(index, reply, receipt);
                gathered.state.lock().replies.bytes()
            });
        }
        gathered.finish(&self.engine).await
    }
}

/// Whether a try behind this pause leaves time for the last word.
fn has_time_for_another(left_ms: u64, pause_ms: u64) -> bool {
    left_ms > pause_ms + LAST_WORD_MS
}

/// Hands the answers of an owner on. Says which operations have one.
fn take_answers(engine: &Engine, bytes: &Bytes, asked: &[Asked<'_>], sift: &Sift) -> Vec<bool> {
    let mut answered = vec![false; asked.len()];
    let Ok(mut frame) = ReplyFrame::parse(bytes) else { return answered };
    engine.learn_clock(frame.clock, clock::now());
    for _ in 0..frame.replies {
        let Ok(reply) = frame.next_reply() else { break };
        let Some(one) = asked.get(reply.index) else { break };
        if !std::mem::replace(&mut answered[reply.index], true) {
            sift.sort(one.index, &reply.reply, reply.receipt.as_ref());
        }
    }
    answered
}

/// Gathers all answers of a frame into one.
#[derive(Default)]
struct Gathered {
    state: Mutex<Gathering>,
    done: Notify,
}

#[derive(Default)]
struct Gathering {
    replies: ReplyWriter,
    left: usize,
}

impl Late for Gathered {
    fn answer(&self, index: usize, reply: &Reply<'_>, receipt: Option<&Receipt>) {
        let mut state = self.state.lock();
        match receipt {
            Some(receipt) => state.replies.put_with_receipt(index, reply, receipt),
            None => state.replies.put(index, reply),
        };
        state.left = state.left.saturating_sub(1);
        if state.left == 0 {
            self.done.notify_one();
        }
    }
}

impl Gathered {
    async fn finish(&self, engine: &Engine) -> Result<Bytes> {
        while self.state.lock().left > 0 {
            self.done.notified().await;
        }
        let (table, clock) = (engine.table_version(), engine.clock());
        Ok(self.state.lock().replies.finish(0, table, clock))
    }
}

/// About how many bytes a reply takes.
pub(crate) fn reply_bytes(reply: &Reply<'_>) -> usize {
    match reply {
        Reply::Found(entry) => entry.value.len() + 64,
        Reply::Written { old: Some(entry), .. }
        | Reply::Deleted { old: Some(entry), .. }
        | Reply::Conflict { current: Some(entry) } => entry.value.len() + 64,
        Reply::Page(page) => entries_bytes(&page.entries),
        Reply::Sought(found) => entries_bytes(&found.entries),
        _ => 64,
    }
}

fn entries_bytes(entries: &[PageEntry<'_>]) -> usize {
    entries.iter().map(|one| one.key.len() + one.entry.value.len() + 64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_comes_while_somebody_listens() {
        for pause_ms in [PAUSE_MIN_MS, PAUSE_MAX_MS] {
            let least = (0..1_000).find(|left_ms| has_time_for_another(*left_ms, pause_ms));
            let left_behind_it = least.expect("a second is enough") - pause_ms;
            assert!(left_behind_it > LAST_WORD_MS, "{left_behind_it} ms behind {pause_ms} ms");
        }
        assert!(!has_time_for_another(0, PAUSE_MIN_MS), "a deadline that has passed");
    }
}
