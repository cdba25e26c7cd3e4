//! The rules of the protocol, by name, and how each is switched off. A simulation that finds nothing proves nothing unless
//! it finds what is broken on purpose.

use isogrid_sim::grid::Options;

type SwitchOff = fn(&mut Options);

/// Every rule that has a switch, those of the replica first.
const RULES: &[(&str, SwitchOff)] = &[
    ("fence", |options| options.replica_rules.fence = false),
    ("shrink-before-ack", |options| options.replica_rules.shrink_before_ack = false),
    ("wait-out-leases", |options| options.replica_rules.wait_out_leases = false),
    ("check-incarnation", |options| options.replica_rules.check_incarnation = false),
    ("count-additions", |options| options.replica_rules.count_additions = false),
    ("match-epochs", |options| options.replica_rules.match_epochs = false),
    ("persist-before-count", |options| options.replica_rules.persist_before_count = false),
    ("barrier", |options| options.replica_rules.barrier = false),
    ("dedupe-travels", |options| options.replica_rules.dedupe_travels = false),
    ("step-down-when-stale", |options| options.replica_rules.step_down_when_stale = false),
    ("read-committed", |options| options.replica_rules.read_committed = false),
    ("check-lease", |options| options.replica_rules.check_lease = false),
    ("promote-only-in-sync", |options| options.council_rules.promote_only_in_sync = false),
    ("promote-only-current", |options| options.council_rules.promote_only_current = false),
    ("keep-old-primary", |options| options.council_rules.keep_old_primary = false),
    ("compare-and-set", |options| options.council_rules.compare_and_set = false),
    ("rebind-requires-proof", |options| options.council_rules.rebind_requires_proof = false),
    ("new-epoch-on-primary-restart", |options| {
        options.council_rules.new_epoch_on_primary_restart = false;
    }),
    ("addition-checks-incarnation", |options| {
        options.council_rules.addition_checks_incarnation = false;
    }),
    ("never-empty", |options| options.council_rules.never_empty = false),
    ("suspects-wait", |options| options.council_rules.suspects_wait = false),
    ("suspects-stay-required", |options| options.council_rules.suspects_stay_required = false),
    ("furthest-suspect", |options| options.council_rules.furthest_suspect = false),
    ("losses-are-told", |options| options.council_rules.losses_are_told = false),
];

/// Their names.
pub(super) fn names() -> Vec<&'static str> {
    RULES.iter().map(|(name, _)| *name).collect()
}

/// Switches a rule off. An unknown name changes nothing.
pub(super) fn switch_off(name: &str, options: &mut Options) {
    if let Some((_, off)) = RULES.iter().find(|(known, _)| *known == name) {
        off(options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_has_a_name_and_does_what_it_says() {
        let rules =
            |options: &Options| format!("{:?} {:?}", options.replica_rules, options.council_rules);
        let usual = rules(&Options::default());
        assert_eq!(usual.matches(": true").count(), RULES.len(), "a switch without a name");
        for (name, off) in RULES {
            let mut options = Options::default();
            off(&mut options);
            let expected = format!("{}: true", name.replace('-', "_"));
            assert!(usual.contains(&expected), "{name}");
            assert_eq!(
                rules(&options),
                usual.replace(&expected, &expected.replace("true", "false"))
            );
        }
    }
}
