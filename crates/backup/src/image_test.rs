//! Tests of how a partition's records are put together again.

use isogrid_core::{Cause, MapId};
use isogrid_replica::entry::{Answer, Entry};

use super::*;
use crate::manifest::Point;

fn put<'a>(key: &'a str, value: &'a str) -> Effect<'a> {
    let (key, value) = (key.as_bytes(), value.as_bytes());
    Effect::Put { map: MapId(1), key, value, expires_at: Some(Timestamp(9)) }
}

fn remove(key: &str) -> Effect<'_> {
    Effect::Remove { map: MapId(1), key: key.as_bytes(), cause: Cause::Deleted }
}

fn entries(of: &[(u64, Effect<'_>)]) -> Block {
    Block { kind: Kind::Entries, contents: encoded(of) }
}

fn records(of: &[(u64, Effect<'_>)]) -> Block {
    Block { kind: Kind::Records, contents: encoded(of) }
}

fn encoded(of: &[(u64, Effect<'_>)]) -> Vec<u8> {
    let mut contents = Vec::new();
    for (seq, effect) in of {
        let (position, hlc) = (LogPosition::new(1, *seq), Hlc(seq * 10));
        Entry { position, hlc, request: None, answer: Answer::None, effect: *effect }
            .encode(&mut contents);
    }
    contents
}

fn kept(versions: &[u64]) -> Block {
    let mut contents = Vec::new();
    block::put_versions(versions, &mut contents);
    Block { kind: Kind::Kept, contents }
}

fn part(mode: Mode, (from, cut): (u64, u64), (records, kept, entries): (u64, u64, u64)) -> Part {
    let point = |seq| Point { epoch: 1, seq };
    Part { mode, from: point(from), cut: point(cut), records, kept, entries, ..Part::default() }
}

/// Keys, values and versions, in the order of the keys.
fn shown(image: &Image) -> Vec<(String, String, u64)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut shown: Vec<_> = image
        .records
        .iter()
        .map(|((_, key), record)| (text(key), text(&record.value), record.version))
        .collect();
    shown.sort();
    shown
}

fn row(key: &str, value: &str, version: u64) -> (String, String, u64) {
    (key.to_owned(), value.to_owned(), version)
}

/// "a" and "b" from pages, "b" overwritten, "c" written, at position 12.
fn whole() -> Image {
    let mut image = Image::default();
    let blocks = [
        entries(&[(11, put("b", "newer"))]),
        records(&[(3, put("a", "1")), (11, put("b", "newer"))]),
        entries(&[(12, put("c", "3"))]),
    ];
    let part = part(Mode::Whole, (10, 12), (2, 0, 2));
    image.take(&part, &blocks, Hlc(120)).expect("it is sound");
    image
}

#[test]
fn entries_win_over_the_pages_among_which_they_came() {
    assert_eq!(shown(&whole()), [row("a", "1", 3), row("b", "newer", 11), row("c", "3", 12)]);
    let (_, _, record) = whole().into_records().next().expect("a record");
    assert_eq!(record.expires_at, Some(Timestamp(9)), "as it was, to the millisecond");
}

#[test]
fn a_partition_that_is_whole_replaces_what_was_there() {
    let mut image = whole();
    let newer = part(Mode::Whole, (20, 20), (1, 0, 0));
    image.take(&newer, &[records(&[(19, put("z", "9"))])], Hlc(200)).expect("it is sound");
    assert_eq!(shown(&image), [row("z", "9", 19)]);
}

#[test]
fn entries_go_on_from_the_parent() {
    let mut image = whole();
    let next = part(Mode::Entries, (12, 15), (0, 0, 3));
    let blocks = [entries(&[(13, remove("a")), (14, put("d", "4")), (15, put("b", "newest"))])];
    image.take(&next, &blocks, Hlc(150)).expect("it is sound");
    assert_eq!(shown(&image), [row("b", "newest", 15), row("c", "3", 12), row("d", "4", 14)]);
    let cleared = part(Mode::Entries, (15, 17), (0, 0, 2));
    let blocks = [entries(&[(16, Effect::Clear { map: MapId(1) }), (17, put("e", "5"))])];
    image.take(&cleared, &blocks, Hlc(170)).expect("it is sound");
    assert_eq!(shown(&image), [row("e", "5", 17)]);
    let renamed = part(Mode::Entries, (17, 18), (0, 0, 1));
    let (map, value, expires_at) = (MapId(1), b"5", None);
    let rename = Effect::Rename { map, from: b"e", to: b"f", value, expires_at };
    image.take(&renamed, &[entries(&[(18, rename)])], Hlc(180)).expect("it is sound");
    assert_eq!(shown(&image), [row("f", "5", 18)], "it is at one key alone");
}

#[test]
fn of_changes_only_those_records_of_the_parent_stay_that_are_named() {
    let mut image = whole();
    // "b" was removed long ago, "a" was written anew, "c" is as it was and removed while the pages were told.
    let changes = part(Mode::Changes, (40, 41), (1, 1, 1));
    let blocks = [kept(&[12]), records(&[(33, put("a", "new"))]), entries(&[(41, remove("c"))])];
    image.take(&changes, &blocks, Hlc(410)).expect("it is sound");
    assert_eq!(shown(&image), [row("a", "new", 33)]);
}

#[test]
fn what_is_not_as_the_manifest_says_is_refused() {
    let sound = [entries(&[(13, put("d", "4"))])];
    for (wrong, blocks, clock, what) in [
        (part(Mode::Entries, (12, 14), (0, 0, 2)), &sound[..], 150, "an entry is missing"),
        (part(Mode::Entries, (11, 13), (0, 0, 1)), &sound, 150, "a gap"),
        (part(Mode::Entries, (12, 13), (0, 0, 1)), &sound, 129, "behind the cut"),
        (part(Mode::Entries, (12, 14), (0, 0, 1)), &sound, 150, "another cut"),
        (part(Mode::Whole, (12, 13), (1, 0, 1)), &sound, 150, "a record is missing"),
        (part(Mode::Changes, (12, 13), (0, 1, 1)), &sound, 150, "a kept version is missing"),
        (part(Mode::Changes, (12, 13), (0, 1, 1)), &[kept(&[99])], 150, "nobody has it"),
    ] {
        let mut image = whole();
        assert!(image.take(&wrong, blocks, Hlc(clock)).is_err(), "{what}");
    }
}
