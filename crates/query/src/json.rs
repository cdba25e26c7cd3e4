//! `json_has`: whether a part of JSON is a value, or a list that holds it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use serde_json::Value;

use crate::nested;

/// The function: text of JSON, the names that lead to a part, and a value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct JsonHas {
    signature: Signature,
}

impl JsonHas {
    /// As statements call it.
    pub(crate) fn function() -> Arc<ScalarUDF> {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(JsonHas { signature }))
    }
}

impl ScalarUDFImpl for JsonHas {
    fn name(&self) -> &str {
        "json_has"
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
        match arguments.split_last() {
            Some((_, path)) if !path.is_empty() && path.iter().all(is_text) => {
                Ok(DataType::Boolean)
            }
            _ => exec_err!("json_has takes text of JSON, names of fields, value"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut columns = arguments.args;
        let Some(value) = columns.pop() else { return exec_err!("json_has takes a value") };
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
        let value = value.to_array(rows)?;
        let has = |row: usize| -> Result<Option<bool>> {
            let Some(part) = part(row) else { return Ok(None) };
            Ok(has(&part, &ScalarValue::try_from_array(&value, row)?))
        };
        let has = (0..rows).map(has).collect::<Result<BooleanArray>>()?;
        Ok(ColumnarValue::Array(Arc::new(has)))
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

/// The list that a call looks into and the value that it looks for, if it is a call of this function.
pub(crate) fn sought(call: &ScalarFunction) -> Option<(Vec<String>, &Expr)> {
    if call.name() != "json_has" {
        return None;
    }
    let (value, path) = call.args.split_last()?;
    let (json, names) = path.split_first()?;
    let mut path = nested::path_of(json)?;
    for name in names {
        let Expr::Literal(name, _) = name else { return None };
        path.push(name.try_as_str()??.to_owned());
    }
    Some((path, value))
}
