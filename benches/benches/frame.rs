//! What the compact frame costs per operation on each side: the client encodes requests and decodes replies, the node
//! decodes requests and encodes replies. Keys of 16 and values of 100 bytes, by the number of operations in a frame.
//!
//! `cargo bench -p isogrid-benches --bench frame`

use std::sync::Arc;

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use isogrid_core::{Entry, Hlc, Op, Reply, TableVersion, Version};
use isogrid_proto::frame::{FrameHead, ReplyFrame, ReplyWriter, RequestFrame, RequestWriter};

/// Operations per frame: one caller alone, two sizes of batches, and what 1,024 callers at once make of it.
const OPS: [usize; 4] = [1, 16, 64, 1024];

const VALUE: [u8; 100] = [b'v'; 100];

fn main() {
    divan::main();
}

#[divan::bench(args = OPS)]
fn request_encode_get(bencher: Bencher<'_, '_>, ops: usize) {
    bench_request_encode(bencher, ops, get);
}

#[divan::bench(args = OPS)]
fn request_encode_put(bencher: Bencher<'_, '_>, ops: usize) {
    bench_request_encode(bencher, ops, put);
}

#[divan::bench(args = OPS)]
fn request_decode_get(bencher: Bencher<'_, '_>, ops: usize) {
    bench_request_decode(bencher, ops, get);
}

#[divan::bench(args = OPS)]
fn request_decode_put(bencher: Bencher<'_, '_>, ops: usize) {
    bench_request_decode(bencher, ops, put);
}

#[divan::bench(args = OPS)]
fn reply_encode_found(bencher: Bencher<'_, '_>, ops: usize) {
    bench_reply_encode(bencher, ops, &found());
}

#[divan::bench(args = OPS)]
fn reply_encode_written(bencher: Bencher<'_, '_>, ops: usize) {
    bench_reply_encode(bencher, ops, &written());
}

#[divan::bench(args = OPS)]
fn reply_decode_found(bencher: Bencher<'_, '_>, ops: usize) {
    bench_reply_decode(bencher, ops, &found());
}

#[divan::bench(args = OPS)]
fn reply_decode_written(bencher: Bencher<'_, '_>, ops: usize) {
    bench_reply_decode(bencher, ops, &written());
}

type MakeOp = for<'a> fn(&'a [u8]) -> Op<'a>;

fn get(key: &[u8]) -> Op<'_> {
    Op::Get { key }
}

fn put(key: &[u8]) -> Op<'_> {
    Op::put(key, &VALUE)
}

fn found() -> Reply<'static> {
    Reply::Found(Entry { value: &VALUE, version: Version(7), expires_at: None })
}

fn written() -> Reply<'static> {
    Reply::Written { version: Version(7), old: None }
}

/// The writer lives as long as a connection does, so its memory is not part of the cost of a frame.
fn bench_request_encode(bencher: Bencher<'_, '_>, ops: usize, make: MakeOp) {
    let keys = keys_of(ops);
    let map: Arc<str> = Arc::from("default");
    let mut writer = RequestWriter::new();
    bencher
        .counter(ItemsCount::new(ops))
        .bench_local(|| request_of(&mut writer, &map, black_box(&keys), make));
}

fn bench_request_decode(bencher: Bencher<'_, '_>, ops: usize, make: MakeOp) {
    let map: Arc<str> = Arc::from("default");
    let frame = request_of(&mut RequestWriter::new(), &map, &keys_of(ops), make);
    bencher.counter(ItemsCount::new(ops)).bench(|| {
        let mut frame = RequestFrame::parse(black_box(&frame)).expect("written above");
        for _ in 0..frame.ops {
            black_box(frame.next_op().expect("written above"));
        }
        frame.finish()
    });
}

fn bench_reply_encode(bencher: Bencher<'_, '_>, ops: usize, reply: &Reply<'_>) {
    let mut writer = ReplyWriter::new();
    bencher
        .counter(ItemsCount::new(ops))
        .bench_local(|| reply_of(&mut writer, black_box(reply), ops));
}

fn bench_reply_decode(bencher: Bencher<'_, '_>, ops: usize, reply: &Reply<'_>) {
    let frame = reply_of(&mut ReplyWriter::new(), reply, ops);
    bencher.counter(ItemsCount::new(ops)).bench(|| {
        let mut frame = ReplyFrame::parse(black_box(&frame)).expect("written above");
        for _ in 0..frame.replies {
            black_box(frame.next_reply().expect("written above"));
        }
        frame.finish()
    });
}

fn request_of(writer: &mut RequestWriter, map: &Arc<str>, keys: &[Vec<u8>], make: MakeOp) -> Bytes {
    for key in keys {
        assert!(writer.push(map, &make(key)), "one map fits into any frame");
    }
    writer.finish(&FrameHead {
        frame_id: 1,
        table_version: TableVersion(1),
        ..FrameHead::default()
    })
}

fn reply_of(writer: &mut ReplyWriter, reply: &Reply<'_>, replies: usize) -> Bytes {
    for _ in 0..replies {
        writer.push(reply);
    }
    writer.finish(1, TableVersion(1), Hlc(0))
}

fn keys_of(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("key:{number:012}").into_bytes()).collect()
}
