//! What looking at a folder tells.

use crate::faulty_disk::FaultyDisk;
use crate::record::Record;
use crate::testing::{append, append_to, reopen, snapshot};
use crate::{Item, WalError, inspect, verify};

fn shown(disk: &FaultyDisk) -> Vec<String> {
    let mut shown = Vec::new();
    let on = |item: Item<'_>| {
        shown.push(match item {
            Item::Segment { number, .. } => format!("segment {number}"),
            Item::Record { record: Record::Entries { first, last, .. }, .. } => {
                format!("{first} to {last}")
            }
            Item::Record { record, .. } => format!("{record:?}").chars().take(7).collect(),
            Item::Bad { partition, .. } => format!("bad {partition:?}"),
            Item::Snapshot(info) => format!("{} with {}", info.path, info.records),
            Item::BadSnapshot(damage) => format!("bad {}", damage.file),
            Item::UnknownRecord { .. } | Item::Temporary(_) => String::new(),
        });
    };
    inspect(disk, on).unwrap();
    shown
}

#[test]
fn all_is_shown_and_nothing_changed() {
    let disk = FaultyDisk::default();
    let (mut log, _) = reopen(&disk);
    append(&mut log, 1, 2).unwrap();
    let place = append_to(&mut log, 2, 1, 1).unwrap();
    snapshot(&disk, &mut log, (2, 2)).unwrap();
    let before: Vec<_> = disk.paths().iter().map(|path| disk.content(path)).collect();
    let whole = ["segment 1", "1.1 to 1.2", "1.1 to 1.1", "Durable", "snap/1-1-2.snap with 2"];
    assert_eq!(shown(&disk), whole);
    let verified = verify(&disk).unwrap();
    assert_eq!((verified.segments, verified.records, verified.damages.len()), (1, 3, 0));
    disk.flip("log/00000000000000000001.log", place.offset as usize + 16, 0);
    disk.flip("snap/1-1-2.snap", 100, 0);
    let broken =
        ["segment 1", "1.1 to 1.2", "bad Some(PartitionId(2))", "Durable", "bad snap/1-1-2.snap"];
    assert_eq!(shown(&disk), broken);
    assert_eq!(verify(&disk).unwrap().damages.len(), 2);
    let after: Vec<_> = disk.paths().iter().map(|path| disk.content(path)).collect();
    assert_ne!(before, after, "only the flips");
}

#[test]
fn an_empty_folder_is_nobodys() {
    assert!(matches!(verify(&FaultyDisk::default()), Err(WalError::Unexpected { .. })));
}
