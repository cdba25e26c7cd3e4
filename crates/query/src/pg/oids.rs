//! The numbers that PostgreSQL gives to types, and those that maps have in its catalogue: clients ask for a table's number first, and for
//! all else with it, so that it has to be the same each time, on every node.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::datatypes::DataType;

/// A type as PostgreSQL's catalogue describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgType {
    /// Its number.
    pub oid: u32,
    /// Its name in the catalogue.
    pub name: &'static str,
    /// Its name in SQL.
    pub sql_name: &'static str,
    /// How many bytes a value has; -1 for those of any length.
    pub length: i16,
    /// The number of the type of lists of it.
    pub array: u32,
    /// What kind of type it is.
    pub category: &'static str,
}

const fn pg_type(
    (oid, array): (u32, u32),
    (name, sql_name): (&'static str, &'static str),
    length: i16,
    category: &'static str,
) -> PgType {
    PgType { oid, name, sql_name, length, array, category }
}

/// True or false.
pub const BOOL: PgType = pg_type((16, 1000), ("bool", "boolean"), 1, "B");
/// Bytes.
pub const BYTEA: PgType = pg_type((17, 1001), ("bytea", "bytea"), -1, "U");
/// Whole numbers of 64 bits.
pub const INT8: PgType = pg_type((20, 1016), ("int8", "bigint"), 8, "N");
/// Whole numbers of 16 bits.
pub const INT2: PgType = pg_type((21, 1005), ("int2", "smallint"), 2, "N");
/// Whole numbers of 32 bits.
pub const INT4: PgType = pg_type((23, 1007), ("int4", "integer"), 4, "N");
/// Text.
pub const TEXT: PgType = pg_type((25, 1009), ("text", "text"), -1, "S");
/// Numbers of things in the catalogue.
pub const OID: PgType = pg_type((26, 1028), ("oid", "oid"), 4, "N");
/// Numbers of 32 bits with a binary point.
pub const FLOAT4: PgType = pg_type((700, 1021), ("float4", "real"), 4, "N");
/// Numbers of 64 bits with a binary point.
pub const FLOAT8: PgType = pg_type((701, 1022), ("float8", "double precision"), 8, "N");
/// Days.
pub const DATE: PgType = pg_type((1082, 1182), ("date", "date"), 4, "D");
/// Times of day.
pub const TIME: PgType = pg_type((1083, 1183), ("time", "time without time zone"), 8, "D");
/// Points in time without a zone.
pub const TIMESTAMP: PgType =
    pg_type((1114, 1115), ("timestamp", "timestamp without time zone"), 8, "D");
/// Points in time.
pub const TIMESTAMPTZ: PgType =
    pg_type((1184, 1185), ("timestamptz", "timestamp with time zone"), 8, "D");
/// Decimal numbers.
pub const NUMERIC: PgType = pg_type((1700, 1231), ("numeric", "numeric"), -1, "N");
/// Text as others name it.
pub const VARCHAR: PgType = pg_type((1043, 1015), ("varchar", "character varying"), -1, "S");
const BPCHAR: PgType = pg_type((1042, 1014), ("bpchar", "character"), -1, "S");
const NAME: PgType = pg_type((19, 1003), ("name", "name"), 64, "S");
const CHAR: PgType = pg_type((18, 1002), ("char", "\"char\""), 1, "Z");
const UNKNOWN: PgType = pg_type((705, 0), ("unknown", "unknown"), -2, "X");

/// The types that the catalogue knows.
pub const TYPES: &[PgType] = &[
    BOOL,
    BYTEA,
    CHAR,
    NAME,
    INT8,
    INT2,
    INT4,
    TEXT,
    OID,
    FLOAT4,
    FLOAT8,
    UNKNOWN,
    BPCHAR,
    VARCHAR,
    DATE,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    NUMERIC,
];

/// The type of a column, and whether it is a list of that.
pub fn type_of(data_type: &DataType) -> (PgType, bool) {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            match type_of(field.data_type()) {
                (inner, false) => (inner, true),
                // Lists of lists are their text.
                _ => (TEXT, false),
            }
        }
        DataType::Boolean => (BOOL, false),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => (INT2, false),
        DataType::Int32 | DataType::UInt16 => (INT4, false),
        DataType::UInt32 => (OID, false),
        DataType::Int64 | DataType::UInt64 => (INT8, false),
        DataType::Float16 | DataType::Float32 => (FLOAT4, false),
        DataType::Float64 => (FLOAT8, false),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => (BYTEA, false),
        DataType::FixedSizeBinary(_) => (BYTEA, false),
        DataType::Date32 | DataType::Date64 => (DATE, false),
        DataType::Time32(_) | DataType::Time64(_) => (TIME, false),
        DataType::Timestamp(_, None) => (TIMESTAMP, false),
        DataType::Timestamp(_, Some(_)) => (TIMESTAMPTZ, false),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => (NUMERIC, false),
        DataType::Dictionary(_, values) => type_of(values),
        _ => (TEXT, false),
    }
}

/// The name in SQL of the type with this number.
pub(crate) fn type_name(oid: u32) -> String {
    let of = |found: &PgType| found.sql_name.to_owned();
    let plain = TYPES.iter().find(|one| one.oid == oid).map(of);
    let list = || TYPES.iter().find(|one| oid != 0 && one.array == oid);
    plain.or_else(|| list().map(|one| format!("{}[]", one.sql_name))).unwrap_or("???".to_owned())
}

/// The number of the type with this name.
pub(crate) fn type_oid(name: &str) -> Option<u32> {
    TYPES.iter().find(|one| one.name == name || one.sql_name == name).map(|one| one.oid)
}

/// The schema `pg_catalog`.
pub(crate) const CATALOG_SCHEMA: u32 = 11;
/// The schema `public`.
pub(crate) const PUBLIC_SCHEMA: u32 = 2200;
/// The schema `information_schema`.
pub(crate) const INFORMATION_SCHEMA: u32 = 13_000;
/// The owner of everything.
pub(crate) const OWNER: u32 = 10;
/// The database.
pub(crate) const DATABASE: u32 = 16_000;
/// How tables are kept.
pub(crate) const HEAP: u32 = 2;

/// From here on numbers are free.
const FREE_FIRST: u32 = 16_384;

/// The tables of the catalogue that others are named by.
const KNOWN_TABLES: &[(&str, u32)] = &[
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_proc", 1255),
    ("pg_class", 1259),
    ("pg_database", 1262),
    ("pg_constraint", 2606),
    ("pg_namespace", 2615),
    ("pg_index", 2610),
    ("pg_trigger", 2620),
    ("pg_authid", 1260),
];

/// The number of a table of the catalogue.
pub(crate) fn known_table(name: &str) -> u32 {
    let known = KNOWN_TABLES.iter().find(|(known, _)| *known == name);
    known.map_or_else(|| 12_000 + hash(name) % 1_000, |(_, oid)| *oid)
}

/// The numbers of these maps: of its name alone, unless two have the same.
pub(crate) fn of_maps(maps: &[String]) -> BTreeMap<String, u32> {
    let names: BTreeSet<&String> = maps.iter().collect();
    let mut taken = BTreeSet::new();
    let number = |name: &String| {
        let mut oid = FREE_FIRST + hash(name) % (i32::MAX as u32 - 2 * FREE_FIRST);
        while !taken.insert(oid) {
            oid += 1;
        }
        (name.clone(), oid)
    };
    names.into_iter().map(number).collect()
}

/// FNV-1a: the same on every node and in every version.
fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
