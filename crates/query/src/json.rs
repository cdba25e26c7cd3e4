//! Functions that look into text of JSON: `json_text`, `json_part` and `json_has`, and the operators `->` and `->>` for the first
//! two.

use std::any::Any;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use serde_json::Value;

/// What a function gives of the part to which a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Gives {
    /// Its text: that of text without quotes.
    Text,
    /// Its JSON.
    Part,
    /// Whether it is, or is a list that holds, the last argument.
    Has,
}

/// A function of JSON, the path to a part and, for [`Gives::Has`], a value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JsonFunction {
    pub(crate) gives: Gives,
    signature: Signature,
}

impl JsonFunction {
    /// All of them.
    pub(crate) fn all() -> [Arc<ScalarUDF>; 3] {
        [Gives::Text, Gives::Part, Gives::Has].map(JsonFunction::of)
    }

    fn of(gives: Gives) -> Arc<ScalarUDF> {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(JsonFunction { gives, signature }))
    }
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        match self.gives {
            Gives::Text => "json_text",
            Gives::Part => "json_part",
            Gives::Has => "json_has",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let is_text = |one: &DataType| {
            matches!(
                one,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            )
        };
        let (path, least) = match self.gives {
            Gives::Text | Gives::Part => (arguments, 1),
            Gives::Has => (arguments.split_last().map_or(arguments, |(_, path)| path), 2),
        };
        if arguments.len() < least || !path.iter().all(is_text) {
            let value = if self.gives == Gives::Has { ", value" } else { "" };
            return exec_err!("{} takes text of JSON, names of fields{value}", self.name());
        }
        Ok(if self.gives == Gives::Has { DataType::Boolean } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut columns = arguments.args;
        let value = match self.gives {
            Gives::Has => columns.pop(),
            Gives::Text | Gives::Part => None,
        };
        let texts = columns.iter().map(|column| -> Result<ArrayRef> {
            let array = column.to_array(rows)?;
            datafusion::arrow::compute::cast(&array, &DataType::Utf8).map_err(Into::into)
        });
        let texts: Vec<ArrayRef> = texts.collect::<Result<_>>()?;
        let texts: Vec<&StringArray> = texts.iter().map(|array| array.as_string::<i32>()).collect();
        let part = |row: usize| -> Option<Value> {
            let all = texts.iter().map(|text| text.is_valid(row).then(|| text.value(row)));
            let all: Vec<&str> = all.collect::<Option<_>>()?;
            let mut value: Value = serde_json::from_str(all.first()?).ok()?;
            all[1..]
                .iter()
                .try_fold(&mut value, |value, name| value.get_mut(*name))
                .map(Value::take)
        };
        let array: ArrayRef = match (self.gives, value) {
            (Gives::Text, _) => {
                Arc::new((0..rows).map(|row| text(part(row)?)).collect::<StringArray>())
            }
            (Gives::Has, Some(value)) => {
                let value = value.to_array(rows)?;
                let has = |row: usize| -> Result<Option<bool>> {
                    let Some(part) = part(row) else { return Ok(None) };
                    Ok(has(&part, &ScalarValue::try_from_array(&value, row)?))
                };
                Arc::new((0..rows).map(has).collect::<Result<BooleanArray>>()?)
            }
            _ => {
                let json = |row: usize| part(row).filter(|part| !part.is_null());
                let json = |row: usize| json(row).map(|part| part.to_string());
                Arc::new((0..rows).map(json).collect::<StringArray>())
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}

fn text(part: Value) -> Option<String> {
    match part {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// Whether a part is this value, or a list that holds it; nothing is never there.
fn has(part: &Value, value: &ScalarValue) -> Option<bool> {
    let key = |json: &Value| {
        let mut key = Vec::new();
        isogrid_value::push_json(json, false, &mut key);
        key
    };
    let wanted = key(&json_of(value)?);
    let elements = part.as_array().map_or(std::slice::from_ref(part), Vec::as_slice);
    Some(elements.iter().any(|element| key(element) == wanted))
}

/// A value as JSON has it; `None` for nothing, and for what it does not have.
pub(crate) fn json_of(value: &ScalarValue) -> Option<Value> {
    Some(match value {
        ScalarValue::Boolean(Some(value)) => Value::from(*value),
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => Value::from(text.as_str()),
        ScalarValue::Int64(Some(number)) => Value::from(*number),
        ScalarValue::Int32(Some(number)) => Value::from(*number),
        ScalarValue::Float64(Some(number)) => Value::from(*number),
        _ => return None,
    })
}

/// `json -> 'name'` and `json ->> 'name'`.
#[derive(Debug)]
pub(crate) struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let gives = match expr.op {
            BinaryOperator::Arrow => Gives::Part,
            BinaryOperator::LongArrow => Gives::Text,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        // One function looks into a part of a part, so that its path can be seen as a whole.
        let mut path = match expr.left {
            Expr::ScalarFunction(inner) if gives_of(&inner) == Some(Gives::Part) => inner.args,
            other => vec![other],
        };
        path.push(expr.right);
        let call = ScalarFunction::new_udf(JsonFunction::of(gives), path);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// Which of these functions is called, if it is one of them.
pub(crate) fn gives_of(call: &ScalarFunction) -> Option<Gives> {
    let function: &dyn Any = &**call.func.inner();
    function.downcast_ref::<JsonFunction>().map(|function| function.gives)
}

/// The path of a column's part that a call looks at, when it is made of names.
pub(crate) fn path_of(path: &[Expr]) -> Option<Vec<String>> {
    let (column, names) = path.split_first()?;
    let mut names_of = match column {
        Expr::Column(column) => vec![column.name.clone()],
        Expr::ScalarFunction(inner) if gives_of(inner) == Some(Gives::Part) => {
            path_of(&inner.args)?
        }
        _ => return None,
    };
    for name in names {
        let Expr::Literal(name, _) = name else { return None };
        names_of.push(name.try_as_str()??.to_owned());
    }
    Some(names_of)
}
