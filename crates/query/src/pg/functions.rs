//! The functions of PostgreSQL that its clients call, above all to read its catalogue. What there is nothing to tell of is
//! NULL, what asks for a right is true: whoever reaches the door may read.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::prelude::SessionContext;

use super::{DATABASE, PgSession, SERVER_VERSION, oids};
use crate::source::Source;

/// What a function makes of the arguments of one row.
type Body = Arc<dyn Fn(&[ScalarValue]) -> Result<ScalarValue> + Send + Sync>;

/// Functions that are always true.
const TRUE: &[&str] = &[
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_operator_is_visible",
    "pg_collation_is_visible",
    "pg_statistics_obj_is_visible",
    "has_table_privilege",
    "has_any_column_privilege",
    "has_column_privilege",
    "has_schema_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_sequence_privilege",
    "has_type_privilege",
    "pg_has_role",
];

/// Functions that are always false.
const FALSE: &[&str] = &[
    "pg_is_in_recovery",
    "pg_is_other_temp_schema",
    "row_security_active",
    "pg_relation_is_publishable",
];

/// Functions that have nothing to tell.
const NOTHING: &[&str] = &[
    "pg_get_expr",
    "pg_get_constraintdef",
    "pg_get_indexdef",
    "pg_get_viewdef",
    "pg_get_ruledef",
    "pg_get_triggerdef",
    "pg_get_functiondef",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_partkeydef",
    "pg_get_partition_constraintdef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef_columns",
    "obj_description",
    "col_description",
    "shobj_description",
    "pg_tablespace_location",
    "_pg_expandarray",
    "inet_client_addr",
    "inet_server_addr",
];

/// Functions that tell how many bytes something has on a disk: nothing here has a file of its own.
const ZERO: &[&str] = &[
    "pg_relation_size",
    "pg_total_relation_size",
    "pg_table_size",
    "pg_indexes_size",
    "pg_database_size",
    "pg_tablespace_size",
    "pg_stat_get_numscans",
    "txid_current",
];

/// Makes all of them known.
pub(crate) fn register(context: &SessionContext, session: &PgSession, source: &Arc<dyn Source>) {
    let add = |name: &str, returns: DataType, body: Body| {
        let function = PgFunction { name: name.to_owned(), signature: signature(), returns, body };
        context.register_udf(ScalarUDF::from(function));
    };
    let fixed = |value: ScalarValue| -> Body { Arc::new(move |_| Ok(value.clone())) };
    let always = |names: &[&str], value: ScalarValue| {
        names.iter().for_each(|name| add(name, value.data_type(), fixed(value.clone())));
    };
    always(TRUE, ScalarValue::from(true));
    always(FALSE, ScalarValue::from(false));
    always(NOTHING, ScalarValue::Utf8(None));
    always(ZERO, ScalarValue::from(0i64));
    let version = format!("PostgreSQL {SERVER_VERSION} (Isogrid {})", env!("CARGO_PKG_VERSION"));
    always(&["version"], ScalarValue::from(version));
    always(&["current_database", "current_catalog"], ScalarValue::from(DATABASE));
    always(&["current_schema"], ScalarValue::from("public"));
    let users = ["current_user", "session_user", "user", "current_role"];
    always(&users, ScalarValue::from(session.user.as_ref()));
    always(&["pg_get_userbyid"], ScalarValue::from(DATABASE));
    always(&["pg_backend_pid"], ScalarValue::from(session.process));
    always(&["pg_encoding_to_char"], ScalarValue::from("UTF8"));
    always(&["pg_char_to_encoding"], ScalarValue::from(6i32));
    always(&["pg_my_temp_schema"], ScalarValue::UInt32(Some(0)));
    always(&["inet_server_port", "generate_subscripts"], ScalarValue::Int32(None));
    let schemas = [CATALOG_TEXT, PUBLIC_TEXT].map(ScalarValue::from);
    let schemas = ScalarValue::List(ScalarValue::new_list_nullable(&schemas, &DataType::Utf8));
    add("current_schemas", list_of_text(), fixed(schemas));
    add("quote_ident", DataType::Utf8, Arc::new(|args| Ok(quote(args, '"'))));
    add("quote_literal", DataType::Utf8, Arc::new(|args| Ok(quote(args, '\''))));
    add("pg_like_escaped", DataType::Utf8, Arc::new(|args| Ok(escaped(args))));
    add("format_type", DataType::Utf8, Arc::new(|args| Ok(named(args, oids::type_name))));
    add("pg_regtype_name", DataType::Utf8, Arc::new(|args| Ok(named(args, oids::type_name))));
    add("to_regtype", DataType::UInt32, Arc::new(|args| Ok(number(args, oids::type_oid))));
    add("pg_regnamespace_name", DataType::Utf8, Arc::new(|args| Ok(named(args, schema_name))));
    add("to_regnamespace", DataType::UInt32, Arc::new(|args| Ok(number(args, schema_oid))));
    add("pg_size_pretty", DataType::Utf8, Arc::new(|args| Ok(pretty(args))));
    let last = |args: &[ScalarValue]| Ok(ScalarValue::Utf8(text(args, 1)));
    add("set_config", DataType::Utf8, Arc::new(last));
    register_settings(&add, session);
    register_tables(&add, source);
}

const CATALOG_TEXT: &str = super::rewrite::CATALOG;
const PUBLIC_TEXT: &str = "public";

fn register_settings(add: &dyn Fn(&str, DataType, Body), session: &PgSession) {
    let settings = Arc::clone(&session.settings);
    let body = move |args: &[ScalarValue]| {
        let name = text(args, 0).unwrap_or_default().to_lowercase();
        let value = settings.get(&name).cloned();
        if value.is_none() && args.len() < 2 {
            let why = format!("unrecognized configuration parameter \"{name}\"");
            return Err(DataFusionError::Plan(why));
        }
        Ok(ScalarValue::Utf8(value))
    };
    add("current_setting", DataType::Utf8, Arc::new(body));
}

fn register_tables(add: &dyn Fn(&str, DataType, Body), source: &Arc<dyn Source>) {
    let maps = Arc::new(oids::of_maps(&source.maps()));
    let names: Arc<BTreeMap<u32, String>> =
        Arc::new(maps.iter().map(|(name, oid)| (*oid, quoted(name, '"'))).collect());
    let known = Arc::clone(&maps);
    let if_there = move |args: &[ScalarValue]| Ok(number(args, |name| table_oid(&known, name)));
    add("to_regclass", DataType::UInt32, Arc::new(if_there));
    // A cast says that it is there.
    let cast = move |args: &[ScalarValue]| {
        let Some(name) = text(args, 0) else { return Ok(ScalarValue::UInt32(None)) };
        match name.parse().ok().or_else(|| table_oid(&maps, &name)) {
            Some(oid) => Ok(ScalarValue::UInt32(Some(oid))),
            None => Err(DataFusionError::Plan(format!("table '{name}' not found"))),
        }
    };
    add("pg_regclass_oid", DataType::UInt32, Arc::new(cast));
    let to_name = move |args: &[ScalarValue]| {
        Ok(named(args, |oid| names.get(&oid).cloned().unwrap_or_else(|| oid.to_string())))
    };
    add("pg_regclass_name", DataType::Utf8, Arc::new(to_name));
}

fn table_oid(maps: &BTreeMap<String, u32>, name: &str) -> Option<u32> {
    let catalog = name.strip_prefix("pg_catalog.").unwrap_or(name);
    if super::tables::exists(catalog) {
        return Some(oids::known_table(catalog));
    }
    let name = name.strip_prefix("public.").unwrap_or(name);
    let unquoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let name = unquoted.map_or_else(|| name.to_lowercase(), |name| name.replace("\"\"", "\""));
    maps.get(&name).copied()
}

fn schema_name(oid: u32) -> String {
    match oid {
        oids::CATALOG_SCHEMA => CATALOG_TEXT.to_owned(),
        oids::PUBLIC_SCHEMA => PUBLIC_TEXT.to_owned(),
        oids::INFORMATION_SCHEMA => "information_schema".to_owned(),
        other => other.to_string(),
    }
}

fn schema_oid(name: &str) -> Option<u32> {
    let known = [oids::CATALOG_SCHEMA, oids::PUBLIC_SCHEMA, oids::INFORMATION_SCHEMA];
    known.into_iter().find(|oid| schema_name(*oid) == name)
}

fn text(args: &[ScalarValue], place: usize) -> Option<String> {
    match args.get(place)?.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(text)) => text,
        _ => None,
    }
}

fn named(args: &[ScalarValue], name: impl Fn(u32) -> String) -> ScalarValue {
    let oid = text(args, 0).and_then(|text| text.parse().ok());
    ScalarValue::Utf8(oid.map(name))
}

fn number(args: &[ScalarValue], oid: impl Fn(&str) -> Option<u32>) -> ScalarValue {
    ScalarValue::UInt32(text(args, 0).and_then(|name| oid(&name)))
}

fn quote(args: &[ScalarValue], mark: char) -> ScalarValue {
    ScalarValue::Utf8(text(args, 0).map(|text| quoted(&text, mark)))
}

/// Names are quoted where they have to be.
fn quoted(text: &str, mark: char) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if mark == '"' && starts && text.bytes().all(plain) {
        return text.to_owned();
    }
    let doubled = text.replace(mark, &format!("{mark}{mark}"));
    format!("{mark}{doubled}{mark}")
}

/// A pattern with a backslash wherever another character escaped.
fn escaped(args: &[ScalarValue]) -> ScalarValue {
    let (Some(pattern), Some(escape)) = (text(args, 0), text(args, 1)) else {
        return ScalarValue::Utf8(None);
    };
    let escape = escape.chars().next();
    let mut plain = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let is_escape = Some(letter) == escape;
        let letter = if is_escape { letters.next().unwrap_or(letter) } else { letter };
        if letter == '\\' || is_escape && matches!(letter, '%' | '_') {
            plain.push('\\');
        }
        plain.push(letter);
    }
    ScalarValue::from(plain)
}

fn pretty(args: &[ScalarValue]) -> ScalarValue {
    ScalarValue::Utf8(text(args, 0).map(|bytes| format!("{bytes} bytes")))
}

fn list_of_text() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn signature() -> Signature {
    let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
    Signature::one_of(any, Volatility::Stable)
}

/// A function that takes whatever it is given, row by row: the catalogue has few rows.
struct PgFunction {
    name: String,
    signature: Signature,
    returns: DataType,
    body: Body,
}

impl ScalarUDFImpl for PgFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let row = |row: usize| {
            let value = |arg: &ColumnarValue| match arg {
                ColumnarValue::Array(array) => ScalarValue::try_from_array(array, row),
                ColumnarValue::Scalar(value) => Ok(value.clone()),
            };
            (self.body)(&args.args.iter().map(value).collect::<Result<Vec<_>>>()?)
        };
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(row(0)?));
        }
        if args.number_rows == 0 {
            let none = datafusion::arrow::array::new_empty_array(&self.returns);
            return Ok(ColumnarValue::Array(none));
        }
        let values = (0..args.number_rows).map(row).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
    }
}

impl fmt::Debug for PgFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PgFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Two of a name are made for different sessions, and are never compared within one.
impl PartialEq for PgFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for PgFunction {}

impl Hash for PgFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
