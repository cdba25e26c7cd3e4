//! What the log on disk promises, with schedules written by hand: a cluster that is killed comes back with everything, one that
//! loses its power with what was synced, and a changed byte is noticed.

use isogrid_sim::Summary;
use isogrid_sim::grid::{Options, Storage, run};
use isogrid_sim::runner::run_one;

const CAME_BACK: &str = "a partition opens after all processes ended at once";
const LOSS: &str = "a loss is declared";
const SUSPECT: &str = "damage on a disk makes its node a suspect";

/// Some seeds with these faults, all of which must be fine.
fn passing(storage: Storage, schedule: &str) -> Summary {
    let schedule = schedule.parse().expect("a schedule");
    let options =
        Options { storage: Some(storage), schedule: Some(schedule), ..Options::default() };
    let mut all = Summary::default();
    for seed in 1..=6 {
        all.add(&run_one(seed, &|seed| run(seed, &options)).summary);
    }
    assert!(all.is_good(), "{}", all.to_text());
    all
}

const KILLED: &str = "at 4s crash-all keep-disk for 1s\nat 9s crash-all keep-disk for 500ms";
const DARK: &str = "at 4s crash-all lose-unsynced for 1s\nat 9s crash-all lose-unsynced for 500ms";

#[test]
fn a_cluster_that_is_killed_comes_back_with_everything() {
    for storage in [Storage::Files, Storage::Mixed, Storage::Synced] {
        let all = passing(storage, KILLED);
        assert!(all.paths.count(CAME_BACK) > 0, "{storage:?}");
        assert_eq!(all.paths.count(LOSS), 0, "{storage:?}");
    }
}

#[test]
fn a_loss_of_power_everywhere_takes_at_most_what_was_not_synced_and_says_so() {
    let synced = passing(Storage::Synced, DARK);
    assert!(synced.paths.count(CAME_BACK) > 0);
    let mixed = passing(Storage::Mixed, DARK);
    assert!(mixed.paths.count(LOSS) > 0, "nobody knows what the other maps had");
}

#[test]
fn a_changed_byte_makes_a_suspect_and_nothing_is_lost() {
    let lines = (0..12).map(|number| format!("at {}s flip-bit n1\n", 4 + number / 4));
    let schedule = lines.collect::<String>() + "at 7s crash n1 keep-disk for 500ms";
    let all = passing(Storage::Files, &schedule);
    assert!(all.paths.count(SUSPECT) > 0);
}

#[test]
fn disks_that_refuse_hold_nothing_up_for_good() {
    let schedule = "at 4s fail-disk n0 for 2s\nat 5s fill-disk n1 for 3s\nat 9s fail-sync n2\n\
        at 10s slow-disk n3 x1000 for 3s\nat 14s fill-disk n0 for 2s\nat 14.500s crash n0 keep-disk for 200ms";
    for storage in [Storage::Files, Storage::Synced] {
        let all = passing(storage, schedule);
        for path in ["a failing disk refuses a write", "a full disk refuses a write"] {
            assert!(all.paths.count(path) > 0, "{path}");
        }
    }
}
