//! EXPLAIN ROUTING as PostgreSQL's parser has it: EXPLAIN with an option.

use datafusion::sql::sqlparser::ast::{DescribeAlias, Ident, Statement, UtilityOption};

const OPTION: &str = "routing";

/// A statement of which it is asked where it goes.
pub(super) fn of(statement: Statement) -> Statement {
    Statement::Explain {
        describe_alias: DescribeAlias::Explain,
        analyze: false,
        verbose: false,
        query_plan: false,
        estimate: false,
        statement: Box::new(statement),
        format: None,
        options: Some(vec![UtilityOption { name: Ident::new(OPTION), arg: None }]),
    }
}

/// The statement of which that is asked, if it is.
pub(super) fn inner(statement: &Statement) -> Option<&Statement> {
    match statement {
        Statement::Explain { statement, options: Some(options), .. } => {
            let is_said = options.iter().any(|one| one.name.value.eq_ignore_ascii_case(OPTION));
            is_said.then_some(&**statement)
        }
        _ => None,
    }
}
