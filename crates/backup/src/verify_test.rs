//! Tests of verifying: whatever is wrong is found and named.

use isogrid_core::{Effect, Hlc, LogPosition, MapId};
use isogrid_replica::entry::{Answer, Entry};

use super::*;
use crate::block::{self, Kind};
use crate::manifest::{FORMAT, Manifest, Mode, Part, Point, path_of};

fn record(key: u64, seq: u64) -> Vec<u8> {
    let (key, value) = (key.to_le_bytes(), [7; 100]);
    let effect = Effect::Put { map: MapId(1), key: &key, value: &value, expires_at: None };
    let position = LogPosition::new(1, seq);
    let mut bytes = Vec::new();
    Entry { position, hlc: Hlc(seq), request: None, answer: Answer::None, effect }
        .encode(&mut bytes);
    bytes
}

/// A backup of one partition with two records, and one that builds on it with another.
async fn place_of_two() -> (tempfile::TempDir, Place) {
    let folder = tempfile::tempdir().expect("a folder");
    let place = Place::open(folder.path().to_str().expect("text"), None, true).expect("opened");
    let point = |seq| Point { epoch: 1, seq };
    let mut object = Vec::new();
    block::put(Kind::Records, &[record(1, 3), record(2, 4)].concat(), &mut object);
    let objects = vec![place.put("objects/a/p0", object).await.expect("put")];
    let (from, cut) = (point(4), point(4));
    let part = Part { from, cut, records: 2, objects, ..Part::default() };
    write(&place, "a", None, part).await;
    let mut object = Vec::new();
    block::put(Kind::Entries, &record(3, 5), &mut object);
    let objects = vec![place.put("objects/b/p0", object).await.expect("put")];
    let (mode, from, cut) = (Mode::Entries, point(4), point(5));
    let part = Part { mode, from, cut, entries: 1, objects, ..Part::default() };
    write(&place, "b", Some("a"), part).await;
    (folder, place)
}

async fn write(place: &Place, id: &str, parent: Option<&str>, part: Part) {
    let manifest = Manifest {
        format: FORMAT,
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        cut_clock: 5,
        partitions_total: 1,
        partitions: vec![part],
        ..Manifest::default()
    };
    let bytes = manifest.encode().expect("JSON");
    place.put(&path_of(id), bytes).await.expect("put");
}

async fn faults(place: &Place) -> String {
    let verified = verify(place, "b").await.expect("the place can be read");
    let faults: Vec<String> = verified.faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}

#[tokio::test]
async fn a_chain_that_is_whole_is_counted() {
    let (_folder, place) = place_of_two().await;
    let verified = verify(&place, "b").await.expect("the place can be read");
    assert_eq!(verified.faults, []);
    assert_eq!(
        (verified.backups, verified.objects, verified.records),
        (vec!["a".into(), "b".into()], 2, 3)
    );
}

#[tokio::test]
async fn a_flipped_byte_in_a_parent_is_found_and_named() {
    let (folder, place) = place_of_two().await;
    let path = folder.path().join("objects/a/p0");
    let bytes = std::fs::read(&path).expect("there");
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&path, &flipped).expect("written");
        assert!(faults(&place).await.contains("objects/a/p0 is damaged"), "byte {at}");
    }
}

#[tokio::test]
async fn a_missing_object_and_a_missing_parent_are_found() {
    let (folder, place) = place_of_two().await;
    std::fs::remove_file(folder.path().join("objects/b/p0")).expect("there");
    assert!(faults(&place).await.ends_with("objects/b/p0 is missing"));
    std::fs::remove_file(folder.path().join("manifests/a.json")).expect("there");
    assert!(faults(&place).await.ends_with("manifests/a.json is missing"));
}

#[tokio::test]
async fn a_manifest_that_was_cut_off_is_found() {
    let (folder, place) = place_of_two().await;
    let path = folder.path().join("manifests/b.json");
    let bytes = std::fs::read(&path).expect("there");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    assert_eq!(faults(&place).await, "manifests/b.json is damaged: it is cut off");
}

#[tokio::test]
async fn parts_that_do_not_follow_each_other_are_found() {
    let (_folder, place) = place_of_two().await;
    let mut manifest = place.manifest("b").await.expect("whole");
    manifest.partitions[0].from.seq = 3;
    write(&place, "b", Some("a"), manifest.partitions.remove(0)).await;
    assert!(faults(&place).await.contains("partition 0 does not follow its parent"));
    write(&place, "b", Some("b"), Part::default()).await;
    assert!(faults(&place).await.contains("it builds on itself"));
    write(&place, "b", None, Part { partition: 1, ..Part::default() }).await;
    assert!(faults(&place).await.contains("not every partition is in it once"));
}
