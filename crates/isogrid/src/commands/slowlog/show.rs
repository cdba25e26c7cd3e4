//! A slow operation as a row, as a line and as JSON.

use chrono::DateTime;
use isogrid_client::SlowOperation;
use serde_json::{Map, Value};

use crate::text::{escaped, key_start, put_bytes, shortened};

/// How much of a statement a table has.
const STATEMENT_SHOWN_CHARS: usize = 80;

/// The columns of [`cells`].
pub(super) const COLUMNS: [&str; 8] =
    ["time (utc)", "node", "took", "operation", "map", "key or statement", "partition", "client"];

/// A slow operation, cell by cell.
pub(super) fn cells(node: &str, slow: &SlowOperation) -> [String; 8] {
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let operation = match slow.beside {
        0 => slow.operation.clone(),
        beside => format!("{} +{beside}", slow.operation),
    };
    let (what, partition) = match slow.statement.as_str() {
        "" => (key_start(&slow.key, slow.key_bytes as usize), slow.partition.to_string()),
        statement => (of_statement(statement, slow), "-".to_owned()),
    };
    [
        time(slow.at_ms),
        node.to_owned(),
        took(slow),
        operation,
        or_dash(&slow.map),
        or_dash(&what),
        partition,
        or_dash(&slow.client),
    ]
}

/// The beginning of a statement, what it gave, and what it looked at for that.
fn of_statement(statement: &str, slow: &SlowOperation) -> String {
    let SlowOperation { rows, entries_scanned, partitions_scanned, .. } = slow;
    let shown = shortened(&escaped(statement.as_bytes()), STATEMENT_SHOWN_CHARS);
    format!("{shown} (rows: {rows}, scanned: {entries_scanned} in {partitions_scanned})")
}

/// A slow operation as JSON.
pub(crate) fn object(node: &str, slow: &SlowOperation) -> Value {
    let mut object = Map::new();
    object.insert("at_ms".into(), slow.at_ms.into());
    object.insert("node".into(), node.into());
    object.insert("number".into(), slow.number.into());
    object.insert("took_us".into(), (slow.took.as_micros() as u64).into());
    object.insert("operation".into(), slow.operation.as_str().into());
    object.insert("beside".into(), slow.beside.into());
    object.insert("map".into(), slow.map.as_str().into());
    put_bytes(&mut object, "key", &slow.key);
    object.insert("key_bytes".into(), slow.key_bytes.into());
    object.insert("partition".into(), slow.partition.into());
    object.insert("client".into(), slow.client.as_str().into());
    if !slow.statement.is_empty() {
        object.insert("statement".into(), slow.statement.as_str().into());
        object.insert("rows".into(), slow.rows.into());
        object.insert("entries_scanned".into(), slow.entries_scanned.into());
        object.insert("partitions_scanned".into(), slow.partitions_scanned.into());
    }
    Value::Object(object)
}

fn took(slow: &SlowOperation) -> String {
    let ms = slow.took.as_secs_f64() * 1_000.0;
    if ms < 10_000.0 { format!("{ms:.1} ms") } else { format!("{:.1} s", ms / 1_000.0) }
}

fn time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(DateTime::from_timestamp_millis);
    at.map_or_else(|| at_ms.to_string(), |at| at.format("%m-%d %H:%M:%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_slow_operation_is_one_line_whatever_its_key_holds() {
        let mut slow = SlowOperation::default();
        slow.at_ms = 1_700_000_000_123;
        slow.took = Duration::from_micros(150_250);
        (slow.operation, slow.beside) = ("put".into(), 3);
        (slow.key, slow.key_bytes) = ("a\nb".into(), 3);
        let cells = cells("node-1", &slow);
        let expected =
            ["11-14 22:13:20.123", "node-1", "150.2 ms", "put +3", "-", "a\\nb", "0", "-"];
        assert_eq!(cells.each_ref().map(String::as_str), expected);
        let object = object("node-1", &slow);
        assert_eq!((object["took_us"].as_u64(), &object["key"]), (Some(150_250), &"a\nb".into()));
    }

    #[test]
    fn a_slow_statement_is_shown_in_short_and_told_whole() {
        let mut slow = SlowOperation::default();
        (slow.operation, slow.statement) = ("statement".into(), "SELECT x ".repeat(20));
        (slow.rows, slow.entries_scanned, slow.partitions_scanned) = (3, 600, 16);
        let cells = cells("node-1", &slow);
        assert!(cells[5].ends_with("SELECT … (rows: 3, scanned: 600 in 16)"), "{}", cells[5]);
        assert_eq!((cells[3].as_str(), cells[6].as_str()), ("statement", "-"));
        let object = object("node-1", &slow);
        assert_eq!((&object["statement"], &object["rows"]), (&slow.statement.into(), &3.into()));
    }
}
