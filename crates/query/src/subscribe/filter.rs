//! [`Reader`]: from what WHERE says to a closed filter. What such a filter cannot say is refused by name.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, UnaryOperator, Value};
use isogrid_core::{ColumnType, Result};
use isogrid_value::{Comparison, Constant, Field, Filter};

use super::{bare, col_of, is_parameter, refused};
use crate::parameter::Parameter;

/// What names and parameters stand for.
pub(super) struct Reader<'a> {
    pub(super) map: &'a str,
    /// The fields that are columns.
    pub(super) columns: &'a [(String, ColumnType)],
    pub(super) parameters: &'a [Parameter],
}

/// A name as queries read it: in small letters unless it is quoted.
pub(super) fn normal(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

impl Reader<'_> {
    /// The column that an expression is: its name, its field and what it holds.
    pub(super) fn column(&self, expr: &Expr) -> Result<(String, Field, ColumnType)> {
        let name = match bare(expr) {
            Expr::Identifier(name) => normal(name),
            Expr::CompoundIdentifier(parts) => match &parts[..] {
                [map, name] if normal(map) == self.map => normal(name),
                _ => return Err(refused(format!("{expr} is no column"))),
            },
            other => {
                return Err(refused(format!("{other} is no column: nothing is worked out here")));
            }
        };
        if name == crate::columns::KEY {
            return Ok((name, Field::Key, ColumnType::Text));
        }
        match self.columns.iter().find(|(known, _)| *known == name) {
            Some((_, holds)) => Ok((name.clone(), col_of(&name), *holds)),
            None if name.starts_with('_') => {
                Err(refused(format!("{name} cannot be watched, of such columns only _key")))
            }
            None => Err(refused(format!("{:?} has no column {name:?}", self.map))),
        }
    }

    /// How many a constant says.
    pub(super) fn count(&self, expr: &Expr) -> Result<Option<usize>> {
        match self.constant(expr)? {
            Constant::BigInt(count) => Ok(usize::try_from(count).ok()),
            _ => Ok(None),
        }
    }

    /// The filter that an expression is.
    pub(super) fn filter(&self, expr: &Expr) -> Result<Filter> {
        match bare(expr) {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                Ok(self.filter(left)?.and(self.filter(right)?))
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                Ok(self.filter(left)?.or(self.filter(right)?))
            }
            Expr::BinaryOp { left, op, right } => self.comparison(left, op, right),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(!self.filter(expr)?),
            Expr::IsNull(expr) => Ok(Filter::IsNull(self.column(expr)?.1)),
            Expr::IsNotNull(expr) => Ok(!Filter::IsNull(self.column(expr)?.1)),
            Expr::InList { expr, list, negated } => {
                let constants = list.iter().map(|one| self.fitting(expr, one));
                let constants = constants.collect::<Result<Vec<_>>>()?;
                Ok(negate(Filter::In(self.column(expr)?.1, constants), *negated))
            }
            Expr::Between { expr, negated, low, high } => {
                let field = self.column(expr)?.1;
                let (low, high) = (self.fitting(expr, low)?, self.fitting(expr, high)?);
                Ok(negate(field.between(low, high), *negated))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                Ok(negate(self.like(expr, pattern)?, *negated))
            }
            Expr::Value(value) => match value.value {
                Value::Boolean(true) => Ok(Filter::All(Vec::new())),
                Value::Boolean(false) => Ok(Filter::Any(Vec::new())),
                _ => Err(refused(format!("{expr} is no predicate"))),
            },
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let (name, field, holds) = self.column(expr)?;
                match holds {
                    ColumnType::Boolean => Ok(field.eq(true)),
                    _ => Err(refused(format!("{name} is {}, not BOOLEAN", holds.name()))),
                }
            }
            other => Err(refused(format!(
                "{other} cannot be watched: WHERE has comparisons of columns with constants, AND, OR, NOT, IN, BETWEEN, LIKE and IS NULL"
            ))),
        }
    }

    fn comparison(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Filter> {
        let comparison = match op {
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            other => return Err(refused(format!("{other} cannot be watched"))),
        };
        // Constants may stand first.
        let (column, constant, comparison) = match self.column(left) {
            Ok(_) => (left, right, comparison),
            Err(error) => match self.column(right) {
                Ok(_) => (right, left, turned(comparison)),
                Err(_) => return Err(error),
            },
        };
        let constant = self.fitting(column, constant)?;
        Ok(Filter::Compare(self.column(column)?.1, comparison, constant))
    }

    fn like(&self, expr: &Expr, pattern: &Expr) -> Result<Filter> {
        let (field, text) = (self.column(expr)?.1, self.fitting(expr, pattern)?);
        let Constant::Text(text) = text else { return Err(refused("LIKE is for text")) };
        let wild = |text: &str| text.contains(['%', '_', '\\']);
        let (from_start, rest) = match text.strip_prefix('%') {
            Some(rest) => (false, rest),
            None => (true, text.as_str()),
        };
        match (from_start, rest.strip_suffix('%')) {
            (false, None) if rest.is_empty() => Ok(!Filter::IsNull(field)),
            (true, None) if !wild(rest) => Ok(field.eq(rest)),
            (true, Some(start)) if !wild(start) => Ok(field.starts_with(start)),
            (false, Some(part)) if !wild(part) => Ok(field.contains(part)),
            _ => Err(refused(format!("LIKE '{text}': only 'start%' and '%part%' can be watched"))),
        }
    }

    /// A constant of the type of a column.
    fn fitting(&self, column: &Expr, expr: &Expr) -> Result<Constant> {
        let (name, _, holds) = self.column(column)?;
        let constant = self.constant(expr)?;
        let fits = match (&constant, holds) {
            (Constant::Boolean(_), ColumnType::Boolean)
            | (
                Constant::BigInt(_) | Constant::Double(_),
                ColumnType::BigInt | ColumnType::Double,
            )
            | (Constant::Text(_), ColumnType::Text)
            | (Constant::Bytes(_), ColumnType::Bytes) => true,
            _ => false,
        };
        if fits {
            return Ok(constant);
        }
        Err(refused(format!("{name} is {}, and is not compared with {expr}", holds.name())))
    }

    fn constant(&self, expr: &Expr) -> Result<Constant> {
        let not_one = || refused(format!("{expr} is no constant"));
        match bare(expr) {
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match self.constant(expr)? {
                Constant::BigInt(value) => {
                    value.checked_neg().map(Constant::BigInt).ok_or_else(not_one)
                }
                Constant::Double(value) => Ok(Constant::Double(-value)),
                _ => Err(not_one()),
            },
            Expr::Value(value) => match &value.value {
                Value::Boolean(value) => Ok(Constant::Boolean(*value)),
                Value::SingleQuotedString(text) => Ok(Constant::Text(text.clone())),
                Value::Number(digits, _) => match (digits.parse(), digits.parse()) {
                    (Ok(whole), _) => Ok(Constant::BigInt(whole)),
                    (_, Ok(number)) => Ok(Constant::Double(number)),
                    _ => Err(not_one()),
                },
                Value::Null => Err(refused("nothing is equal to NULL: say IS NULL")),
                value => self.parameter(is_parameter(value).ok_or_else(not_one)?),
            },
            _ => Err(not_one()),
        }
    }

    fn parameter(&self, number: usize) -> Result<Constant> {
        let value = number.checked_sub(1).and_then(|place| self.parameters.get(place));
        Ok(match value {
            None => return Err(refused(format!("there is no value for ${number}"))),
            Some(Parameter::Null) => return Err(refused("nothing is equal to NULL: say IS NULL")),
            Some(Parameter::Boolean(value)) => Constant::Boolean(*value),
            Some(Parameter::BigInt(value)) => Constant::BigInt(*value),
            Some(Parameter::Double(value)) => Constant::Double(*value),
            Some(Parameter::Text(value)) => Constant::Text(value.clone()),
            Some(Parameter::Bytes(value)) => Constant::Bytes(value.to_vec()),
        })
    }
}

fn negate(filter: Filter, negated: bool) -> Filter {
    if negated { !filter } else { filter }
}

/// The same comparison with its sides exchanged.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        equal => equal,
    }
}
