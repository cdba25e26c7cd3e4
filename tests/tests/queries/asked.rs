//! The cluster's side: the data in its maps, and its answers.

use isogrid_client::arrow::array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray,
};
use isogrid_client::arrow::compute::cast;
use isogrid_client::arrow::datatypes::DataType;
use isogrid_client::{Error, Grid, Json, SqlValue};

use crate::answer::{Answer, Row, Value};
use crate::data::{Customer, Data, Order, Product};
use crate::statement::Statement;

/// How many entries are written at once.
const AT_ONCE: usize = 1_000;

/// Orders and customers have columns and are partitioned by their tenant; products say themselves what they are.
const MAPS: [&str; 2] = [
    "CREATE MAP orders (tenant TEXT, id BIGINT, customer TEXT, product TEXT, quantity BIGINT, total DOUBLE, status TEXT,
       placed_at BIGINT, note TEXT, tags JSON, paid BOOLEAN) PARTITION BY tenant",
    "CREATE MAP customers (tenant TEXT, id TEXT, name TEXT, city TEXT, tier BIGINT, credit DOUBLE) PARTITION BY tenant",
];

/// Writes the data: orders and customers as MessagePack, products as JSON.
pub(crate) async fn load(grid: &Grid, data: &Data) {
    for map in MAPS {
        grid.sql(map).run().await.expect("it makes maps");
    }
    let orders = grid.map::<String, Order>("orders");
    for some in data.orders.chunks(AT_ONCE) {
        let put = orders.put_many(some.iter().map(|order| (order.key(), order)));
        put.await.expect("it takes writes").all().expect("all");
    }
    let customers = grid.map::<String, Customer>("customers");
    for some in data.customers.chunks(AT_ONCE) {
        let put = customers.put_many(some.iter().map(|customer| (customer.key(), customer)));
        put.await.expect("it takes writes").all().expect("all");
    }
    let products = grid.map_with::<String, Product, _>("products", Json);
    let put = products.put_many(data.products.iter().map(|product| (&product.id, product)));
    put.await.expect("it takes writes").all().expect("all");
}

/// What the cluster answers.
pub(crate) async fn ask(grid: &Grid, statement: &Statement) -> Result<Answer, Error> {
    let sql =
        statement.parameters.iter().fold(grid.sql(&statement.text), |sql, value| match value {
            Value::Null => sql.bind(SqlValue::NULL),
            Value::Whole(value) => sql.bind(*value),
            Value::Real(value) => sql.bind(*value),
            Value::Text(value) => sql.bind(value.as_str()),
        });
    let mut batches = sql.run().await?;
    let mut answer = Answer { columns: batches.schema().fields().len(), rows: Vec::new() };
    while let Some(batch) = batches.next().await? {
        answer.rows.extend(rows(&batch));
    }
    Ok(answer)
}

fn rows(batch: &RecordBatch) -> Vec<Row> {
    let columns: Vec<Vec<Value>> = batch.columns().iter().map(values).collect();
    let row = |at: usize| columns.iter().map(|column| column[at].clone()).collect();
    (0..batch.num_rows()).map(row).collect()
}

fn values(column: &ArrayRef) -> Vec<Value> {
    let as_type = |wanted: DataType| {
        let cast = cast(column, &wanted).expect("it can be shown so");
        assert_eq!(cast.null_count(), column.logical_null_count(), "a value that does not fit");
        cast
    };
    match column.data_type() {
        DataType::Null => vec![Value::Null; column.len()],
        kind if kind.is_integer() || *kind == DataType::Boolean => {
            let whole = as_type(DataType::Int64);
            let whole = whole.as_any().downcast_ref::<Int64Array>().expect("as it was cast");
            whole.iter().map(|value| value.map_or(Value::Null, Value::Whole)).collect()
        }
        kind if kind.is_floating() => {
            let real = as_type(DataType::Float64);
            let real = real.as_any().downcast_ref::<Float64Array>().expect("as it was cast");
            real.iter().map(|value| value.map_or(Value::Null, Value::Real)).collect()
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = as_type(DataType::Utf8);
            let text = text.as_any().downcast_ref::<StringArray>().expect("as it was cast");
            let value = |text: &str| Value::Text(text.to_owned());
            text.iter().map(|text| text.map_or(Value::Null, value)).collect()
        }
        kind => panic!("SQLite has nothing like {kind}"),
    }
}
