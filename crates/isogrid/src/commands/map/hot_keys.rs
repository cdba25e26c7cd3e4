//! `isogrid map hot-keys MAP`: the keys that are asked for most, from samples on all nodes.

use clap::Args;
use isogrid_client::{HotKey, HotMap, Operator};
use serde_json::{Map, Value, json};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print_json, print_table, table, tell};
use crate::text::{key_start, percent, put_bytes, thousands};

/// Of which map.
#[derive(Debug, Args)]
pub(crate) struct HotKeysArgs {
    /// The map
    map: String,

    /// How many keys
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=64))]
    keys: u32,
}

pub(super) async fn run(operator: &Operator, args: &HotKeysArgs, format: Format) -> CommandResult {
    let hot = operator.hot_keys(Some(&args.map), args.keys).await?;
    let map = hot.maps.into_iter().next().unwrap_or_default();
    let exit = if hot.missing.is_empty() {
        Exit::Ok
    } else {
        tell(format!("not counted: what {} saw", hot.missing.join(", ")));
        Exit::Partial
    };
    if format == Format::Json {
        let mut object = map_object(&map);
        object["map"] = json!(args.map);
        object["sampled_one_of"] = json!(hot.sampled_one_of);
        object["missing"] = json!(hot.missing);
        print_json(&object)?;
        return Ok(exit);
    }
    if map.samples == 0 {
        tell(format!(
            "nothing to tell yet of map {}: one operation of {} is looked at, and none was",
            args.map, hot.sampled_one_of
        ));
        return Ok(exit);
    }
    tell(format!(
        "of {} samples of the last operations; one operation of {} is looked at",
        thousands(map.samples),
        hot.sampled_one_of
    ));
    let mut rows = table(&["key", "share", "samples", "node"]);
    for key in &map.keys {
        rows.add_row([
            key_start(&key.key, key.key_bytes as usize),
            percent(key.samples, map.samples),
            thousands(key.samples),
            key.node_id.clone(),
        ]);
    }
    print_table(&rows)?;
    Ok(exit)
}

/// A map's hot keys as JSON.
pub(crate) fn map_object(map: &HotMap) -> Value {
    let keys: Vec<Value> = map.keys.iter().map(|key| object(key, map)).collect();
    json!({ "map": map.map, "samples": map.samples, "keys": keys })
}

fn object(key: &HotKey, map: &HotMap) -> Value {
    let mut object = Map::new();
    put_bytes(&mut object, "key", &key.key);
    object.insert("key_bytes".into(), key.key_bytes.into());
    object.insert("samples".into(), key.samples.into());
    object.insert("ratio".into(), (key.samples as f64 / map.samples as f64).into());
    object.insert("node".into(), key.node_id.as_str().into());
    Value::Object(object)
}
