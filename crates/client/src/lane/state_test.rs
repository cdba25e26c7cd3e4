//! The state machine of a lane, step by step, with a node played by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use bytes::Bytes;
use isogrid_core::{
    Error, ErrorCode, Hlc, Limits, Op, Outcome, Reply, Result, SessionId, TableVersion, Timestamp,
    TraceContext, Version,
};
use isogrid_proto::frame::{OpOptions, ReplyWriter, RequestFrame};

use super::operations::{Item, Operations};
use super::reply::OwnedReply;
use super::seen::Seen;
use super::slots::{Answer, Room, SlotKey};
use super::state::State;

/// Gets of keys of map "m".
struct Gets<'a>(&'a [&'a str]);

impl Operations for Gets<'_> {
    fn room(&self) -> Room {
        Room { ops: self.0.len() as u32, bytes: 100 * self.0.len() }
    }

    fn are_many(&self) -> bool {
        self.0.len() > 1
    }

    fn each(&self, mut show: impl FnMut(&Item<'_>)) {
        let map: Arc<str> = "m".into();
        for (index, key) in self.0.iter().enumerate() {
            let op = Op::Get { key: key.as_bytes() };
            let (options, session) = match key.strip_prefix("tag") {
                Some(session) => (OpOptions::tagged(1, 0), session.parse().ok().map(SessionId)),
                None => (OpOptions::NONE, None),
            };
            let (index, bytes) = (index as u32, 100);
            let trace = key.strip_prefix("trace").and_then(|number| number.parse().ok().map(trace));
            let trace = trace.as_ref();
            show(&Item { index, map: &map, op: &op, options, session, trace, bytes });
        }
    }
}

/// The trace of this number.
fn trace(number: u8) -> TraceContext {
    TraceContext::root([number; 16]).expect("not nought")
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A lane, its node, and how often somebody was woken.
struct Bench {
    state: State,
    woken: Arc<Count>,
    waker: Waker,
    now_ms: u64,
    connection: u64,
    /// What it shares with other lanes.
    seen: Arc<Seen>,
}

impl Bench {
    fn connected(limits: &Limits) -> Bench {
        let woken = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&woken));
        let seen = Arc::<Seen>::default();
        let state = State::new(Arc::clone(&seen));
        let mut bench = Bench { state, woken, waker, now_ms: 0, connection: 0, seen };
        bench.connect(limits);
        bench
    }

    fn connect(&mut self, limits: &Limits) {
        self.connection = self.state.begin();
        self.state.connected(limits, &mut Vec::new());
    }

    fn submit(&mut self, keys: &[&str], deadline_ms: u64) -> SlotKey {
        let submitted = self.state.submit(&Gets(keys), deadline_ms, &self.waker, self.now_ms);
        let (key, sender) = submitted.expect("the lane is open");
        if let Some(sender) = sender {
            sender.wake();
        }
        key
    }

    /// The next frame and the keys in it.
    fn sent(&mut self) -> Option<(u32, Vec<String>, u32)> {
        let mut wakers = Vec::new();
        let now = (self.now_ms, TableVersion(0));
        let taken = self.state.take_frame(self.connection, &self.waker, now, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        let Poll::Ready(Some(bytes)) = taken else { return None };
        let mut frame = RequestFrame::parse(&bytes).expect("a frame");
        let mut keys = Vec::new();
        for _ in 0..frame.ops {
            let (_, op, _) = frame.next_op().expect("an operation");
            let Op::Get { key } = op else { panic!("a get") };
            keys.push(String::from_utf8_lossy(key).into_owned());
        }
        frame.finish().expect("nothing else");
        Some((frame.head.frame_id, keys, frame.head.deadline_ms))
    }

    /// The node answers each key with the key itself.
    fn answer(&mut self, frame: u32, keys: &[String]) -> Result<usize> {
        let mut replies = ReplyWriter::new();
        for key in keys {
            let expires_at = Some(Timestamp(1));
            let entry =
                isogrid_core::Entry { value: key.as_bytes(), version: Version(1), expires_at };
            replies.push(&Reply::Found(entry));
        }
        let mut wakers = Vec::new();
        let bytes: Bytes = replies.finish(frame, TableVersion(0), Hlc(0));
        let completed = self.state.complete(&bytes, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
        completed.map(|completed| completed.replies)
    }

    /// What a caller has: values, or the outcome of its failure; `None` while it waits.
    fn poll(&mut self, key: SlotKey, keys: &[&str]) -> Option<Vec<Result<String>>> {
        let (answer, _) = self.state.poll(key, &Gets(keys), &self.waker, self.now_ms);
        let Poll::Ready(answer) = answer else { return None };
        let replies = match answer {
            Answer::One(reply) => vec![reply],
            Answer::Many(replies) => replies,
        };
        let text = |reply: OwnedReply| match reply {
            OwnedReply::Found(entry) => Ok(String::from_utf8_lossy(&entry.value).into_owned()),
            other => Err(other.unexpected()),
        };
        Some(replies.into_iter().map(text).collect())
    }

    fn sweep(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.state.sweep(now_ms, &mut Vec::new());
    }

    fn woken(&self) -> usize {
        self.woken.0.swap(0, Ordering::Relaxed)
    }
}

fn texts(values: Option<Vec<Result<String>>>) -> Vec<String> {
    let values = values.expect("answered");
    values.into_iter().map(|value| value.expect("a value")).collect()
}

fn failure(values: Option<Vec<Result<String>>>) -> (ErrorCode, Outcome) {
    let error: Error = values.expect("answered").remove(0).expect_err("a failure");
    (error.code(), error.outcome())
}

#[test]
fn what_gathers_goes_out_as_one_frame_and_replies_find_their_callers() {
    let mut bench = Bench::connected(&Limits::default());
    assert_eq!(bench.sent(), None, "the sender sleeps");
    let a = bench.submit(&["a"], 1_000);
    assert_eq!(bench.woken(), 1, "the first wakes the sender");
    let many = bench.submit(&["b", "c", "d"], 3_000);
    let e = bench.submit(&["e"], 2_000);
    assert_eq!(bench.woken(), 0, "the others do not");
    let (frame, keys, deadline_ms) = bench.sent().expect("a frame");
    assert_eq!(keys, ["a", "b", "c", "d", "e"]);
    assert_eq!(deadline_ms, 3_000, "the longest of all");
    assert_eq!(bench.poll(a, &["a"]), None);
    assert_eq!(bench.answer(frame, &keys), Ok(5));
    assert_eq!(bench.woken(), 3, "one per caller, not one per key");
    assert_eq!(texts(bench.poll(many, &["b", "c", "d"])), ["b", "c", "d"]);
    assert_eq!(texts(bench.poll(e, &["e"])), ["e"]);
    assert_eq!(texts(bench.poll(a, &["a"])), ["a"]);
    assert!(!bench.state.is_busy());
}

#[test]
fn callers_beyond_the_limit_wait_in_order() {
    let limits = Limits { in_flight_ops_max: 2, ..Limits::default() };
    let mut bench = Bench::connected(&limits);
    let a = bench.submit(&["a"], 1_000);
    let pair = bench.submit(&["b", "c"], 1_000);
    let d = bench.submit(&["d"], 1_000);
    let (frame, keys, _) = bench.sent().expect("a frame");
    assert_eq!(keys, ["a"], "there is no room for two, and nobody overtakes");
    assert_eq!(bench.sent(), None);
    bench.woken();
    assert_eq!(bench.answer(frame, &keys), Ok(1));
    assert_eq!(bench.woken(), 2, "the caller of a, and the pair");
    assert_eq!(bench.poll(pair, &["b", "c"]), None, "it goes in now");
    assert_eq!(bench.poll(d, &["d"]), None, "still no room");
    let (frame, keys, _) = bench.sent().expect("a frame");
    assert_eq!(keys, ["b", "c"]);
    assert_eq!(bench.answer(frame, &keys), Ok(2));
    assert_eq!(bench.poll(d, &["d"]), None);
    assert_eq!(bench.sent().expect("a frame").1, ["d"]);
    assert_eq!(texts(bench.poll(a, &["a"])), ["a"]);
}

#[test]
fn a_caller_that_leaves_passes_its_room_on() {
    let limits = Limits { in_flight_ops_max: 1, ..Limits::default() };
    let mut bench = Bench::connected(&limits);
    let a = bench.submit(&["a"], 1_000);
    let b = bench.submit(&["b"], 1_000);
    let c = bench.submit(&["c"], 1_000);
    let (frame, keys, _) = bench.sent().expect("a frame");
    bench.state.release(a, &mut Vec::new());
    assert_eq!(bench.answer(frame, &keys), Ok(1), "the late reply finds nobody");
    let mut wakers = Vec::new();
    bench.state.release(b, &mut wakers);
    assert_eq!(wakers.len(), 1, "b was admitted and left: c is next");
    assert_eq!(bench.poll(c, &["c"]), None);
    assert_eq!(bench.sent().expect("a frame").1, ["c"]);
}

#[test]
fn what_was_not_sent_in_time_is_taken_back() {
    let mut bench = Bench::connected(&Limits::default());
    bench.state.disconnected(Error::new(ErrorCode::CannotConnect, "refused"), &mut Vec::new());
    let early = bench.submit(&["early"], 100);
    let pair = bench.submit(&["p", "q"], 100);
    let late = bench.submit(&["late"], 5_000);
    let left = bench.submit(&["left"], 5_000);
    bench.state.release(left, &mut Vec::new());
    bench.sweep(99);
    assert_eq!(bench.poll(early, &["early"]), None);
    bench.sweep(100);
    let expected = (ErrorCode::DeadlineBeforeStart, Outcome::NotApplied);
    assert_eq!(failure(bench.poll(early, &["early"])), expected);
    assert_eq!(failure(bench.poll(pair, &["p", "q"])), expected);
    bench.connect(&Limits::default());
    let (frame, keys, deadline_ms) = bench.sent().expect("a frame");
    assert_eq!((keys.as_slice(), deadline_ms), (&["late".to_owned()][..], 4_900));
    assert_eq!(bench.answer(frame, &keys), Ok(1));
    assert_eq!(texts(bench.poll(late, &["late"])), ["late"]);
}

#[test]
fn what_was_sent_and_not_answered_has_an_unknown_outcome() {
    let mut bench = Bench::connected(&Limits::default());
    let slow = bench.submit(&["slow"], 100);
    let (frame, keys, _) = bench.sent().expect("a frame");
    let lost = bench.submit(&["lost"], 5_000);
    bench.sent().expect("a frame");
    let kept = bench.submit(&["kept"], 5_000);
    bench.sweep(150);
    assert_eq!(
        failure(bench.poll(slow, &["slow"])),
        (ErrorCode::DeadlineInFlight, Outcome::Unknown)
    );
    assert_eq!(bench.answer(frame, &keys), Ok(1), "its late reply harms nobody");
    bench.state.disconnected(Error::new(ErrorCode::ConnectionLost, "reset"), &mut Vec::new());
    assert_eq!(failure(bench.poll(lost, &["lost"])), (ErrorCode::ConnectionLost, Outcome::Unknown));
    assert_eq!(bench.sent(), None, "the old connection gets nothing more");
    bench.connect(&Limits::default());
    assert_eq!(bench.sent().expect("a frame").1, ["kept"]);
    assert_eq!(bench.poll(kept, &["kept"]), None);
}

#[test]
fn replies_that_do_not_fit_are_a_defect() {
    let mut bench = Bench::connected(&Limits::default());
    let a = bench.submit(&["a"], 1_000);
    let (frame, keys, _) = bench.sent().expect("a frame");
    let code = |result: Result<usize>| result.map_err(|error| error.code());
    assert_eq!(code(bench.answer(frame + 1, &keys)), Err(ErrorCode::Internal));
    assert_eq!(bench.answer(frame, &[]), Ok(0), "the rest may come later");
    bench.state.disconnected(Error::new(ErrorCode::Internal, "mismatch"), &mut Vec::new());
    assert_eq!(failure(bench.poll(a, &["a"])), (ErrorCode::Internal, Outcome::Unknown));
}

#[test]
fn frames_are_bounded_and_a_full_one_does_not_hold_up_the_next() {
    let limits = Limits { batch_ops_max: 2, ..Limits::default() };
    let mut bench = Bench::connected(&limits);
    let keys = ["a", "b", "c", "d"];
    let slot = bench.submit(&keys, 1_000);
    let mut frames = Vec::new();
    while let Some((frame, keys, _)) = bench.sent() {
        assert!(keys.len() <= 2);
        frames.push((frame, keys));
    }
    assert_eq!(frames.len(), 2);
    // Also when the node answers in another order.
    for (frame, sent) in frames.into_iter().rev() {
        assert_eq!(bench.poll(slot, &keys), None);
        assert!(bench.answer(frame, &sent).is_ok());
    }
    assert_eq!(texts(bench.poll(slot, &keys)), keys);
}

#[test]
fn a_frame_carries_the_newest_clock_known_when_it_was_closed() {
    let limits = Limits { batch_ops_max: 1, ..Limits::default() };
    let mut bench = Bench::connected(&limits);
    bench.submit(&["a"], 1_000);
    let (frame, _, _) = bench.sent().expect("a frame");
    let mut replies = ReplyWriter::new();
    replies.put(0, &Reply::Missing);
    let bytes = replies.finish(frame, TableVersion(0), Hlc(160));
    bench.state.complete(&bytes, &mut Vec::new()).expect("a reply");
    assert_eq!(bench.seen.newest(), Hlc(160), "every lane knows");
    bench.seen.note(Hlc(320));
    bench.submit(&["b"], 1_000);
    // The frame of "b" is full, and closed by this, long before it is sent.
    bench.submit(&["c"], 1_000);
    let mut wakers = Vec::new();
    let now = (0, TableVersion(0));
    let taken = bench.state.take_frame(bench.connection, &bench.waker, now, &mut wakers);
    let Poll::Ready(Some(bytes)) = taken else { panic!("a frame") };
    assert_eq!(RequestFrame::parse(&bytes).expect("a frame").head.clock, Hlc(320));
}

#[test]
fn closing_ends_everything() {
    let mut bench = Bench::connected(&Limits { in_flight_ops_max: 2, ..Limits::default() });
    let sent = bench.submit(&["sent"], 1_000);
    bench.sent().expect("a frame");
    let unsent = bench.submit(&["unsent"], 1_000);
    let queued = bench.submit(&["queued"], 1_000);
    bench.state.close(0, &mut Vec::new());
    assert_eq!(failure(bench.poll(sent, &["sent"])).1, Outcome::Unknown);
    assert_eq!(failure(bench.poll(unsent, &["unsent"])).1, Outcome::NotApplied);
    assert_eq!(failure(bench.poll(queued, &["queued"])).1, Outcome::NotApplied);
    assert!(bench.state.submit(&Gets(&["late"]), 1, &bench.waker, 0).is_err());
    assert_eq!(bench.sent(), None);
}

#[test]
fn a_frame_may_be_answered_piece_by_piece_and_each_operation_once() {
    let mut bench = Bench::connected(&Limits::default());
    let a = bench.submit(&["a"], 1_000);
    let pair = bench.submit(&["b", "c"], 1_000);
    let (frame, _, _) = bench.sent().expect("a frame");
    let piece = |indexes: &[usize], bench: &mut Bench| {
        let mut replies = ReplyWriter::new();
        for index in indexes {
            replies.put(*index, &Reply::Missing);
        }
        let bytes = replies.finish(frame, TableVersion(0), Hlc(0));
        bench.state.complete(&bytes, &mut Vec::new()).map(|completed| completed.replies)
    };
    assert_eq!(piece(&[2, 0], &mut bench), Ok(2));
    assert!(bench.poll(a, &["a"]).is_some());
    assert_eq!(bench.poll(pair, &["b", "c"]), None, "one of the two is missing");
    assert_eq!(piece(&[1], &mut bench), Ok(1));
    assert!(bench.poll(pair, &["b", "c"]).is_some());
    assert!(piece(&[1], &mut bench).is_err(), "the frame is done");
    bench.submit(&["d", "e"], 1_000);
    let (frame, _, _) = bench.sent().expect("a frame");
    let mut replies = ReplyWriter::new();
    replies.put(0, &Reply::Missing);
    replies.put(0, &Reply::Missing);
    let bytes = replies.finish(frame, TableVersion(0), Hlc(0));
    assert!(bench.state.complete(&bytes, &mut Vec::new()).is_err(), "answered twice");
}

#[test]
fn a_frame_that_waits_long_holds_up_no_other() {
    let mut bench = Bench::connected(&Limits::default());
    for key in ["a", "b", "c", "d"] {
        bench.submit(&[key], 1_000);
        bench.sent().expect("a frame");
    }
    bench.submit(&["e"], 1_000);
    assert_eq!(bench.sent(), None, "enough frames are on their way");
    bench.sweep(19);
    assert_eq!(bench.sent(), None);
    bench.sweep(20);
    assert_eq!(bench.sent().expect("a frame").1, ["e"]);
}

#[test]
fn a_frame_has_the_writes_of_one_session() {
    let mut bench = Bench::connected(&Limits::default());
    bench.submit(&["a", "tag7", "b", "tag8", "tag8"], 1_000);
    assert_eq!(bench.sent().expect("a frame").1, ["a", "tag7", "b"]);
    assert_eq!(bench.sent().expect("a frame").1, ["tag8", "tag8"]);
}

#[test]
fn what_was_not_sent_goes_back_when_its_partitions_move() {
    let limits = Limits { in_flight_ops_max: 3, ..Limits::default() };
    let mut bench = Bench::connected(&limits);
    let sent = bench.submit(&["sent"], 1_000);
    let (frame, keys, _) = bench.sent().expect("a frame");
    let unsent = bench.submit(&["tag7", "b"], 1_000);
    let queued = bench.submit(&["queued"], 1_000);
    let moved = Error::new(ErrorCode::NotOwner, "moved");
    bench.state.take_back(&moved, 0, &mut Vec::new());
    let expected = (ErrorCode::NotOwner, Outcome::NotApplied);
    assert_eq!(failure(bench.poll(unsent, &["tag7", "b"])), expected);
    assert_eq!(failure(bench.poll(queued, &["queued"])), expected);
    assert_eq!(bench.answer(frame, &keys), Ok(1));
    assert_eq!(texts(bench.poll(sent, &["sent"])), ["sent"]);
    bench.submit(&["1", "2", "3"], 1_000);
    assert_eq!(bench.sent().expect("all room is free again").1.len(), 3);
}

#[test]
fn traces_go_along_with_their_operations() {
    let mut bench = Bench::connected(&Limits::default());
    let traced = |bench: &mut Bench| -> Vec<(u32, u32, u8)> {
        let traces = bench.state.pending.take_traces();
        traces.iter().map(|one| (one.first, one.ops, one.context.trace()[0])).collect()
    };
    bench.submit(&["a"], 1_000);
    bench.submit(&["trace1", "trace1"], 1_000);
    let late = bench.submit(&["trace2"], 10);
    bench.submit(&["b"], 1_000);
    bench.submit(&["trace3"], 1_000);
    // What is taken back before it was sent takes its trace with it, and the others move up.
    bench.sweep(20);
    assert_eq!(failure(bench.poll(late, &["trace2"])).1, Outcome::NotApplied);
    let (_, keys, _) = bench.sent().expect("a frame");
    assert_eq!(keys, ["a", "trace1", "trace1", "b", "trace3"]);
    assert_eq!(traced(&mut bench), [(1, 2, 1), (4, 1, 3)]);
    bench.submit(&["c"], 1_000);
    bench.sent().expect("a frame");
    assert_eq!(traced(&mut bench), [], "another frame has none of them");
}
