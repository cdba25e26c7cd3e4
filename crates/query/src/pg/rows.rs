//! What is in the tables of `pg_catalog`: maps as tables, their fields as columns, and the few things that clients expect
//! everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::SchemaProvider;
use datafusion::common::{Result, ScalarValue};
use futures::{StreamExt, TryStreamExt, stream};

use super::oids::{self, PgType};
use super::{DATABASE, PgSession};
use crate::table::GridSchema;

/// What a row says of some of its columns.
pub(crate) type Row = Vec<(&'static str, ScalarValue)>;

/// Of how many maps the columns are looked up at once.
const LOOKUPS: usize = 4;

/// What rows are made of.
pub(crate) struct Rows {
    pub(crate) maps: Arc<GridSchema>,
    pub(crate) session: PgSession,
}

impl Rows {
    /// The rows of a table; of columns, those of one map alone if it is said which.
    pub(crate) async fn of(&self, table: &str, only: Option<u32>) -> Result<Vec<Row>> {
        let maps = || oids::of_maps(&self.maps.table_names());
        Ok(match table {
            "pg_am" => vec![vec![
                ("oid", oid(oids::HEAP)),
                ("amname", text("heap")),
                ("amtype", text("t")),
            ]],
            "pg_attribute" => self.attributes(maps(), only).await?,
            "pg_class" => maps().iter().map(|(name, number)| class(name, *number)).collect(),
            "pg_database" => vec![database()],
            "pg_get_keywords" => vec![vec![("word", text("ilike")), ("catcode", text("T"))]],
            "pg_namespace" => namespaces(),
            "pg_roles" => vec![role()],
            "pg_settings" => self.session.settings.iter().map(setting).collect(),
            "pg_tables" => maps().keys().map(|name| table_row(name)).collect(),
            "pg_type" => types(),
            "pg_user" => vec![vec![
                ("usename", text(DATABASE)),
                ("usesysid", oid(oids::OWNER)),
                ("usesuper", yes()),
            ]],
            _ => Vec::new(),
        })
    }

    async fn attributes(&self, maps: BTreeMap<String, u32>, only: Option<u32>) -> Result<Vec<Row>> {
        let asked = maps.into_iter().filter(|(_, number)| only.is_none_or(|only| only == *number));
        let rows: Vec<Vec<Row>> = stream::iter(asked)
            .map(|(name, number)| async move {
                let table = self.maps.table(&name).await?;
                let schema = table.map(|table| table.schema());
                let fields = schema.iter().flat_map(|schema| schema.fields().iter());
                let row = |(place, field): (usize, &Arc<datafusion::arrow::datatypes::Field>)| {
                    let (pg_type, is_list) = oids::type_of(field.data_type());
                    attribute(number, (place, field.name(), field.is_nullable()), pg_type, is_list)
                };
                Ok::<_, datafusion::error::DataFusionError>(fields.enumerate().map(row).collect())
            })
            .buffered(LOOKUPS)
            .try_collect()
            .await?;
        Ok(rows.concat())
    }
}

fn class(name: &str, number: u32) -> Row {
    vec![
        ("oid", oid(number)),
        ("relname", text(name)),
        ("relnamespace", oid(oids::PUBLIC_SCHEMA)),
        ("relowner", oid(oids::OWNER)),
        ("relam", oid(oids::HEAP)),
        ("reltuples", ScalarValue::Float32(Some(-1.0))),
        ("relpersistence", text("p")),
        ("relkind", text("r")),
        ("relispopulated", yes()),
        ("relreplident", text("d")),
    ]
}

fn attribute(
    table: u32,
    (place, name, is_nullable): (usize, &str, bool),
    pg_type: PgType,
    is_list: bool,
) -> Row {
    let (type_oid, length) =
        if is_list { (pg_type.array, -1) } else { (pg_type.oid, pg_type.length) };
    vec![
        ("attrelid", oid(table)),
        ("attname", text(name)),
        ("atttypid", oid(type_oid)),
        ("attlen", ScalarValue::Int16(Some(length))),
        ("attnum", ScalarValue::Int16(i16::try_from(place + 1).ok())),
        ("atttypmod", minus_one()),
        ("attndims", ScalarValue::Int32(Some(i32::from(is_list)))),
        ("attstorage", text("p")),
        ("attalign", text("i")),
        ("attcompression", text("")),
        ("attnotnull", ScalarValue::Boolean(Some(!is_nullable))),
        ("attidentity", text("")),
        ("attgenerated", text("")),
        ("attislocal", yes()),
    ]
}

fn database() -> Row {
    vec![
        ("oid", oid(oids::DATABASE)),
        ("datname", text(DATABASE)),
        ("datdba", oid(oids::OWNER)),
        ("encoding", ScalarValue::Int32(Some(6))),
        ("datlocprovider", text("c")),
        ("datcollate", text("C")),
        ("datctype", text("C")),
        ("datallowconn", yes()),
        ("datconnlimit", minus_one()),
    ]
}

fn namespaces() -> Vec<Row> {
    let all = [
        (oids::CATALOG_SCHEMA, "pg_catalog"),
        (oids::INFORMATION_SCHEMA, "information_schema"),
        (oids::PUBLIC_SCHEMA, "public"),
    ];
    let row = |(number, name)| {
        vec![("oid", oid(number)), ("nspname", text(name)), ("nspowner", oid(oids::OWNER))]
    };
    all.into_iter().map(row).collect()
}

fn role() -> Row {
    vec![
        ("oid", oid(oids::OWNER)),
        ("rolname", text(DATABASE)),
        ("rolsuper", yes()),
        ("rolinherit", yes()),
        ("rolcanlogin", yes()),
        ("rolconnlimit", minus_one()),
    ]
}

fn setting((name, value): (&String, &String)) -> Row {
    vec![
        ("name", text(name)),
        ("setting", text(value)),
        ("category", text("Client")),
        ("short_desc", text("")),
        ("context", text("user")),
        ("vartype", text("string")),
        ("source", text("session")),
        ("boot_val", text(value)),
        ("reset_val", text(value)),
    ]
}

fn table_row(name: &str) -> Row {
    vec![("schemaname", text("public")), ("tablename", text(name)), ("tableowner", text(DATABASE))]
}

fn types() -> Vec<Row> {
    let row = |(number, name, one): (u32, String, &PgType)| {
        let is_list = number == one.array;
        let length = if is_list { -1 } else { one.length };
        vec![
            ("oid", oid(number)),
            ("typname", text(&name)),
            ("typnamespace", oid(oids::CATALOG_SCHEMA)),
            ("typowner", oid(oids::OWNER)),
            ("typlen", ScalarValue::Int16(Some(length))),
            ("typbyval", ScalarValue::Boolean(Some((1..=8).contains(&length)))),
            ("typtype", text("b")),
            ("typcategory", text(if is_list { "A" } else { one.category })),
            ("typisdefined", yes()),
            ("typdelim", text(",")),
            ("typelem", oid(if is_list { one.oid } else { 0 })),
            ("typarray", oid(if is_list { 0 } else { one.array })),
            ("typinput", text(if is_list { "array_in" } else { "textin" })),
            ("typreceive", text(if is_list { "array_recv" } else { "textrecv" })),
            ("typtypmod", minus_one()),
        ]
    };
    let plain = oids::TYPES.iter().map(|one| (one.oid, one.name.to_owned(), one));
    let lists = oids::TYPES.iter().filter(|one| one.array != 0);
    let lists = lists.map(|one| (one.array, format!("_{}", one.name), one));
    plain.chain(lists).map(row).collect()
}

fn oid(number: u32) -> ScalarValue {
    ScalarValue::UInt32(Some(number))
}

fn text(text: &str) -> ScalarValue {
    ScalarValue::from(text)
}

fn yes() -> ScalarValue {
    ScalarValue::Boolean(Some(true))
}

fn minus_one() -> ScalarValue {
    ScalarValue::Int32(Some(-1))
}
