//! [`Budget`]: over how many entries a statement may walk at one node, counted for all of its walks there. What the parts of a statement at
//! other nodes have to know of it travels in headers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use datafusion::execution::TaskContext;
use datafusion::prelude::SessionConfig;
use isogrid_core::{Error, ErrorCode, Result};
use tonic::codegen::http::{HeaderMap, HeaderValue};

use crate::limits::QueryLimits;
use crate::walked::Walked;

const STATEMENT: &str = "isogrid-statement";
const MEMORY_BYTES: &str = "isogrid-memory-bytes";
const SCANNED_MAX: &str = "isogrid-scanned-max";

/// How many entries a statement has walked over at this node, and over how many it may.
#[derive(Debug)]
pub(crate) struct Budget {
    scanned: AtomicU64,
    scanned_max: Option<u64>,
    /// Who is told what it walks over, at the node that was asked.
    walked: Option<Arc<Walked>>,
}

impl Budget {
    pub(crate) fn new(scanned_max: Option<u64>, walked: Option<Arc<Walked>>) -> Self {
        Budget { scanned: AtomicU64::new(0), scanned_max, walked }
    }

    /// That of the statement whose plan runs.
    pub(crate) fn of(context: &TaskContext) -> Option<Arc<Budget>> {
        let of = context.session_config().get_extension::<OfStatement>();
        of.map(|of| Arc::clone(&of.budget))
    }

    /// Counts entries that were walked over.
    ///
    /// # Errors
    /// They are more than the statement may walk over here.
    pub(crate) fn take(&self, entries: usize) -> Result<()> {
        let entries = entries as u64;
        if let Some(walked) = &self.walked {
            walked.over_entries(entries);
        }
        let scanned = self.scanned.fetch_add(entries, Ordering::Relaxed) + entries;
        match self.scanned_max {
            Some(most) if scanned > most => {
                let detail = format!("{scanned} entries at one node, at most {most}");
                Err(Error::new(ErrorCode::QueryTooManyScanned, detail))
            }
            _ => Ok(()),
        }
    }

    /// Counts a partition in which something is looked at.
    pub(crate) fn enters_partition(&self) {
        if let Some(walked) = &self.walked {
            walked.over_partition();
        }
    }
}

/// The budgets of statements of which something runs here, by the names that their nodes gave to them.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    named: Mutex<HashMap<String, Weak<Budget>>>,
    begun: AtomicU64,
}

impl Budgets {
    /// A name that no other statement of this node has.
    pub(crate) fn name(&self, node: &str) -> String {
        format!("{node}/{}", self.begun.fetch_add(1, Ordering::Relaxed))
    }

    /// The budget of a statement: one for all of its parts here.
    fn of(&self, statement: &str, fresh: impl FnOnce() -> Budget) -> Arc<Budget> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = named.get(statement).and_then(Weak::upgrade) {
            return budget;
        }
        let budget = Arc::new(fresh());
        named.retain(|_, budget| budget.strong_count() > 0);
        named.insert(statement.to_owned(), Arc::downgrade(&budget));
        budget
    }

    /// Gives a part of a statement of another node what its headers say, and of that no more than this node allows: how much memory it may
    /// have.
    pub(crate) fn receive(
        &self,
        headers: &HeaderMap,
        config: &mut SessionConfig,
        own: QueryLimits,
    ) -> usize {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
        let asked = number(MEMORY_BYTES).and_then(|bytes| usize::try_from(bytes).ok());
        let memory_bytes = asked.map_or(own.memory_bytes, |asked| asked.min(own.memory_bytes));
        let asked = number(SCANNED_MAX);
        let scanned_max = [asked, own.scanned_max].into_iter().flatten().min();
        let limits = QueryLimits { memory_bytes, scanned_max, ..own };
        let named = text(STATEMENT).map(|name| (name, self));
        OfStatement::begin(named, limits, None).enter(config);
        memory_bytes
    }
}

/// What a statement is run with, wherever its parts run.
#[derive(Debug)]
pub(crate) struct OfStatement {
    name: String,
    limits: QueryLimits,
    budget: Arc<Budget>,
}

impl OfStatement {
    /// That of a statement which begins, with its name if it is counted with others, and with who is told what it walks over.
    pub(crate) fn begin(
        named: Option<(&str, &Budgets)>,
        limits: QueryLimits,
        walked: Option<Arc<Walked>>,
    ) -> Self {
        let fresh = || Budget::new(limits.scanned_max, walked);
        let budget = match named {
            Some((name, budgets)) => budgets.of(name, fresh),
            None => Arc::new(fresh()),
        };
        let name = named.map(|(name, _)| name.to_owned()).unwrap_or_default();
        OfStatement { name, limits, budget }
    }

    /// What its walks at this node have together.
    pub(crate) fn budget(&self) -> Arc<Budget> {
        Arc::clone(&self.budget)
    }

    /// Makes it known to all that runs with this.
    pub(crate) fn enter(self, config: &mut SessionConfig) {
        config.set_extension(Arc::new(self));
    }

    /// What other nodes are told.
    pub(crate) fn headers(config: &SessionConfig) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Some(of) = config.get_extension::<OfStatement>() else { return headers };
        if let Ok(name) = HeaderValue::from_str(&of.name) {
            headers.insert(STATEMENT, name);
        }
        headers.insert(MEMORY_BYTES, HeaderValue::from(of.limits.memory_bytes as u64));
        if let Some(most) = of.limits.scanned_max {
            headers.insert(SCANNED_MAX, HeaderValue::from(most));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_statement_at_a_node_are_counted_together() {
        let budgets = Budgets::default();
        let limits = QueryLimits { scanned_max: Some(10), ..QueryLimits::default() };
        let mut asked = SessionConfig::new();
        let name = budgets.name("n1");
        let told = Arc::new(Walked::default());
        OfStatement::begin(Some((&name, &budgets)), limits, Some(Arc::clone(&told)))
            .enter(&mut asked);
        let headers = OfStatement::headers(&asked);
        let there = Budgets::default();
        let (mut one, mut other) = (SessionConfig::new(), SessionConfig::new());
        let own = QueryLimits { memory_bytes: 5, ..QueryLimits::default() };
        assert_eq!(there.receive(&headers, &mut one, own), 5);
        there.receive(&headers, &mut other, QueryLimits::default());
        let budget = |config: &SessionConfig| {
            config.get_extension::<OfStatement>().map(|of| Arc::clone(&of.budget))
        };
        let (first, second) = (budget(&one).unwrap(), budget(&other).unwrap());
        assert!(first.take(6).is_ok() && second.take(4).is_ok());
        let error = second.take(1).unwrap_err();
        assert_eq!(error.code(), ErrorCode::QueryTooManyScanned);
        assert!(budget(&asked).unwrap().take(10).is_ok(), "each node counts its own");
        assert_eq!(told.entries(), 10);
        assert_ne!(budgets.name("n1"), name);
    }

    #[test]
    fn a_part_may_not_have_more_than_its_node_allows() {
        let limits = QueryLimits {
            memory_bytes: usize::MAX,
            scanned_max: Some(u64::MAX),
            ..QueryLimits::default()
        };
        let mut asked = SessionConfig::new();
        OfStatement::begin(None, limits, None).enter(&mut asked);
        let headers = OfStatement::headers(&asked);
        let own = QueryLimits { scanned_max: Some(3), ..QueryLimits::default() };
        let mut part = SessionConfig::new();
        assert_eq!(Budgets::default().receive(&headers, &mut part, own), own.memory_bytes);
        let of = part.get_extension::<OfStatement>().unwrap();
        assert_eq!(of.budget.scanned_max, Some(3));
    }
}
