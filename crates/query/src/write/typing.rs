//! Values for the parameters of a statement that writes, and their types where values come later: those of the columns that they go to.

use std::ops::ControlFlow;

use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Query, SelectItem, SetExpr, TimezoneInfo,
    UnaryOperator, Value, VisitMut, VisitorMut, visit_expressions,
};
use isogrid_core::ColumnType;

use super::{What, Writing};
use crate::columns::{Columns, EXPIRES_AT};
use crate::fault;
use crate::sql::Sql;

/// Puts values in the places of `$1` and so on. They become literals of the parsed statement, and are not read as SQL.
pub(super) fn fill(query: &mut Query, values: &[ScalarValue]) {
    if !values.is_empty() {
        let _ = VisitMut::visit(query, &mut Filler(values));
    }
}

struct Filler<'a>(&'a [ScalarValue]);

impl VisitorMut for Filler<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(place) = placeholder(expr)
            && let Some(literal) = self.0.get(place).and_then(literal)
        {
            *expr = literal;
        }
        ControlFlow::Continue(())
    }
}

/// The place of the parameter that an expression is.
fn placeholder(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    let Value::Placeholder(name) = &value.value else { return None };
    name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}

fn literal(value: &ScalarValue) -> Option<Expr> {
    let plain = |value: Value| Expr::Value(value.into());
    Some(match value {
        value if value.is_null() => plain(Value::Null),
        ScalarValue::Boolean(Some(is)) => plain(Value::Boolean(*is)),
        ScalarValue::Int64(Some(number)) => {
            let digits = plain(Value::Number(number.unsigned_abs().to_string(), false));
            match number {
                0.. => digits,
                _ => Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(digits) },
            }
        }
        ScalarValue::Float64(Some(number)) => {
            let text = plain(Value::SingleQuotedString(number.to_string()));
            cast(text, DataType::Double(ExactNumberInfo::None))
        }
        ScalarValue::Utf8(Some(text)) => plain(Value::SingleQuotedString(text.clone())),
        ScalarValue::Binary(Some(bytes)) => {
            let digits = isogrid_value::hex(bytes);
            plain(Value::HexStringLiteral(digits.trim_start_matches("\\x").to_owned()))
        }
        _ => return None,
    })
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

impl Sql {
    /// Says of parameters that go to a column as they are that they have its type.
    pub(crate) async fn type_parameters(
        &self,
        writing: &mut Writing,
    ) -> Result<(), DataFusionError> {
        let mut has_any = false;
        let _ = visit_expressions(&writing.read, |expr| {
            has_any |= placeholder(expr).is_some();
            ControlFlow::<()>::Continue(())
        });
        if let (true, Some(definition)) = (has_any, self.grid.source.map(&writing.map)) {
            let columns = crate::table::columns_of(&self.grid, &writing.map, &definition).await;
            writing.type_parameters(&columns.map_err(fault::of_grid)?);
        }
        Ok(())
    }
}

impl Writing {
    /// Says of parameters that go to a column as they are that they have its type.
    fn type_parameters(&mut self, columns: &Columns) {
        match &self.what {
            What::Insert { columns: Some(names), .. } => {
                let types: Vec<DataType> =
                    names.iter().map(|name| type_of(name, columns)).collect();
                type_body(&mut self.read.body, &types);
            }
            What::Update { columns: names } => {
                let types: Vec<DataType> =
                    names.iter().map(|name| type_of(name, columns)).collect();
                let SetExpr::Select(select) = self.read.body.as_mut() else { return };
                // What is to be set comes last.
                let others = select.projection.len() - types.len();
                for (item, one) in select.projection.iter_mut().skip(others).zip(&types) {
                    if let SelectItem::ExprWithAlias { expr, .. } = item {
                        type_bare(expr, one);
                    }
                }
            }
            What::Insert { columns: None, .. } | What::Delete => {}
        }
    }
}

fn type_body(body: &mut SetExpr, types: &[DataType]) {
    match body {
        SetExpr::Values(values) => {
            for row in &mut values.rows {
                for (expr, one) in row.content.iter_mut().zip(types) {
                    type_bare(expr, one);
                }
            }
        }
        SetExpr::Select(select) => {
            for (item, one) in select.projection.iter_mut().zip(types) {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                {
                    type_bare(expr, one);
                }
            }
        }
        _ => {}
    }
}

fn type_bare(expr: &mut Expr, data_type: &DataType) {
    if placeholder(expr).is_some() {
        *expr = cast(expr.clone(), data_type.clone());
    }
}

/// The type of what a column takes; text where nothing is known of it.
fn type_of(name: &str, columns: &Columns) -> DataType {
    if name == EXPIRES_AT {
        return DataType::Timestamp(Some(6), TimezoneInfo::Tz);
    }
    match columns.holds(name) {
        Some(ColumnType::Boolean) => DataType::Boolean,
        Some(ColumnType::BigInt) => DataType::BigInt(None),
        Some(ColumnType::Double) => DataType::Double(ExactNumberInfo::None),
        Some(ColumnType::Bytes) => DataType::Bytea,
        Some(ColumnType::Timestamp) => DataType::Timestamp(Some(6), TimezoneInfo::Tz),
        Some(ColumnType::Text | ColumnType::Json) | None => DataType::Text,
    }
}
