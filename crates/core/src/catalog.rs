//! Every error code with its explanation: the source of `isogrid error IG-nnnn` and of docs/errors.md.

mod cluster;
mod program;
mod request;
mod service;

use crate::error::{ErrorCode, ErrorKind, NextStep, Outcome};

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The code.
    pub code: ErrorCode,
    /// The family.
    pub kind: ErrorKind,
    /// The outcome it usually has; an error can carry a more precise one.
    pub outcome: Outcome,
    /// What the caller does about it.
    pub next_step: NextStep,
    /// What happened, in a few words.
    pub what: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// What to do about it, one imperative phrase.
    pub next: &'static str,
}

/// The explanation of a code.
pub fn explain(code: ErrorCode) -> &'static Explanation {
    EXPLANATIONS
        .iter()
        .find(|explanation| explanation.code == code)
        .expect("every code has an explanation: a test checks it")
}

/// A request that breaks a rule: nothing changed, and the caller must mend it.
const fn invalid(
    code: ErrorCode,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind: ErrorKind::InvalidRequest,
        outcome: Outcome::NotApplied,
        next_step: NextStep::FixRequest,
        what,
        why,
        next,
    }
}

/// A node that protects itself or cannot serve now: nothing changed, and a later try can work.
const fn later(
    code: ErrorCode,
    kind: ErrorKind,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind,
        outcome: Outcome::NotApplied,
        next_step: NextStep::RetryLater,
        what,
        why,
        next,
    }
}

/// A wrong configuration or command line.
const fn configuration(
    code: ErrorCode,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind: ErrorKind::Configuration,
        outcome: Outcome::NotApplied,
        next_step: NextStep::AskOperator,
        what,
        why,
        next,
    }
}

/// The state of the cluster stands in the way: nothing changed.
const fn cluster(
    code: ErrorCode,
    next_step: NextStep,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind: ErrorKind::Cluster,
        outcome: Outcome::NotApplied,
        next_step,
        what,
        why,
        next,
    }
}

/// A write whose fate the cluster cannot tell.
const fn in_doubt(
    code: ErrorCode,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Explanation {
    Explanation {
        code,
        kind: ErrorKind::Cluster,
        outcome: Outcome::Unknown,
        next_step: NextStep::CheckOutcome,
        what,
        why,
        next,
    }
}

/// All explanations, in the order of the numbers.
pub const EXPLANATIONS: &[Explanation] = &joined();

/// The parts of the catalogue, in the order of their numbers.
const PARTS: [&[Explanation]; 4] =
    [request::EXPLANATIONS, cluster::EXPLANATIONS, service::EXPLANATIONS, program::EXPLANATIONS];

const COUNT: usize = PARTS[0].len() + PARTS[1].len() + PARTS[2].len() + PARTS[3].len();

const fn joined() -> [Explanation; COUNT] {
    let mut all = [PARTS[0][0]; COUNT];
    let (mut filled, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut index = 0;
        while index < PARTS[part].len() {
            all[filled] = PARTS[part][index];
            filled += 1;
            index += 1;
        }
        part += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_once_and_in_order() {
        let explained: Vec<u16> = EXPLANATIONS.iter().map(|e| e.code as u16).collect();
        let declared: Vec<u16> = include_str!("error.rs")
            .lines()
            .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse().ok())
            .collect();
        assert_eq!(explained, declared);
        assert!(explained.is_sorted(), "numbers grow down the list");
        for explanation in EXPLANATIONS {
            let number = explanation.code as u16;
            assert_eq!(ErrorCode::from_number(number), Some(explanation.code));
            assert_eq!(explain(explanation.code), explanation);
        }
    }
}
