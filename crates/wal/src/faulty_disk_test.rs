//! The disk that fails does so as told.

use crate::disk::{Disk, DiskFile};
use crate::faulty_disk::FaultyDisk;

#[test]
fn a_crash_keeps_what_was_synced_and_a_part_of_the_rest() {
    let mut disk = FaultyDisk::default();
    let mut file = disk.create("log/a").unwrap();
    file.write_at(0, b"synced").unwrap();
    file.sync().unwrap();
    disk.sync_folder("log").unwrap();
    file.write_at(6, b"-lost").unwrap();
    disk.create("log/b").unwrap();
    disk.rename("log/b", "log/c").unwrap();
    let mut other = disk.copy();
    disk.crash(|_| 0);
    assert_eq!(disk.paths(), ["log/a"]);
    assert_eq!(disk.content("log/a").unwrap(), b"synced");
    assert!(file.write_at(0, b"x").is_err(), "a handle of an earlier life");
    other.crash(|steps| steps - 1);
    assert_eq!(other.paths(), ["log/a", "log/b"]);
    assert_eq!(other.content("log/a").unwrap(), b"synced-los");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = FaultyDisk::default();
    let mut file = disk.create("log/a").unwrap();
    disk.set_capacity(Some(4));
    assert_eq!(file.write_at(0, b"123456").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(disk.content("log/a").unwrap(), b"1234");
    file.write_at(0, b"abcd").unwrap();
    assert_eq!((disk.used_bytes(), disk.free_bytes().unwrap()), (4, Some(0)));
}
