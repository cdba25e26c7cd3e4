//! Tests of schedules: their text, their moments, and what is drawn from a seed.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::faults::DiskFate;
use crate::network::NodeIndex;
use crate::random::Random;

fn drawn(profile: Profile, seed: u64) -> Schedule {
    let settings = GenerateSettings { profile, ..GenerateSettings::default() };
    Schedule::generate(&settings, &Random::new(seed).fork("faults"))
}

#[test]
fn a_schedule_is_read_as_it_is_written_and_comments_are_skipped() {
    for seed in 0..50 {
        let schedule = drawn(Profile::All, seed);
        assert_eq!(schedule.to_string().parse(), Ok(schedule));
    }
    let text = "# a comment\n\nat 2s restart n1 # why\nat 1s crash n1 keep-disk\n";
    let schedule: Schedule = text.parse().unwrap();
    assert_eq!(schedule.to_string(), "at 1.000s crash n1 keep-disk\nat 2.000s restart n1\n");
    let error = "\nat 1s nonsense".parse::<Schedule>().unwrap_err();
    assert_eq!(error.to_string(), "line 2: \"nonsense\" is not a fault");
}

#[test]
fn moments_come_in_order_and_ends_before_beginnings() {
    let text = "at 1s pause n1 for 1s\nat 2s pause n1 for 500ms\nat 1.5s join n5";
    let schedule: Schedule = text.parse().unwrap();
    let moments: Vec<String> = schedule
        .moments()
        .iter()
        .map(|moment| format!("{} {:?} {} {:?}", moment.at, moment.edge, moment.fault, moment.id))
        .collect();
    assert_eq!(
        moments,
        [
            "1.000s Begin pause n1 (0, 0)",
            "1.500s Begin join n5 (1, 0)",
            "2.000s End pause n1 (0, 0)",
            "2.000s Begin pause n1 (2, 0)",
            "2.500s End pause n1 (2, 0)",
        ]
    );
    assert_eq!(schedule.end(), SimTime::from_millis(2_500));
}

#[test]
fn a_flapping_node_is_cut_again_and_again_until_the_end() {
    let schedule: Schedule = "at 1s flap n2 300ms for 1s".parse().unwrap();
    let times: Vec<(u64, Edge)> =
        schedule.moments().iter().map(|moment| (moment.at.0 / 1_000_000, moment.edge)).collect();
    let (begin, end) = (Edge::Begin, Edge::End);
    assert_eq!(times, [(1_000, begin), (1_300, end), (1_600, begin), (1_900, end)]);
    assert!(schedule.moments().iter().all(|moment| moment.fault.is_cut()));
    let endless: Schedule = "at 1s flap n2 300ms".parse().unwrap();
    assert_eq!(endless.moments().len(), 20);
}

#[test]
fn a_seed_gives_the_same_schedule_and_another_seed_another() {
    assert_eq!(drawn(Profile::All, 3), drawn(Profile::All, 3));
    assert_ne!(drawn(Profile::All, 3), drawn(Profile::All, 4));
}

#[test]
fn every_profile_draws_its_kinds_and_all_draws_them_all() {
    let kinds = |profile| -> BTreeSet<&str> {
        (0..100)
            .flat_map(|seed| drawn(profile, seed).faults().to_vec())
            .map(|timed| timed.fault.kind())
            .collect()
    };
    assert!(kinds(Profile::Calm).is_empty());
    assert!(kinds(Profile::Network).contains("clog"));
    assert!(!kinds(Profile::Network).contains("pause"));
    assert!(kinds(Profile::Clocks).contains("jump-clock"));
    let all = kinds(Profile::All);
    for profile in Profile::EVERY {
        assert!(kinds(profile).is_subset(&all), "{profile}");
        assert_eq!(profile.name().parse(), Ok(profile));
    }
    assert!(all.contains("forge-gossip") && all.contains("crash-all lose-unsynced"), "{all:?}");
    assert!("everything".parse::<Profile>().unwrap_err().contains("membership"));
}

#[test]
fn a_drawn_schedule_has_thirty_faults_within_its_time() {
    let settings = GenerateSettings::default();
    for seed in 0..200 {
        let schedule = drawn(Profile::All, seed);
        assert!(schedule.len() >= 30, "{}", schedule.len());
        assert!(schedule.faults()[0].at >= settings.from);
        assert!(schedule.end() <= settings.until + Duration::from_millis(1));
        assert!(schedule.faults().iter().all(|f| f.lasts.is_some() == f.fault.has_duration()));
    }
}

#[test]
fn not_too_many_nodes_are_down_at_a_time() {
    for seed in 0..200 {
        let mut down = BTreeMap::new();
        for moment in drawn(Profile::Crashes, seed).moments() {
            let is_one = matches!(moment.fault, Fault::Crash { .. } | Fault::Pause { .. });
            if is_one && moment.edge == Edge::Begin {
                down.insert(moment.id, ());
            } else {
                down.remove(&moment.id);
            }
            assert!(down.len() <= GenerateSettings::default().down_max, "seed {seed}");
        }
    }
}

#[test]
fn what_loses_memory_for_good_leaves_time_to_become_whole_again() {
    let gap = GenerateSettings::default().loss_gap;
    for seed in 0..200 {
        let schedule = drawn(Profile::Crashes, seed);
        let losses: Vec<&TimedFault> =
            schedule.faults().iter().filter(|f| f.fault.loses_memory_for_good()).collect();
        for pair in losses.windows(2) {
            assert!(pair[0].ends().is_some_and(|end| pair[1].at >= end + gap), "seed {seed}");
        }
    }
}

#[test]
fn only_allowed_disks_are_lost_and_the_cluster_keeps_its_size() {
    let settings = GenerateSettings {
        disks: vec![DiskFate::Kept],
        crash_all: false,
        ..GenerateSettings::default()
    };
    for seed in 0..100 {
        let schedule = Schedule::generate(&settings, &Random::new(seed));
        let mut present: BTreeSet<NodeIndex> = (0..settings.nodes).map(NodeIndex).collect();
        for timed in schedule.faults() {
            assert!(!timed.fault.loses_memory_for_good(), "{timed}");
            assert!(!matches!(timed.fault, Fault::CrashAll { .. }), "{timed}");
            match &timed.fault {
                Fault::Join { node } => assert!(present.insert(*node)),
                Fault::Leave { node } => assert!(present.remove(node)),
                _ => {}
            }
            let count = present.len() as u16;
            assert!((settings.nodes_min..=settings.nodes_max).contains(&count));
        }
    }
}
