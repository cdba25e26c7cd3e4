//! How a file is cut: by size, before equal keys, and at what is bad.

use std::io::Cursor;

use super::super::super::files::jsonl::JsonlReader;
use super::*;

fn cut(text: &str, skip_bad: bool) -> Vec<Message> {
    let input = Box::new(Cursor::new(text.to_owned()));
    let mut cutter = Cutter::new(Box::new(JsonlReader::new(input, Position::default())), skip_bad);
    std::iter::from_fn(|| cutter.next()).collect()
}

fn line(key: &str, rest: &str) -> String {
    format!("{{\"key\":\"{key}\",\"value\":\"v\"{rest}}}\n")
}

fn batch(message: &Message) -> &Batch {
    match message {
        Message::Batch(batch) => batch,
        Message::Fault(fault) => panic!("{fault:?}"),
    }
}

fn keys(batch: &Batch) -> String {
    let keys = batch.rows.iter().map(|(_, row)| String::from_utf8_lossy(&row.key).into_owned());
    keys.collect::<Vec<_>>().join(" ")
}

#[test]
fn batches_are_bounded_in_rows_and_in_bytes() {
    let text: String = (0..1100).map(|n| line(&n.to_string(), "")).collect();
    let sizes: Vec<usize> = cut(&text, false).iter().map(|one| batch(one).rows.len()).collect();
    assert_eq!(sizes, [512, 512, 76]);
    let large = "x".repeat(400 << 10);
    let text: String =
        (0..7).map(|n| format!("{{\"key\":\"{n}\",\"value\":\"{large}\"}}\n")).collect();
    let sizes: Vec<usize> = cut(&text, false).iter().map(|one| batch(one).rows.len()).collect();
    assert_eq!(sizes, [3, 3, 1]);
    assert!(cut("", false).is_empty());
}

#[test]
fn a_key_that_comes_again_waits_for_the_first() {
    let text: String = ["a", "b", "a", "c", "b", "d"].map(|key| line(key, "")).concat();
    let cut = cut(&text, false);
    let told: Vec<(String, bool, u64)> =
        cut.iter().map(batch).map(|one| (keys(one), one.waits, one.end.lines)).collect();
    let expected = [("a b", false, 2), ("a c", true, 4), ("b d", true, 6)];
    assert_eq!(told, expected.map(|(keys, waits, lines)| (keys.to_owned(), waits, lines)));
}

#[test]
fn a_key_far_behind_does_not_wait_and_is_forgotten() {
    let many = BATCHES_IN_FLIGHT * BATCH_ROWS;
    let numbers = (0..5 * many).chain([0]);
    let text: String = numbers.map(|n| line(&n.to_string(), "")).collect();
    assert!(cut(&text, false).iter().all(|one| !batch(one).waits));
    let near = (0..many - 1).chain([0]);
    let text: String = near.map(|n| line(&n.to_string(), "")).collect();
    assert!(batch(cut(&text, false).last().expect("batches")).waits);
}

#[test]
fn what_has_expired_is_left_out() {
    let text = [
        line("a", ",\"expires_at\":1"),
        line("b", ",\"expires_at\":18446744073709551615"),
        line("c", ",\"expires_at\":\"1999-01-01T00:00:00Z\""),
    ];
    let cut = cut(&text.concat(), false);
    let only = batch(&cut[0]);
    assert_eq!((cut.len(), keys(only), only.expired, only.end.lines), (1, "b".into(), 2, 3));
}

#[test]
fn a_bad_row_ends_it_or_is_counted() {
    let text = [line("a", ""), "nonsense\n".into(), line("b", "")].concat();
    let stopped = cut(&text, false);
    assert_eq!((stopped.len(), keys(batch(&stopped[0])).as_str()), (2, "a"));
    assert_eq!(batch(&stopped[0]).end.lines, 1, "behind the last good row");
    assert!(matches!(stopped[1], Message::Fault(ReadFault::Bad(BadRow { line: 2, .. }))));
    let skipped = cut(&text, true);
    assert_eq!((skipped.len(), keys(batch(&skipped[0])).as_str()), (1, "a b"));
    assert_eq!((batch(&skipped[0]).bad.len(), batch(&skipped[0]).end.lines), (1, 3));
    assert!(matches!(cut("nonsense", false)[..], [Message::Fault(_)]));
    assert_eq!(batch(&cut("nonsense", true)[0]).bad.len(), 1);
}
