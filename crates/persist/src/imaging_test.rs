//! When an image may begin, what is written for it, and what counts when it is on disk.

use isogrid_wal::Record;

use super::*;
use crate::testing::{Kept, PARTITION, restored};
use crate::unwritten::What;

/// A primary alone with some records, all of them on disk.
fn filled() -> Kept {
    let mut kept = Kept::leading("a");
    (0..40).for_each(|number| kept.put(0, &format!("key {number}"), &[7; 90]));
    kept.persist();
    kept
}

/// The same, and the disk has become worthless.
fn voided() -> Kept {
    let mut kept = filled();
    kept.step(Event::DiskVoided);
    kept
}

#[test]
fn an_image_of_sound_data_needs_the_entries_behind_it() {
    let mut kept = filled();
    let mut asked = None;
    let head = kept.on_disk.begin_image(&kept.replica, |from| {
        asked = Some(from);
        Ok::<_, ()>(crate::testing::place(9))
    });
    let head = head.unwrap().unwrap();
    let last = kept.last();
    assert_eq!(asked, Some(ReplayFrom::EntriesAfter(last.seq)));
    assert_eq!((head.partition, head.position), (PARTITION, last));
    assert_eq!((head.replay_from, head.hlc), (crate::testing::place(9), kept.replica.hlc()));
    kept.put(0, "k", b"v");
    assert!(kept.persist());
    assert_eq!(kept.told, kept.last(), "writes go on as before");
}

#[test]
fn there_is_no_image_before_the_reset_of_worthless_data_is_written() {
    let mut kept = voided();
    assert!(kept.begin_image().is_none());
    assert!(kept.persist(), "the reset");
    assert!(kept.begin_image().is_some());
}

#[test]
fn behind_worthless_data_entries_are_written_for_the_image_that_is_begun() {
    let mut kept = voided();
    kept.persist();
    let told = kept.told;
    kept.put(0, "k", b"in the image");
    assert!(kept.unwritten().is_empty());
    let mut writer = kept.begin_image().unwrap();
    let begun = kept.last();
    kept.put(0, "k", b"behind it");
    let unwritten = kept.unwritten();
    let [part] = unwritten.parts[..] else { panic!("it is to be written") };
    assert!(matches!(part.what, What::Entries { first, .. } if first.seq == begun.seq + 1));
    kept.on_disk.was_not_written(&part);
    assert!(kept.persist());
    while !kept.page(&mut writer, 300) {}
    assert!(kept.replica.lacks_image() && kept.replica.commit() == told.seq);
    kept.publish(writer);
    assert!(!kept.replica.lacks_image());
    assert_eq!(kept.replica.commit(), kept.last().seq, "now what stands behind it counts too");
    let last = kept.last();
    assert_eq!(kept.reopened().last(), last);
}

#[test]
fn what_counts_with_an_image_is_told_after_it() {
    let mut kept = voided();
    kept.persist();
    kept.begin_image().unwrap();
    let position = kept.last();
    assert!(kept.on_disk.image_page(&kept.replica, 1 << 20, &mut Vec::new()).unwrap().is_last);
    kept.put(0, "k", b"v");
    kept.persist();
    let imaging = kept.on_disk.end_walk().unwrap();
    let events = kept.on_disk.imaged(&kept.replica, imaging).unwrap();
    assert!(matches!(
        events[..],
        [Event::Imaged { position: at, voided: 1 }, Event::Persisted(behind)]
            if at == position && behind == kept.last()
    ));
    assert_eq!(kept.on_disk.begun_for, None);
}

#[test]
fn an_image_whose_beginning_the_log_refused_was_not_begun() {
    let mut kept = voided();
    kept.persist();
    let written = kept.on_disk.written;
    let refused = kept.on_disk.begin_image(&kept.replica, |_| Err("full"));
    assert_eq!(refused, Err("full"));
    assert_eq!((kept.on_disk.written, kept.on_disk.begun_for), (written, None));
    assert_eq!(kept.on_disk.image_end(&kept.replica), Err(Void));
    kept.put(0, "k", b"v");
    assert!(kept.unwritten().is_empty());
}

#[test]
fn behind_an_image_that_is_given_up_nothing_is_written() {
    let mut kept = voided();
    kept.persist();
    kept.begin_image().unwrap();
    kept.on_disk.drop_image();
    kept.put(0, "k", b"v");
    assert!(kept.unwritten().is_empty());
    assert_eq!(kept.on_disk.image_page(&kept.replica, 300, &mut Vec::new()), Err(Void));
    assert!(kept.on_disk.end_walk().is_none());
    let info = kept.image();
    assert_eq!(info.position, kept.last());
    assert!(!kept.replica.lacks_image(), "another one was taken");
}

#[test]
fn giving_up_an_image_of_sound_data_changes_nothing_for_writes() {
    let mut kept = filled();
    kept.begin_image().unwrap();
    kept.on_disk.drop_image();
    kept.put(0, "k", b"v");
    assert!(kept.persist());
    assert_eq!(kept.told, kept.last());
}

#[test]
fn an_image_ends_when_all_that_it_shows_is_written() {
    let mut kept = filled();
    let mut writer = kept.begin_image().unwrap();
    kept.put(0, "key 99", b"shown, and not written");
    while !kept.page(&mut writer, 300) {}
    assert_eq!(kept.on_disk.image_end(&kept.replica), Ok(None));
    kept.put(0, "key 99", b"not shown");
    kept.persist();
    let shown = kept.last().seq - 1;
    let end = kept.on_disk.image_end(&kept.replica).unwrap().unwrap();
    assert_eq!(end.seq, shown);
}

#[test]
fn an_image_of_worthless_data_waits_for_the_disk_too() {
    let mut kept = voided();
    kept.persist();
    let mut writer = kept.begin_image().unwrap();
    kept.put(0, "k", b"shown, and not written");
    while !kept.page(&mut writer, 300) {}
    assert_eq!(kept.on_disk.image_end(&kept.replica), Ok(None));
    kept.persist();
    assert_eq!(kept.on_disk.image_end(&kept.replica), Ok(Some(kept.last())));
}

#[test]
fn an_image_of_what_became_worthless_meanwhile_is_void() {
    let mut kept = filled();
    kept.begin_image().unwrap();
    kept.on_disk.image_page(&kept.replica, 300, &mut Vec::new()).unwrap();
    kept.step(Event::DiskVoided);
    assert_eq!(kept.on_disk.image_page(&kept.replica, 300, &mut Vec::new()), Err(Void));
    assert_eq!(kept.on_disk.image_end(&kept.replica), Err(Void));
    let imaging = kept.on_disk.end_walk().unwrap();
    assert!(kept.on_disk.imaged(&kept.replica, imaging).is_err());
    assert!(kept.on_disk.end_walk().is_none(), "it is gone");
}

#[test]
fn an_image_of_sound_data_has_nothing_to_tell() {
    let mut kept = filled();
    kept.begin_image().unwrap();
    let imaging = kept.on_disk.end_walk().unwrap();
    assert!(kept.on_disk.imaged(&kept.replica, imaging).unwrap().is_empty());
}

#[test]
fn a_loss_of_power_while_an_image_is_taken_leaves_the_partition_without_data() {
    let mut kept = voided();
    kept.persist();
    kept.begin_image().unwrap();
    kept.put(0, "k", b"v");
    kept.persist();
    kept.log.append(&[Record::Reset { partition: isogrid_core::PartitionId(9) }]).unwrap();
    let (_, recovery) = crate::testing::open(&kept.disk);
    let share = restored(&recovery);
    let entries: u64 = share.replicas.iter().map(|one| one.replica.log().len()).sum();
    assert_eq!((entries, share.faults.len()), (0, 0), "entries for an image that is not there");
}
