//! Each rule of the protocol, switched off in the real code, is caught by the simulator within 500 seeds; and the seed that
//! caught it is fine with the rule kept, so that it was the rule and nothing else.

use isogrid_sim::grid::rules::named;
use isogrid_sim::grid::{Options, run};
use isogrid_sim::runner::{RunSettings, run_one, run_seeds};

const SEEDS: u64 = 500;

fn is_caught(name: &str) {
    let rule = named(name).expect("the rule has a switch");
    let mut broken = Options::default();
    (rule.switch_off)(&mut broken);
    let settings = RunSettings { first_seed: 1, seeds: SEEDS, threads: 2, failures_max: 1 };
    let mut found = None;
    run_seeds(&settings, &|seed| run(seed, &broken), &mut |progress| {
        if !progress.summary.is_good() {
            found = found.or(Some(progress.seed));
        }
    });
    let Some(seed) = found else { panic!("{name} is off, and {SEEDS} seeds find nothing") };
    let kept = Options {
        replica_rules: Options::default().replica_rules,
        council_rules: Options::default().council_rules,
        ..broken
    };
    let with_rule = run_one(seed, &|seed| run(seed, &kept)).summary;
    assert!(with_rule.is_good(), "seed {seed} fails with {name} kept: {}", with_rule.to_text());
}

#[test]
fn r1_a_message_of_an_old_epoch_is_refused() {
    is_caught("fence");
}

#[test]
fn r2_only_a_current_in_sync_member_is_promoted() {
    is_caught("promote-only-in-sync");
    is_caught("promote-only-current");
}

#[test]
fn r3_a_removal_is_committed_before_it_counts() {
    is_caught("shrink-before-ack");
}

#[test]
fn r4_a_new_life_proves_its_storage() {
    is_caught("rebind-requires-proof");
    is_caught("new-epoch-on-primary-restart");
}

#[test]
fn r5_an_addition_is_for_the_life_it_names() {
    is_caught("addition-checks-incarnation");
}

#[test]
fn r6_a_proposed_learner_counts_as_required() {
    is_caught("count-additions");
}

#[test]
fn r7_logs_match_by_epoch_and_number() {
    is_caught("match-epochs");
}

#[test]
fn r8_an_entry_is_on_disk_before_it_counts() {
    is_caught("persist-before-count");
}

#[test]
fn r9_an_epoch_opens_with_its_first_entry() {
    is_caught("barrier");
}

#[test]
fn r10_the_last_members_stay_recorded() {
    is_caught("never-empty");
}

#[test]
fn r11_finished_requests_travel_with_the_log() {
    is_caught("dedupe-travels");
}

#[test]
fn r12_a_primary_that_hears_of_a_later_epoch_steps_down() {
    is_caught("step-down-when-stale");
}

#[test]
fn reads_show_what_is_committed_and_losses_are_told() {
    is_caught("read-committed");
    is_caught("suspects-wait");
    is_caught("losses-are-told");
}
