//! Values within values: `column -> 'name'`, `->> 'name'`, `-> 0` and `column.name` of text that is JSON.

mod find;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{Column, DFSchema, Result, TableReference, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::lit;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use find::Step;

/// The functions that the operators stand for. Whoever runs a part of a statement has to know them.
pub(crate) fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |gives| Arc::new(ScalarUDF::from(Get::new(gives)));
    vec![function(Gives::Json), function(Gives::Text)]
}

/// What a function makes of a value within a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Gives {
    /// Its JSON: `->`.
    Json,
    /// Its text: `->>`.
    Text,
}

/// `json_get(json, name or place)` and `json_get_text`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Get {
    gives: Gives,
    signature: Signature,
}

impl Get {
    fn new(gives: Gives) -> Self {
        // A number can be made text, so that is tried last.
        let signature = Signature::one_of(
            vec![
                TypeSignature::Exact(vec![DataType::Utf8, DataType::Int64]),
                TypeSignature::Exact(vec![DataType::Utf8, DataType::Utf8]),
            ],
            Volatility::Immutable,
        );
        Get { gives, signature }
    }

    fn operator(&self) -> &'static str {
        match self.gives {
            Gives::Json => "->",
            Gives::Text => "->>",
        }
    }

    fn of(&self, json: Option<&str>, step: Option<Step<'_>>) -> Option<String> {
        let found = find::find(json?, step?)?;
        match self.gives {
            Gives::Json => Some(find::compact(found)),
            Gives::Text => find::text(found),
        }
    }
}

impl ScalarUDFImpl for Get {
    fn name(&self) -> &str {
        match self.gives {
            Gives::Json => "json_get",
            Gives::Text => "json_get_text",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    /// What is asked for is called as it is written.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let shown = |arg: &Expr| match arg {
            Expr::Literal(value, _) => match value.try_as_str() {
                Some(Some(text)) => format!("'{text}'"),
                _ => value.to_string(),
            },
            other => other.schema_name().to_string(),
        };
        let shown: Vec<String> = args.iter().map(shown).collect();
        Ok(shown.join(&format!(" {} ", self.operator())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [json, steps] = args.args.as_slice() else {
            return exec_err!("{} takes two arguments", self.name());
        };
        let rows = match (json, steps) {
            (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => 1,
            _ => args.number_rows,
        };
        let json = json.to_array(rows)?;
        let json = json.as_string::<i32>();
        let is_one = matches!(steps, ColumnarValue::Scalar(_));
        let steps = Steps::of(steps.to_array(if is_one { 1 } else { rows })?)?;
        let mut found = StringBuilder::new();
        for row in 0..rows {
            let json = json.is_valid(row).then(|| json.value(row));
            found.append_option(self.of(json, steps.step(if is_one { 0 } else { row })));
        }
        let found: ArrayRef = Arc::new(found.finish());
        match rows == 1 && args.number_rows != 1 {
            true => Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(
                &found, 0,
            )?)),
            false => Ok(ColumnarValue::Array(found)),
        }
    }
}

/// Names or places.
enum Steps {
    Names(StringArray),
    Places(datafusion::arrow::array::Int64Array),
}

impl Steps {
    fn of(array: ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8 => Ok(Steps::Names(array.as_string::<i32>().clone())),
            DataType::Int64 => Ok(Steps::Places(array.as_primitive::<Int64Type>().clone())),
            other => exec_err!("{other} is neither a name nor a place"),
        }
    }

    fn step(&self, row: usize) -> Option<Step<'_>> {
        match self {
            Steps::Names(names) => names.is_valid(row).then(|| Step::Name(names.value(row))),
            Steps::Places(places) => places.is_valid(row).then(|| Step::Place(places.value(row))),
        }
    }
}

/// Plans the operators.
#[derive(Debug)]
pub(crate) struct NestedPlanner {
    json: Arc<ScalarUDF>,
    text: Arc<ScalarUDF>,
}

impl NestedPlanner {
    pub(crate) fn new() -> Self {
        let function = |gives| Arc::new(ScalarUDF::from(Get::new(gives)));
        NestedPlanner { json: function(Gives::Json), text: function(Gives::Text) }
    }
}

fn call(function: &Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args))
}

impl ExprPlanner for NestedPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let function = match expr.op {
            BinaryOperator::Arrow => &self.json,
            BinaryOperator::LongArrow => &self.text,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(call(function, vec![expr.left, expr.right])))
    }

    /// `column.a.b` is `column -> 'a' ->> 'b'`.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let (DataType::Utf8, Some((last, before))) = (field.data_type(), names.split_last()) else {
            return Ok(PlannerResult::Original(Vec::new()));
        };
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        let step = |json, name: &String| call(&self.json, vec![json, lit(name.as_str())]);
        let json = before.iter().fold(column, step);
        Ok(PlannerResult::Planned(call(&self.text, vec![json, lit(last.as_str())])))
    }
}

/// The path to the part of a column that an expression is, when it is made of names.
pub(crate) fn path_of(part: &Expr) -> Option<Vec<String>> {
    match part {
        Expr::Column(column) => Some(vec![column.name.clone()]),
        Expr::ScalarFunction(call) if call.name() == "json_get" => step_of(call),
        _ => None,
    }
}

/// The same of the part whose text an expression is.
pub(crate) fn text_path_of(call: &ScalarFunction) -> Option<Vec<String>> {
    (call.name() == "json_get_text").then(|| step_of(call)).flatten()
}

fn step_of(call: &ScalarFunction) -> Option<Vec<String>> {
    let [json, Expr::Literal(name, _)] = call.args.as_slice() else { return None };
    let mut path = path_of(json)?;
    path.push(name.try_as_str()??.to_owned());
    Some(path)
}

#[cfg(test)]
#[path = "nested_test.rs"]
mod tests;
