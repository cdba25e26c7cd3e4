//! How far the clocks of nodes are apart, as far as a question and its answer can tell.

use isogrid_core::Timestamp;

/// How far a clock is ahead that was read somewhere between these two moments of one's own.
pub(super) fn clock_offset_ms(theirs_ms: u64, sent: Timestamp, heard: Timestamp) -> i64 {
    if theirs_ms < sent.0 {
        -(sent.0.abs_diff(theirs_ms) as i64)
    } else if theirs_ms > heard.0 {
        theirs_ms.abs_diff(heard.0) as i64
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_only_of_what_the_way_cannot_explain() {
        let (sent, heard) = (Timestamp(1_000), Timestamp(1_040));
        for (theirs, offset) in [(1_000, 0), (1_020, 0), (1_040, 0), (1_100, 60), (700, -300)] {
            assert_eq!(clock_offset_ms(theirs, sent, heard), offset, "{theirs}");
        }
    }
}
