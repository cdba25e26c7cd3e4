//! From the text of a statement to what the planner takes: generic SQL, whose arrows bind as tightly as those who use them expect, and
//! EXPLAIN ROUTING.

use std::any::TypeId;

use datafusion::common::{Result, not_impl_err, plan_datafusion_err};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// What is delegated to.
const PLAIN: GenericDialect = GenericDialect {};

/// How tightly `->` and `->>` bind: more than `*` and `||`, less than `::`. In the generic dialect they bind less than `=`.
const ARROW_PRECEDENCE: u8 = 42;

/// One statement.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    /// Whether it is asked where it goes, and not for its rows.
    pub(crate) is_routing: bool,
}

/// Reads a text that is one statement.
///
/// # Errors
/// It is none, or several.
pub(crate) fn parse(text: &str, depth_max: usize) -> Result<Parsed> {
    let builder = DFParserBuilder::new(text).with_dialect(&GridDialect);
    let mut parser = builder.with_recursion_limit(depth_max).build()?;
    let is_routing = takes_routing(&mut parser.parser);
    let mut statements = parser.parse_statements()?;
    if statements.len() > 1 {
        return not_impl_err!("one statement at a time");
    }
    let statement =
        statements.pop_front().ok_or_else(|| plan_datafusion_err!("there is no statement"))?;
    Ok(Parsed { statement, is_routing })
}

/// Takes the words EXPLAIN ROUTING from before a statement, if they are there.
pub(crate) fn takes_routing(parser: &mut Parser<'_>) -> bool {
    let word = |place: usize| match parser.peek_nth_token(place).token {
        Token::Word(word) => word.quote_style.is_none().then(|| word.value.to_uppercase()),
        _ => None,
    };
    // EXPLAIN may also be said of a table, whatever its name is.
    let follows = !matches!(parser.peek_nth_token(2).token, Token::EOF | Token::SemiColon);
    let is_said = word(0).as_deref() == Some("EXPLAIN") && word(1).as_deref() == Some("ROUTING");
    if is_said && follows {
        parser.next_token();
        parser.next_token();
    }
    is_said && follows
}

/// The generic dialect, but for the arrows.
#[derive(Debug)]
struct GridDialect;

/// What the generic dialect says too.
macro_rules! as_generic_says {
    ($($name:ident)*) => {
        $(fn $name(&self) -> bool {
            PLAIN.$name()
        })*
    };
}

impl Dialect for GridDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    as_generic_says! {
        supports_unicode_string_literal
        supports_partition_by_after_order_by
        supports_array_join_syntax
        supports_group_by_expr
        supports_group_by_with_modifier
        supports_left_associative_joins_without_parens
        supports_connect_by
        supports_match_recognize
        supports_pipe_operator
        supports_start_transaction_modifier
        supports_window_function_null_treatment_arg
        supports_dictionary_syntax
        supports_window_clause_named_window_reference
        supports_parenthesized_set_variables
        supports_select_wildcard_except
        support_map_literal_syntax
        allow_extract_custom
        allow_extract_single_quotes
        supports_extract_comma_syntax
        supports_create_view_comment_syntax
        supports_parens_around_table_factor
        supports_values_as_table_factor
        supports_create_index_with_clause
        supports_explain_with_utility_options
        supports_limit_comma
        supports_update_order_by
        supports_from_first_select
        supports_projection_trailing_commas
        supports_asc_desc_in_column_definition
        supports_try_convert
        supports_bitwise_shift_operators
        supports_comment_on
        supports_load_extension
        supports_named_fn_args_with_assignment_operator
        supports_struct_literal
        supports_empty_projections
        supports_nested_comments
        supports_multiline_comment_hints
        supports_user_host_grantee
        supports_string_escape_constant
        supports_array_typedef_with_brackets
        supports_match_against
        supports_set_names
        supports_comma_separated_set_assignments
        supports_filter_during_aggregation
        supports_select_wildcard_exclude
        supports_data_type_signed_suffix
        supports_interval_options
        supports_quote_delimited_string
        supports_select_wildcard_replace
        supports_select_wildcard_ilike
        supports_select_wildcard_rename
        supports_optimize_table
        supports_install
        supports_detach
        supports_prewhere
        supports_with_fill
        supports_limit_by
        supports_interpolate
        supports_settings
        supports_select_format
        supports_comment_optimizer_hint
        supports_constraint_keyword_without_name
        supports_key_column_option
        supports_comma_separated_trim
        supports_cte_without_as
        supports_select_item_multi_column_alias
        supports_xml_expressions
    }

    fn get_next_precedence(
        &self,
        parser: &Parser<'_>,
    ) -> Option<std::result::Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::Arrow | Token::LongArrow => Some(Ok(ARROW_PRECEDENCE)),
            _ => PLAIN.get_next_precedence(parser),
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text, 50).expect(text).statement {
            Statement::Statement(statement) => statement.to_string(),
            other => other.to_string(),
        }
    }

    /// With brackets around all that the parser takes together.
    fn brackets(text: &str) -> String {
        use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, Statement as Plain};
        fn within(expr: &Expr) -> String {
            match expr {
                Expr::BinaryOp { left, op, right } => {
                    format!("({} {op} {})", within(left), within(right))
                }
                other => other.to_string(),
            }
        }
        let Statement::Statement(statement) = parse(text, 50).expect(text).statement else {
            panic!("{text}")
        };
        let Plain::Query(query) = *statement else { panic!("{text}") };
        let SetExpr::Select(select) = *query.body else { panic!("{text}") };
        let SelectItem::UnnamedExpr(expr) = &select.projection[0] else { panic!("{text}") };
        within(expr)
    }

    #[test]
    fn arrows_bind_tightly() {
        for (text, taken) in [
            ("SELECT a->'b'->>'c' = 'x'", "(((a -> 'b') ->> 'c') = 'x')"),
            ("SELECT 'x' = a->>'b'", "('x' = (a ->> 'b'))"),
            ("SELECT a->>'b' || c->>'d'", "((a ->> 'b') || (c ->> 'd'))"),
            ("SELECT 2 * a->0", "(2 * (a -> 0))"),
            ("SELECT a->-1 > 1 AND b", "(((a -> -1) > 1) AND b)"),
        ] {
            assert_eq!(brackets(text), taken);
        }
    }

    #[test]
    fn routing_is_asked_for_by_two_words() {
        for (text, is_routing) in [
            ("EXPLAIN ROUTING SELECT 1", true),
            ("explain routing (SELECT 1)", true),
            ("EXPLAIN SELECT 1", false),
            ("SELECT 1", false),
        ] {
            assert_eq!(parse(text, 50).expect(text).is_routing, is_routing, "{text}");
        }
        assert_eq!(shown("EXPLAIN ROUTING SELECT 1"), "SELECT 1");
    }

    #[test]
    fn a_text_has_one_statement() {
        for text in ["", ";", "SELECT 1; SELECT 2", "EXPLAIN ROUTING", "SELECT"] {
            assert!(parse(text, 50).is_err(), "{text}");
        }
        assert_eq!(shown("SELECT 1;"), "SELECT 1");
    }
}
