//! [`Sqlite`]: the same data in SQLite, in memory, and its answers.

use std::sync::Arc;

use isogrid_core::PartitionCount;
use parking_lot::Mutex;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params};

use crate::answer::{Answer, Value};
use crate::data::Data;
use crate::statement::Statement;

const TABLES: &str = "
    PRAGMA case_sensitive_like = ON;
    CREATE TABLE orders (
        _key TEXT PRIMARY KEY, _partition INTEGER, tenant TEXT, id INTEGER, customer TEXT, product TEXT,
        quantity INTEGER, total REAL, status TEXT, placed_at INTEGER, note TEXT, tags TEXT, paid INTEGER
    );
    CREATE TABLE customers (
        _key TEXT PRIMARY KEY, _partition INTEGER, tenant TEXT, id TEXT, name TEXT, city TEXT, tier INTEGER, credit REAL
    );
    CREATE TABLE products (
        _key TEXT PRIMARY KEY, _partition INTEGER, id TEXT, name TEXT, category TEXT, price REAL, stock INTEGER,
        discontinued INTEGER
    );
";

/// Made when the data is there. Answers are the same without them, and come later.
const INDEXES: &str = "
    CREATE INDEX orders_tenant ON orders (tenant);
    CREATE INDEX orders_customer ON orders (customer);
    CREATE INDEX orders_product ON orders (product);
    CREATE INDEX customers_id ON customers (id);
    CREATE INDEX products_id ON products (id);
    ANALYZE;
";

/// A database. Clones share it.
#[derive(Clone)]
pub(crate) struct Sqlite(Arc<Mutex<Connection>>);

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Whole(value) => ValueRef::Integer(*value),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
        }))
    }
}

impl Sqlite {
    /// Takes the data. A key is in the partition that a cluster of so many has it in.
    pub(crate) fn load(data: &Data, partitions: u16) -> rusqlite::Result<Sqlite> {
        let count = PartitionCount::new(partitions).expect("a power of two");
        let of_key = |key: &str| count.partition_of_key(key.as_bytes()).0;
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch(TABLES)?;
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction
                .prepare("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
            for o in &data.orders {
                let (key, tags) = (o.key(), o.tags_shown());
                let (customer, product) = (&o.customer, &o.product);
                insert.execute(params![
                    key,
                    of_key(&key),
                    o.tenant,
                    o.id,
                    customer,
                    product,
                    o.quantity,
                    o.total,
                    o.status,
                    o.placed_at,
                    o.note,
                    tags,
                    o.paid
                ])?;
            }
            let mut insert =
                transaction.prepare("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
            for c in &data.customers {
                let key = c.key();
                insert.execute(params![
                    key,
                    of_key(&key),
                    c.tenant,
                    c.id,
                    c.name,
                    c.city,
                    c.tier,
                    c.credit
                ])?;
            }
            let mut insert =
                transaction.prepare("INSERT INTO products VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
            for p in &data.products {
                let partition = of_key(&p.id);
                insert.execute(params![
                    p.id,
                    partition,
                    p.id,
                    p.name,
                    p.category,
                    p.price,
                    p.stock,
                    p.discontinued
                ])?;
            }
        }
        transaction.commit()?;
        connection.execute_batch(INDEXES)?;
        Ok(Sqlite(Arc::new(Mutex::new(connection))))
    }

    /// Its answer, computed beside the tasks that wait for the cluster.
    pub(crate) async fn ask(&self, statement: &Statement) -> Result<Answer, String> {
        let (connection, statement) = (Arc::clone(&self.0), statement.clone());
        let asked = tokio::task::spawn_blocking(move || answer(&connection.lock(), &statement));
        asked.await.expect("it does not panic").map_err(|error| format!("SQLite: {error}"))
    }
}

fn answer(connection: &Connection, statement: &Statement) -> rusqlite::Result<Answer> {
    let mut prepared = connection.prepare(statement.sqlite_text())?;
    let columns = prepared.column_count();
    let parameters = rusqlite::params_from_iter(&statement.parameters);
    let mut rows = prepared.query(parameters)?;
    let mut answer = Answer { columns, rows: Vec::new() };
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|place| row.get_ref(place).map(value));
        answer.rows.push(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok(answer)
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Whole(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => panic!("no column has bytes: {bytes:?}"),
    }
}
