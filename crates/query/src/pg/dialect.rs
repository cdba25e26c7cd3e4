//! [`PgDialect`]: PostgreSQL's dialect, as far as it can be read in bounded time.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

/// What is delegated to.
const PLAIN: PostgreSqlDialect = PostgreSqlDialect {};

/// How often an expression may begin in a statement without tokens.
const STEPS_LEAST: usize = 10_000;

/// And how much more often for each token.
const STEPS_OF_TOKEN: usize = 4;

/// PostgreSQL's dialect. The parser tries much in one way and then in another, at every level of a tree again: here it does so a limited
/// number of times.
#[derive(Debug)]
pub(super) struct PgDialect {
    steps: Cell<usize>,
}

impl PgDialect {
    /// For a statement of so many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        PgDialect { steps: Cell::new(STEPS_LEAST + tokens * STEPS_OF_TOKEN) }
    }
}

/// What PostgreSQL's dialect says too.
macro_rules! as_postgres_says {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            PLAIN.$name()
        })*
    };
}

impl Dialect for PgDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    as_postgres_says! {
        supports_unicode_string_literal
        supports_filter_during_aggregation
        supports_group_by_expr
        allow_extract_custom
        allow_extract_single_quotes
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_listen_notify
        supports_factorial_operator
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_colon_operator
        supports_empty_projections
        supports_nested_comments
        supports_string_escape_constant
        supports_numeric_literal_underscores
        supports_array_typedef_with_brackets
        supports_geometric_types
        supports_set_names
        supports_alter_column_type_using
        supports_notnull_operator
        supports_interval_options
        supports_insert_table_alias
        supports_create_table_like_parenthesized
        supports_select_wildcard_with_alias
        supports_comma_separated_trim
        supports_xml_expressions
        supports_comment_optimizer_hint
    }

    /// Otherwise every argument is read twice, and those within it four times.
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        match self.steps.get().checked_sub(1) {
            Some(left) => {
                self.steps.set(left);
                None
            }
            // The parser tries nothing else after this error.
            None => Some(Err(ParserError::RecursionLimitExceeded)),
        }
    }

    /// Signs begin a number and slashes a comment, as in `a>-1`: they are of no operator that is here.
    fn is_custom_operator_part(&self, letter: char) -> bool {
        PLAIN.is_custom_operator_part(letter) && !matches!(letter, '+' | '-' | '/')
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        PLAIN.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, letter: char) -> bool {
        PLAIN.is_delimited_identifier_start(letter)
    }

    fn is_identifier_start(&self, letter: char) -> bool {
        PLAIN.is_identifier_start(letter)
    }

    fn is_identifier_part(&self, letter: char) -> bool {
        PLAIN.is_identifier_part(letter)
    }

    fn is_reserved_for_identifier(&self, word: Keyword) -> bool {
        PLAIN.is_reserved_for_identifier(word)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        PLAIN.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        PLAIN.prec_value(precedence)
    }
}
