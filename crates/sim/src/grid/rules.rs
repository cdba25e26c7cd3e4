//! The rules of the protocol, by name, and how each is switched off. A simulation that finds nothing proves nothing unless
//! it finds what is broken on purpose.

use super::options::{Options, Storage};
use crate::schedule::Profile;

/// A rule with its switch.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Where the protocol says it: the rule's number, or the section.
    pub origin: &'static str,
    /// Its name on the command line.
    pub name: &'static str,
    /// Switches it off, and makes the run one that needs it.
    pub switch_off: fn(&mut Options),
}

const fn rule(origin: &'static str, name: &'static str, switch_off: fn(&mut Options)) -> Rule {
    Rule { origin, name, switch_off }
}

/// Every rule that has a switch.
pub const RULES: &[Rule] = &[
    rule("R1", "fence", |options| {
        options.replica_rules.fence = false;
        // It takes a third replica to vote for a primary that the second has replaced.
        options.copies = options.copies.or(Some(3));
        options.profile = Profile::Network;
    }),
    rule("R2", "promote-only-in-sync", |o| o.council_rules.promote_only_in_sync = false),
    rule("R2", "promote-only-current", |o| o.council_rules.promote_only_current = false),
    rule("R2", "keep-old-primary", |o| o.council_rules.keep_old_primary = false),
    rule("R3", "shrink-before-ack", |o| o.replica_rules.shrink_before_ack = false),
    rule("R3", "wait-out-leases", |o| o.replica_rules.wait_out_leases = false),
    rule("R3", "compare-and-set", |o| o.council_rules.compare_and_set = false),
    rule("R4", "check-incarnation", |o| o.replica_rules.check_incarnation = false),
    rule("R4", "rebind-requires-proof", |o| o.council_rules.rebind_requires_proof = false),
    rule("R4", "new-epoch-on-primary-restart", |o| {
        o.council_rules.new_epoch_on_primary_restart = false;
    }),
    rule("R5", "addition-checks-incarnation", |o| {
        o.council_rules.addition_checks_incarnation = false;
        // It takes a proposal that is late, and a learner that forgot everything meanwhile.
        o.storage = o.storage.or(Some(Storage::Memory));
        o.faults *= 2;
    }),
    rule("R6", "count-additions", |o| o.replica_rules.count_additions = false),
    rule("R7", "match-epochs", |o| o.replica_rules.match_epochs = false),
    rule("R8", "persist-before-count", |o| o.replica_rules.persist_before_count = false),
    rule("R9", "barrier", |o| o.replica_rules.barrier = false),
    rule("R10", "never-empty", |o| o.council_rules.never_empty = false),
    rule("R11", "dedupe-travels", |o| o.replica_rules.dedupe_travels = false),
    rule("R12", "step-down-when-stale", |o| o.replica_rules.step_down_when_stale = false),
    rule("5", "read-committed", |o| o.replica_rules.read_committed = false),
    rule("5", "check-lease", |o| o.replica_rules.check_lease = false),
    rule("12", "suspects-wait", |o| o.council_rules.suspects_wait = false),
    rule("12", "suspects-stay-required", |o| o.council_rules.suspects_stay_required = false),
    rule("12", "furthest-suspect", |o| o.council_rules.furthest_suspect = false),
    rule("12", "losses-are-told", |o| o.council_rules.losses_are_told = false),
];

/// The rule of this name.
pub fn named(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
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
        for Rule { name, switch_off, .. } in RULES {
            let mut options = Options::default();
            switch_off(&mut options);
            let expected = format!("{}: true", name.replace('-', "_"));
            assert!(usual.contains(&expected), "{name}");
            let off = expected.replace("true", "false");
            assert_eq!(rules(&options), usual.replace(&expected, &off));
        }
    }
}
