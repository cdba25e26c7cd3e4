//! Operations in a line each, for people who read about a violation.

use std::fmt;

use super::{Freshness, Kind, OnSide, Operation, Outcome, Seen, Side, Value};

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Absent => f.write_str("nothing"),
            Value::Written(value) => write!(f, "x{}", value.0),
            Value::Number(number) => number.fmt(f),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at v{}", self.value, self.version)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Write(value) => write!(f, "write x{}", value.0),
            Kind::Delete => f.write_str("delete"),
            Kind::Increment => f.write_str("increment"),
            Kind::CompareAndSet { expected, value } => write!(f, "swap {expected} x{}", value.0),
            Kind::Read(Freshness::Latest) => f.write_str("read"),
            Kind::Read(Freshness::AtLeast(seq)) => write!(f, "read at least v{seq}"),
            Kind::Read(Freshness::Any) => f.write_str("read any"),
            Kind::OfPair(side, on) => {
                let side = if *side == Side::Left { "left" } else { "right" };
                match on {
                    OnSide::Write(value) => write!(f, "{side}: write x{}", value.0),
                    OnSide::Delete => write!(f, "{side}: delete"),
                    OnSide::Move { if_absent: false } => write!(f, "{side}: move over"),
                    OnSide::Move { if_absent: true } => write!(f, "{side}: move if absent"),
                    OnSide::Read => write!(f, "{side}: read"),
                }
            }
        }
    }
}

/// `c1 k7 write x12 [1.000s..1.010s]: x12 at v41`
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, key, kind, invoked_at, .. } = self;
        write!(f, "c{} k{} {kind} [{invoked_at}..", client.0, key.0)?;
        match self.completed_at {
            Some(at) => write!(f, "{at}]: ")?,
            None => f.write_str("]: ")?,
        }
        match self.outcome {
            Outcome::Applied(seen) => seen.fmt(f),
            Outcome::Conflict(Some(seen)) => write!(f, "conflict with {seen}"),
            Outcome::Conflict(None) => f.write_str("conflict"),
            Outcome::NotApplied => f.write_str("not applied"),
            Outcome::Unknown => f.write_str("unknown"),
        }
    }
}
