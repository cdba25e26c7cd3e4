//! What is asked of every model: intact it holds, in more than a few states, and without any one rule it does not.

use std::time::Duration;

use clap::ValueEnum;
use isogrid_model::bounds::Bounds;
use isogrid_model::checker::{self, Limits, Report};
use isogrid_model::protocol::{Protocol, name_of};

/// Longer than any of these searches takes on a busy machine: only a mistake in the bounds reaches it.
const LIMITS: Limits = Limits { time: Duration::from_secs(300), threads: 1 };

/// What an intact model must show within its bounds.
pub(crate) struct Expectation<'a> {
    /// At least so many states. Fewer, and the model has stopped exploring what it is there for.
    pub(crate) states: usize,
    /// These, among the "can:" properties.
    pub(crate) can: &'a [&'a str],
}

fn search<P: Protocol>(mutant: P::Mutant, bounds: Bounds) -> Report {
    let report = checker::find(&P::new(mutant, bounds), LIMITS);
    assert!(report.finished, "{}: the search did not end: {report}", name_of(mutant));
    report
}

/// The intact model holds in every state within the bounds.
pub(crate) fn holds<P: Protocol>(bounds: Bounds, expected: &Expectation<'_>) {
    let report = search::<P>(P::Mutant::value_variants()[0], bounds);
    assert!(report.violation.is_none(), "{report}");
    assert!(report.states >= expected.states, "only {} states: {bounds:?}", report.states);
    for can in expected.can {
        let reached = report.reached.iter().any(|name| name.ends_with(can));
        assert!(reached, "\"{can}\" was not reached: {bounds:?}");
    }
}

/// Every mutant is seen to fail, but for those of which the model shows that another rule suffices.
pub(crate) fn every_rule_is_needed<P: Protocol>() {
    for mutant in P::Mutant::value_variants().iter().skip(1) {
        let report = search::<P>(*mutant, P::bounds_for(*mutant));
        let name = name_of(*mutant);
        match &report.violation {
            Some(violation) => {
                assert!(!P::is_harmless(*mutant), "{name} is said to be harmless: {report}");
                assert!(!violation.steps.is_empty(), "{name} fails before anything happens");
            }
            None => assert!(P::is_harmless(*mutant), "{name} is not seen to fail: {report}"),
        }
    }
}
