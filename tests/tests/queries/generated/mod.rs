//! Statements that chance wrote: predicates, groups, orders and windows over orders and what they are joined with. A seed gives the
//! same statement again.

mod expressions;
mod statements;
mod words;

use crate::random::Random;
use crate::statement::Statement;

/// The statement of a seed.
pub(crate) fn statement(seed: u64) -> Statement {
    let mut random = Random::of_seed(seed);
    statements::Writer::new(&mut random).write(format!("seed {seed}"))
}
