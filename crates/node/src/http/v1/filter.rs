//! Filters as JSON: `{"age": {"ge": 18}, "home.city": {"in": ["Wien", "Graz"]}}` means records of which all of that is true.

use isogrid_core::{Error, ErrorCode, Result};
use isogrid_value::{Comparison, Constant, Field, Filter, col};
use serde_json::{Map, Value};

/// The deepest filter that is read: one level more than filters may have.
const DEPTH_MAX: usize = 33;

/// Reads a filter and gives it as it travels.
pub(super) fn encoded(text: &str) -> Result<Vec<u8>> {
    let json: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let filter = all(&json, DEPTH_MAX)?;
    filter.check()?;
    filter.encode()
}

fn wrong(why: impl Into<String>) -> Error {
    Error::new(ErrorCode::FilterInvalid, why)
}

/// An object: what all its fields say.
fn all(json: &Value, depth: usize) -> Result<Filter> {
    let Value::Object(fields) = json else {
        return Err(wrong(format!("{json} is no object of fields")));
    };
    let Some(depth) = depth.checked_sub(1) else { return Err(wrong("it is too deep")) };
    let mut filters = Vec::new();
    for (name, said) in fields {
        match (name.as_str(), said) {
            ("$and", Value::Array(parts)) => filters.push(Filter::All(each(parts, depth)?)),
            ("$or", Value::Array(parts)) => filters.push(Filter::Any(each(parts, depth)?)),
            ("$not", part) => filters.push(!all(part, depth)?),
            (name, _) if name.starts_with('$') => {
                return Err(wrong(format!("{name:?}: there are $and and $or of lists, and $not")));
            }
            (name, Value::Object(comparisons)) => of_field(name, comparisons, &mut filters)?,
            (name, Value::Null) => filters.push(col(name).is_null()),
            (name, value) => {
                filters.push(Filter::Compare(col(name), Comparison::Equal, constant(value)?));
            }
        }
    }
    Ok(match filters.pop() {
        Some(only) if filters.is_empty() => only,
        last => Filter::All(filters.into_iter().chain(last).collect()),
    })
}

fn each(parts: &[Value], depth: usize) -> Result<Vec<Filter>> {
    parts.iter().map(|part| all(part, depth)).collect()
}

/// What is said of one field.
fn of_field(name: &str, said: &Map<String, Value>, filters: &mut Vec<Filter>) -> Result<()> {
    for (word, value) in said {
        filters.push(comparison(col(name), word, value)?);
    }
    Ok(())
}

fn comparison(field: Field, word: &str, value: &Value) -> Result<Filter> {
    let compare = |comparison| match value {
        Value::Null => Err(wrong(format!("{word} with null; there is is_null"))),
        value => Ok((comparison, constant(value)?)),
    };
    let (comparison, constant) = match (word, value) {
        ("eq", _) => compare(Comparison::Equal)?,
        ("ne", _) => compare(Comparison::NotEqual)?,
        ("lt", _) => compare(Comparison::Less)?,
        ("le", _) => compare(Comparison::LessOrEqual)?,
        ("gt", _) => compare(Comparison::Greater)?,
        ("ge", _) => compare(Comparison::GreaterOrEqual)?,
        ("in", Value::Array(values)) => {
            let values = values.iter().map(constant).collect::<Result<Vec<Constant>>>()?;
            return Ok(Filter::In(field, values));
        }
        ("starts_with", Value::String(text)) => return Ok(field.starts_with(text.as_str())),
        ("contains", value) => return Ok(Filter::Contains(field, constant(value)?)),
        ("is_null", Value::Bool(is_null)) => {
            let filter = field.is_null();
            return Ok(if *is_null { filter } else { !filter });
        }
        _ => {
            let known = "eq, ne, lt, le, gt, ge, in, starts_with, contains and is_null";
            return Err(wrong(format!("{word:?} with {value}; there are {known}")));
        }
    };
    Ok(Filter::Compare(field, comparison, constant))
}

fn constant(value: &Value) -> Result<Constant> {
    Ok(match value {
        Value::Bool(value) => Constant::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Constant::BigInt(whole),
            (None, Some(number)) => Constant::Double(number),
            (None, None) => return Err(wrong(format!("the number {number}"))),
        },
        Value::String(text) => Constant::Text(text.clone()),
        other => return Err(wrong(format!("{other} is no number, text, true or false"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use isogrid_value::Predicate;

    fn accepts(filter: &str, value: &str) -> bool {
        let encoded = encoded(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        let predicate = Predicate::decode(&encoded).expect("as it was encoded");
        predicate.accepts(b"u1", value.as_bytes())
    }

    #[test]
    fn filters_mean_what_they_say() {
        let value = r#"{"age": 41, "home": {"city": "Graz"}, "tags": ["a", "b"], "gone": null}"#;
        for (filter, is_meant) in [
            ("{}", true),
            (r#"{"age": 41}"#, true),
            (r#"{"age": {"ge": 18, "lt": 41}}"#, false),
            (r#"{"age": {"ge": 18, "le": 41.5}, "home.city": "Graz"}"#, true),
            (r#"{"home.city": {"in": ["Wien", "Linz"]}}"#, false),
            (r#"{"$or": [{"age": 1}, {"home.city": {"starts_with": "Gr"}}]}"#, true),
            (r#"{"$not": {"age": 41}}"#, false),
            (r#"{"$and": [{"tags": {"contains": "b"}}, {"_key": "u1"}]}"#, true),
            (r#"{"gone": null, "age": {"is_null": false}}"#, true),
        ] {
            assert_eq!(accepts(filter, value), is_meant, "{filter}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let deep = format!("{}{{}}{}", "{\"$not\":".repeat(40), "}".repeat(40));
        for filter in [
            "",
            "[]",
            "{\"a\":[1]}",
            r#"{"a":{"like":"x"}}"#,
            r#"{"$nor":[]}"#,
            r#"{"a":{"eq":null}}"#,
            r#"{"a":{"in":1}}"#,
            &deep,
        ] {
            assert!(encoded(filter).is_err(), "{filter}");
        }
    }
}
