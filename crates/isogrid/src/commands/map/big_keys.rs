//! `isogrid map big-keys MAP`: the largest records. Every node walks over what it leads.

use clap::Args;
use isogrid_client::{BigKey, Operator};
use serde_json::{Map, Value, json};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, print_table, table, tell};
use crate::text::{key_start, put_bytes, size, thousands};

/// Of which map.
#[derive(Debug, Args)]
pub(crate) struct BigKeysArgs {
    /// The map
    map: String,

    /// How many keys
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    keys: u32,

    /// How many records each node looks at, of each partition alike
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    entries_max: u64,
}

pub(super) async fn run(operator: &Operator, args: &BigKeysArgs, format: Format) -> CommandResult {
    let big = operator.big_keys(&args.map, args.keys, args.entries_max).await?;
    let exit = if big.missing.is_empty() {
        Exit::Ok
    } else {
        tell(format!("not looked at: what {} lead", big.missing.join(", ")));
        Exit::Partial
    };
    if format == Format::Json {
        print_json(&json!({
            "map": args.map,
            "entries_looked_at": big.entries_looked_at,
            "entries": big.entries_total,
            "keys": big.keys.iter().map(object).collect::<Vec<Value>>(),
            "missing": big.missing,
        }))?;
        return Ok(exit);
    }
    let (looked_at, entries) = (big.entries_looked_at, big.entries_total);
    let more = if looked_at < entries { "; --entries-max N looks at more" } else { "" };
    tell(format!("looked at {} of {} entries{more}", thousands(looked_at), thousands(entries)));
    let mut rows = table(&["key", "key size", "value size", "partition", "node"]);
    for key in &big.keys {
        rows.add_row([
            key_start(&key.key, key.key_bytes as usize),
            size(key.key_bytes.into()),
            size(key.value_bytes),
            key.partition.to_string(),
            key.node_id.clone(),
        ]);
    }
    print_table(&rows)?;
    Ok(exit)
}

fn object(key: &BigKey) -> Value {
    let mut object = Map::new();
    put_bytes(&mut object, "key", &key.key);
    object.insert("key_bytes".into(), key.key_bytes.into());
    object.insert("value_bytes".into(), key.value_bytes.into());
    object.insert("partition".into(), key.partition.into());
    object.insert("node".into(), key.node_id.as_str().into());
    Value::Object(object)
}
