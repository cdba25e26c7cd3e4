//! The tables of `pg_catalog`: their columns as PostgreSQL 14 has them, as far as clients ask for them. Most are empty: there is
//! nothing of the kind here.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::new_empty_array;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::PgSession;
use super::rows::{Row, Rows};
use crate::table::GridSchema;

/// A table: its name, and its columns with a letter for the type of each: `o` numbers of things, `s` `i` `l` whole numbers,
/// `f` others, `b` true or false, `t` text, `z` points in time; in capitals lists of them.
type Table = (&'static str, &'static str);

/// The tables that have rows.
const FILLED: &[Table] = &[
    ("pg_am", "oid:o amname:t amhandler:o amtype:t"),
    (
        "pg_attribute",
        "attrelid:o attname:t atttypid:o attstattarget:i attlen:s attnum:s attndims:i attcacheoff:i atttypmod:i \
         attbyval:b attstorage:t attalign:t attcompression:t attnotnull:b atthasdef:b atthasmissing:b attidentity:t \
         attgenerated:t attisdropped:b attislocal:b attinhcount:i attcollation:o attacl:T attoptions:T attfdwoptions:T \
         attmissingval:t",
    ),
    (
        "pg_class",
        "oid:o relname:t relnamespace:o reltype:o reloftype:o relowner:o relam:o relfilenode:o reltablespace:o \
         relpages:i reltuples:f relallvisible:i reltoastrelid:o relhasindex:b relisshared:b relpersistence:t relkind:t \
         relnatts:s relchecks:s relhasrules:b relhastriggers:b relhassubclass:b relrowsecurity:b relforcerowsecurity:b \
         relispopulated:b relreplident:t relispartition:b relrewrite:o relfrozenxid:l relminmxid:l relacl:T reloptions:T \
         relpartbound:t",
    ),
    (
        "pg_database",
        "oid:o datname:t datdba:o encoding:i datlocprovider:t datcollate:t datctype:t daticulocale:t datistemplate:b \
         datallowconn:b datconnlimit:i datlastsysoid:o datfrozenxid:l datminmxid:l dattablespace:o datacl:T",
    ),
    ("pg_get_keywords", "word:t catcode:t catdesc:t"),
    ("pg_namespace", "oid:o nspname:t nspowner:o nspacl:T"),
    (
        "pg_roles",
        "oid:o rolname:t rolsuper:b rolinherit:b rolcreaterole:b rolcreatedb:b rolcanlogin:b rolreplication:b \
         rolconnlimit:i rolpassword:t rolvaliduntil:z rolbypassrls:b rolconfig:T",
    ),
    (
        "pg_settings",
        "name:t setting:t unit:t category:t short_desc:t extra_desc:t context:t vartype:t source:t min_val:t max_val:t \
         enumvals:T boot_val:t reset_val:t sourcefile:t sourceline:i pending_restart:b",
    ),
    (
        "pg_tables",
        "schemaname:t tablename:t tableowner:t tablespace:t hasindexes:b hasrules:b hastriggers:b rowsecurity:b",
    ),
    (
        "pg_type",
        "oid:o typname:t typnamespace:o typowner:o typlen:s typbyval:b typtype:t typcategory:t typispreferred:b \
         typisdefined:b typdelim:t typrelid:o typsubscript:t typelem:o typarray:o typinput:t typoutput:t typreceive:t \
         typsend:t typmodin:t typmodout:t typanalyze:t typalign:t typstorage:t typnotnull:b typbasetype:o typtypmod:i \
         typndims:i typcollation:o typdefaultbin:t typdefault:t typacl:T",
    ),
    (
        "pg_user",
        "usename:t usesysid:o usecreatedb:b usesuper:b userepl:b usebypassrls:b passwd:t valuntil:z useconfig:T",
    ),
];

/// The tables that never have any.
const EMPTY: &[Table] = &[
    ("pg_aggregate", "aggfnoid:o aggkind:t aggnumdirectargs:s"),
    ("pg_amop", "oid:o amopfamily:o amoplefttype:o amoprighttype:o amopstrategy:s amopopr:o"),
    ("pg_attrdef", "oid:o adrelid:o adnum:s adbin:t"),
    ("pg_auth_members", "roleid:o member:o grantor:o admin_option:b"),
    ("pg_available_extensions", "name:t default_version:t installed_version:t comment:t"),
    ("pg_cast", "oid:o castsource:o casttarget:o castfunc:o castcontext:t castmethod:t"),
    (
        "pg_collation",
        "oid:o collname:t collnamespace:o collowner:o collprovider:t collisdeterministic:b collencoding:i collcollate:t \
         collctype:t collversion:t",
    ),
    (
        "pg_constraint",
        "oid:o conname:t connamespace:o contype:t condeferrable:b condeferred:b convalidated:b conrelid:o contypid:o \
         conindid:o conparentid:o confrelid:o confupdtype:t confdeltype:t confmatchtype:t conislocal:b coninhcount:i \
         connoinherit:b conkey:S confkey:S conbin:t",
    ),
    ("pg_db_role_setting", "setdatabase:o setrole:o setconfig:T"),
    ("pg_default_acl", "oid:o defaclrole:o defaclnamespace:o defaclobjtype:t defaclacl:T"),
    ("pg_depend", "classid:o objid:o objsubid:i refclassid:o refobjid:o refobjsubid:i deptype:t"),
    ("pg_description", "objoid:o classoid:o objsubid:i description:t"),
    ("pg_enum", "oid:o enumtypid:o enumsortorder:f enumlabel:t"),
    ("pg_event_trigger", "oid:o evtname:t evtevent:t evtowner:o evtfoid:o evtenabled:t evttags:T"),
    (
        "pg_extension",
        "oid:o extname:t extowner:o extnamespace:o extrelocatable:b extversion:t extconfig:O extcondition:T",
    ),
    (
        "pg_foreign_data_wrapper",
        "oid:o fdwname:t fdwowner:o fdwhandler:o fdwvalidator:o fdwoptions:T",
    ),
    (
        "pg_foreign_server",
        "oid:o srvname:t srvowner:o srvfdw:o srvtype:t srvversion:t srvoptions:T",
    ),
    ("pg_foreign_table", "ftrelid:o ftserver:o ftoptions:T"),
    (
        "pg_index",
        "indexrelid:o indrelid:o indnatts:s indnkeyatts:s indisunique:b indisprimary:b indisexclusion:b indimmediate:b \
         indisclustered:b indisvalid:b indcheckxmin:b indisready:b indislive:b indisreplident:b indkey:S \
         indcollation:O indclass:O indoption:S indexprs:t indpred:t indnullsnotdistinct:b",
    ),
    ("pg_indexes", "schemaname:t tablename:t indexname:t tablespace:t indexdef:t"),
    ("pg_inherits", "inhrelid:o inhparent:o inhseqno:i inhdetachpending:b"),
    ("pg_language", "oid:o lanname:t lanowner:o lanispl:b lanpltrusted:b lanplcallfoid:o"),
    ("pg_locks", "locktype:t database:o relation:o pid:i mode:t granted:b"),
    (
        "pg_matviews",
        "schemaname:t matviewname:t matviewowner:t tablespace:t hasindexes:b ispopulated:b definition:t",
    ),
    (
        "pg_opclass",
        "oid:o opcmethod:o opcname:t opcnamespace:o opcfamily:o opcintype:o opcdefault:b opckeytype:o",
    ),
    (
        "pg_operator",
        "oid:o oprname:t oprnamespace:o oprowner:o oprkind:t oprleft:o oprright:o oprresult:o oprcode:o",
    ),
    (
        "pg_partitioned_table",
        "partrelid:o partstrat:t partnatts:s partdefid:o partattrs:S partexprs:t",
    ),
    (
        "pg_policy",
        "oid:o polname:t polrelid:o polcmd:t polpermissive:b polroles:t polqual:t polwithcheck:t",
    ),
    (
        "pg_proc",
        "oid:o proname:t pronamespace:o proowner:o prolang:o procost:f prorows:f provariadic:o prokind:t prosecdef:b \
         proleakproof:b proisstrict:b proretset:b provolatile:t proparallel:t pronargs:s pronargdefaults:s \
         prorettype:o proargtypes:O proallargtypes:O proargmodes:T proargnames:T proargdefaults:t prosrc:t probin:t \
         proconfig:T proacl:T",
    ),
    (
        "pg_publication",
        "oid:o pubname:t pubowner:o puballtables:b pubinsert:b pubupdate:b pubdelete:b pubtruncate:b pubviaroot:b",
    ),
    ("pg_publication_namespace", "oid:o pnpubid:o pnnspid:o"),
    ("pg_publication_rel", "oid:o prpubid:o prrelid:o prqual:t prattrs:S"),
    ("pg_range", "rngtypid:o rngsubtype:o rngmultitypid:o rngcollation:o rngsubopc:o"),
    (
        "pg_rewrite",
        "oid:o rulename:t ev_class:o ev_type:t ev_enabled:t is_instead:b ev_qual:t ev_action:t",
    ),
    (
        "pg_sequence",
        "seqrelid:o seqtypid:o seqstart:l seqincrement:l seqmax:l seqmin:l seqcache:l seqcycle:b",
    ),
    (
        "pg_sequences",
        "schemaname:t sequencename:t sequenceowner:t data_type:t start_value:l last_value:l",
    ),
    ("pg_shdescription", "objoid:o classoid:o description:t"),
    ("pg_seclabel", "objoid:o classoid:o objsubid:i provider:t label:t"),
    ("pg_shdepend", "dbid:o classid:o objid:o objsubid:i refclassid:o refobjid:o deptype:t"),
    (
        "pg_stat_activity",
        "datid:o datname:t pid:i usesysid:o usename:t application_name:t client_addr:t client_port:i state:t query:t",
    ),
    (
        "pg_stat_user_tables",
        "relid:o schemaname:t relname:t seq_scan:l seq_tup_read:l idx_scan:l n_live_tup:l n_dead_tup:l",
    ),
    ("pg_stat_database", "datid:o datname:t numbackends:i xact_commit:l xact_rollback:l"),
    ("pg_statio_user_tables", "relid:o schemaname:t relname:t heap_blks_read:l heap_blks_hit:l"),
    (
        "pg_statistic_ext",
        "oid:o stxrelid:o stxname:t stxnamespace:o stxowner:o stxstattarget:i stxkeys:S stxkind:T stxexprs:t",
    ),
    ("pg_stats", "schemaname:t tablename:t attname:t null_frac:f n_distinct:f"),
    ("pg_subscription", "oid:o subdbid:o subname:t subowner:o subenabled:b subconninfo:t"),
    ("pg_tablespace", "oid:o spcname:t spcowner:o spcacl:T spcoptions:T"),
    ("pg_timezone_names", "name:t abbrev:t is_dst:b"),
    (
        "pg_trigger",
        "oid:o tgrelid:o tgparentid:o tgname:t tgfoid:o tgtype:s tgenabled:t tgisinternal:b tgconstrrelid:o \
         tgconstrindid:o tgconstraint:o tgdeferrable:b tginitdeferred:b tgnargs:s tgattr:S tgqual:t tgoldtable:t \
         tgnewtable:t",
    ),
    ("pg_ts_config", "oid:o cfgname:t cfgnamespace:o cfgowner:o cfgparser:o"),
    ("pg_user_mapping", "oid:o umuser:o umserver:o umoptions:T"),
    ("pg_views", "schemaname:t viewname:t viewowner:t definition:t"),
];

/// Whether there is such a table.
pub(crate) fn exists(name: &str) -> bool {
    find(name).is_some()
}

/// Whether a table never has rows.
pub(crate) fn is_empty(name: &str) -> bool {
    EMPTY.iter().any(|(table, _)| *table == name)
}

fn find(name: &str) -> Option<Table> {
    FILLED.iter().chain(EMPTY).find(|(table, _)| *table == name).copied()
}

fn schema_of((_, columns): Table) -> SchemaRef {
    let field = |column: &str| {
        let (name, letter) = column.split_once(':').unwrap_or((column, "t"));
        let plain = match letter.to_ascii_lowercase().as_str() {
            "o" => DataType::UInt32,
            "s" => DataType::Int16,
            "i" => DataType::Int32,
            "l" => DataType::Int64,
            "f" => DataType::Float32,
            "b" => DataType::Boolean,
            "z" => DataType::Timestamp(
                datafusion::arrow::datatypes::TimeUnit::Microsecond,
                Some("UTC".into()),
            ),
            _ => DataType::Utf8,
        };
        let is_list = letter.bytes().all(|byte| byte.is_ascii_uppercase());
        let list = || DataType::List(Arc::new(Field::new_list_field(plain.clone(), true)));
        Field::new(name, if is_list { list() } else { plain.clone() }, true)
    };
    Arc::new(Schema::new(columns.split_whitespace().map(field).collect::<Vec<_>>()))
}

/// All of them, for one connection.
pub(crate) struct PgCatalog(Arc<Rows>);

impl PgCatalog {
    pub(crate) fn new(maps: Arc<GridSchema>, session: PgSession) -> Self {
        PgCatalog(Arc::new(Rows { maps, session }))
    }
}

impl fmt::Debug for PgCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PgCatalog")
    }
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        FILLED.iter().chain(EMPTY).map(|(name, _)| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = find(name) else { return Ok(None) };
        let rows = Arc::clone(&self.0);
        Ok(Some(Arc::new(PgTable { name: table.0, schema: schema_of(table), rows })))
    }

    fn table_exist(&self, name: &str) -> bool {
        exists(name)
    }
}

/// One of them.
struct PgTable {
    name: &'static str,
    schema: SchemaRef,
    rows: Arc<Rows>,
}

impl fmt::Debug for PgTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[async_trait]
impl TableProvider for PgTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    /// Columns are looked up of one map alone where the statement names it.
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let only = filters.iter().find_map(|filter| equal_to(filter, "attrelid"));
        let batch = batch(&self.schema, &self.rows.of(self.name, only).await?)?;
        let schema = Arc::clone(&self.schema);
        let exec = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, projection.cloned())?;
        Ok(exec)
    }
}

/// What a filter says that a column of numbers is equal to.
fn equal_to(filter: &Expr, column: &str) -> Option<u32> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else {
        return None;
    };
    let value = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(found), Expr::Literal(value, _))
        | (Expr::Literal(value, _), Expr::Column(found))
            if found.name == column =>
        {
            value
        }
        _ => return None,
    };
    match value.cast_to(&DataType::UInt32) {
        Ok(ScalarValue::UInt32(oid)) => oid,
        _ => None,
    }
}

/// What a row does not say of a column is nothing: 0, false or NULL.
fn batch(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch> {
    let column = |field: &Arc<Field>| {
        if rows.is_empty() {
            return Ok(new_empty_array(field.data_type()));
        }
        let nothing = match field.data_type() {
            DataType::UInt32 => ScalarValue::UInt32(Some(0)),
            DataType::Int16 => ScalarValue::Int16(Some(0)),
            DataType::Int32 => ScalarValue::Int32(Some(0)),
            DataType::Int64 => ScalarValue::Int64(Some(0)),
            DataType::Boolean => ScalarValue::Boolean(Some(false)),
            other => ScalarValue::try_new_null(other)?,
        };
        let value = |row: &Row| {
            let said = row.iter().find(|(name, _)| name == field.name());
            said.map_or_else(|| nothing.clone(), |(_, value)| value.clone())
        };
        ScalarValue::iter_to_array(rows.iter().map(value))
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_table_is_there_once_and_every_column_has_a_type() {
        let mut names = BTreeSet::new();
        for table in FILLED.iter().chain(EMPTY) {
            assert!(names.insert(table.0), "{} is there twice", table.0);
            let schema = schema_of(*table);
            let columns: BTreeSet<&String> = schema.fields().iter().map(|f| f.name()).collect();
            assert_eq!(columns.len(), schema.fields().len(), "{}", table.0);
            for column in table.1.split_whitespace() {
                let (_, letter) = column.split_once(':').expect("a type");
                assert!("osilfbtzTSO".contains(letter), "{column}");
            }
        }
    }
}
