//! Tests of replies that wait.

use isogrid_core::ErrorCode;

use super::*;

#[test]
fn a_reply_comes_back_as_it_was() {
    let entry = Entry { value: b"value", version: Version(7), expires_at: Some(Timestamp(9)) };
    let page = Page { next: Some(3), at: None, entries: vec![PageEntry { key: b"key", entry }] };
    let replies = [
        Reply::Missing,
        Reply::Found(entry),
        Reply::Flag(true),
        Reply::Written { version: Version(8), old: Some(entry) },
        Reply::Written { version: Version(8), old: None },
        Reply::Conflict { current: Some(entry) },
        Reply::Conflict { current: None },
        Reply::Deleted { version: Version(8), old: Some(entry) },
        Reply::Integer { value: -5, version: Version(8) },
        Reply::Float { value: 0.5, version: Version(8) },
        Reply::Count(12),
        Reply::Page(page),
        Reply::Failed(Error::new(ErrorCode::NotANumber, "no")),
    ];
    for reply in replies {
        assert_eq!(OwnedReply::of(&reply).reply(), reply);
    }
}

#[test]
fn a_reply_that_waits_is_small() {
    assert!(size_of::<OwnedReply>() <= 24);
}
