//! Casts to types that only PostgreSQL has, and to those that it writes in its own way. What would become another value
//! than PostgreSQL's is refused.

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, Expr, Value,
};
use isogrid_core::{Error, ErrorCode};

use super::list_items;
use super::refused::Refused;
use super::rewrite::{call, call_with, cast_to, null, part};

/// Types that are their text here.
const TEXTS: &[&str] = &[
    "name",
    "bpchar",
    "cstring",
    "xml",
    "pg_node_tree",
    "aclitem",
    "int2vector",
    "oidvector",
    "unknown",
    "sql_identifier",
    "character_data",
    "yes_or_no",
];

/// A cast as DataFusion takes it; `None` if it takes this one as it is.
///
/// # Errors
/// Nobody here knows the type.
pub(super) fn cast(inner: &Expr, data_type: &DataType) -> Result<Option<Expr>, Refused> {
    if let Some(reg) = of_registered(inner, data_type) {
        return Ok(Some(reg));
    }
    if let DataType::Array(list) = data_type {
        return listed(inner, list).map(Some);
    }
    let plain = plain(data_type)?;
    let letters = letters(data_type);
    if letters.is_none() && plain == *data_type {
        return Ok(None);
    }
    let cast = cast_to(inner.clone(), plain);
    Ok(Some(match letters {
        Some(letters) => call_with("left", vec![cast, number(letters)]),
        None => cast,
    }))
}

/// A type by the name that DataFusion knows.
fn plain(data_type: &DataType) -> Result<DataType, Refused> {
    let name = match data_type {
        DataType::CharacterVarying(_)
        | DataType::CharVarying(_)
        | DataType::Varchar(_)
        | DataType::Nvarchar(_)
        | DataType::Character(_)
        | DataType::Char(_)
        | DataType::JSON
        | DataType::JSONB
        | DataType::Uuid => return Ok(DataType::Text),
        DataType::Custom(name, _) => name.0.last().map(part).unwrap_or_default(),
        known => return Ok(known.clone()),
    };
    Ok(match name.as_str() {
        "oid" | "xid" | "cid" => DataType::IntUnsigned(None),
        "int4" | "int" | "cardinal_number" => DataType::Int(None),
        "int8" => DataType::BigInt(None),
        "int2" => DataType::SmallInt(None),
        "bool" => DataType::Boolean,
        "float4" => DataType::Real,
        "float8" => DataType::Double(ExactNumberInfo::None),
        "bytea" => DataType::Bytea,
        "text" | "varchar" | "char" => DataType::Text,
        "json" | "jsonb" | "uuid" => DataType::Text,
        "regproc" | "regprocedure" | "regoper" | "regoperator" | "regrole" => DataType::Text,
        text if TEXTS.contains(&text) => DataType::Text,
        unknown => return Err(refused("42704", format!("there is no type {unknown:?} here"))),
    })
}

/// How many letters a type leaves of a text.
fn letters(data_type: &DataType) -> Option<u64> {
    let said = |length: &Option<CharacterLength>| match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
        _ => None,
    };
    match data_type {
        DataType::CharacterVarying(length)
        | DataType::CharVarying(length)
        | DataType::Varchar(length)
        | DataType::Nvarchar(length) => said(length),
        DataType::Character(length) | DataType::Char(length) => Some(said(length).unwrap_or(1)),
        DataType::Custom(name, of) => match (name.0.last().map(part)?.as_str(), of.as_slice()) {
            ("char", _) => Some(1),
            ("bpchar" | "varchar", [length]) => length.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// What is known by a number and shown by a name.
fn of_registered(inner: &Expr, data_type: &DataType) -> Option<Expr> {
    let name = match data_type {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Custom(name, _) => name.0.last().map(part)?,
        _ => return None,
    };
    let value = without_casts_to_text(inner);
    let is_named = matches!(value, Expr::Value(value) if matches!(
        value.value, Value::SingleQuotedString(_) | Value::Placeholder(_)
    ));
    let (of_name, to_name) = match name.as_str() {
        "regclass" => ("pg_regclass_oid", "pg_regclass_name"),
        "regtype" => ("to_regtype", "pg_regtype_name"),
        "regnamespace" => ("to_regnamespace", "pg_regnamespace_name"),
        "regproc" | "regprocedure" | "regoper" | "regoperator" | "regrole" if is_named => {
            return Some(cast_to(null(), DataType::IntUnsigned(None)));
        }
        _ => return None,
    };
    Some(match is_named {
        true => call(of_name, inner.clone()),
        false => call(to_name, inner.clone()),
    })
}

fn without_casts_to_text(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast { expr, data_type: DataType::Text, .. } | Expr::Nested(expr) => {
            without_casts_to_text(expr)
        }
        other => other,
    }
}

/// `'{a,b}'::text[]`, and lists of other types.
fn listed(inner: &Expr, list: &ArrayElemTypeDef) -> Result<Expr, Refused> {
    let item_type = match list {
        ArrayElemTypeDef::SquareBracket(item, _) | ArrayElemTypeDef::AngleBracket(item) => item,
        _ => return Err(refused("0A000", "a list without the type of its items".to_owned())),
    };
    if matches!(**item_type, DataType::Array(_)) {
        return Err(refused("0A000", "lists of lists are not taken".to_owned()));
    }
    let plain = plain(item_type)?;
    let letters = letters(item_type);
    let whole = DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(plain.clone()), None));
    let text = match without_casts_to_text(inner) {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text,
            _ => return Ok(cast_to(inner.clone(), whole)),
        },
        _ if letters.is_some() => {
            return Err(refused("0A000", "the items of a list are not cut here".to_owned()));
        }
        _ => return Ok(cast_to(inner.clone(), whole)),
    };
    let items = list_items(text)
        .ok_or_else(|| refused("22P02", format!("malformed array literal: {text:?}")))?;
    if items.is_empty() {
        return Ok(cast_to(Expr::Array(Array { elem: Vec::new(), named: true }), whole));
    }
    let is_text = plain == DataType::Text;
    let item = |item: Option<String>| {
        let value = item.map_or_else(null, |text| {
            let text = match letters {
                Some(letters) => text.chars().take(letters as usize).collect(),
                None => text,
            };
            Expr::Value(Value::SingleQuotedString(text).into())
        });
        if is_text { value } else { cast_to(value, plain.clone()) }
    };
    Ok(Expr::Array(Array { elem: items.into_iter().map(item).collect(), named: true }))
}

fn number(number: u64) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).into())
}

fn refused(state: &'static str, detail: String) -> Refused {
    Refused { state, error: Error::new(ErrorCode::QueryInvalid, detail) }
}
