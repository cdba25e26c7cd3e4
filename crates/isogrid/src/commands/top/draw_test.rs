//! Frames as they come out, at 80x24 and at 160x50. `ISOGRID_SNAPSHOTS=write` writes them anew.

use std::path::PathBuf;

use crate::commands::top::model::Model;
use crate::commands::top::model::tests::{look, model};
use crate::commands::top::text;

/// Compares a frame with the one that was looked at by a person.
#[track_caller]
fn is_as_before(name: &str, frame: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/commands/top/frames");
    let path = folder.join(format!("{name}.txt"));
    if std::env::var_os("ISOGRID_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(&path, frame).expect("it is written");
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(frame, before, "{name} differs; ISOGRID_SNAPSHOTS=write takes it as it is now");
}

#[test]
fn a_small_and_a_wide_terminal() {
    for (width, height) in [(80, 24), (160, 50)] {
        is_as_before(&format!("{width}x{height}"), &text(&model(), (width, height)));
    }
}

#[test]
fn a_cluster_with_a_node_down_and_nothing_known_of_keys() {
    let mut down = look([0, 0, 0]);
    (down.status.health, down.status.safe) = ("degraded".into(), false);
    down.status.partitions_under_replicated = 171;
    down.status.members[2].state = "down".into();
    (down.status.members[2].is_live, down.status.members[2].has_answered) = (false, false);
    down.status.moves.clear();
    down.hot.maps.clear();
    let mut model = Model::default();
    model.take(down, std::time::Instant::now());
    is_as_before("down-80x24", &text(&model, (80, 24)));
}

#[test]
fn any_size_can_be_drawn() {
    for (width, height) in [(1, 1), (20, 5), (40, 10), (119, 24), (120, 12), (300, 100)] {
        let frame = text(&model(), (width, height));
        assert_eq!(frame.lines().count(), usize::from(height));
        assert!(!frame.contains('\u{1b}'));
    }
    assert!(text(&Model::default(), (80, 24)).contains("looking for the cluster"));
}
