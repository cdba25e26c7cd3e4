//! `isogrid map index`: what finds the records of a map by their fields.

use clap::{Args, Subcommand};
use isogrid_client::{IndexInfo, MapChange, MapExpect, MapInfo, Operator};
use isogrid_core::{IndexColumn, IndexKind, MapIndex};
use serde_json::{Value, json};

use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::output::{Format, print_json, print_table, table, tell};
use crate::text::{size, thousands};

/// What to do with the indexes of a map.
#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Create an index; it is built while the map is in use
    Create(CreateArgs),
    /// Drop an index
    Drop(DropArgs),
    /// List indexes, and how far each is built
    Ls(LsArgs),
}

/// What to create.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The map
    map: String,

    /// The name of the index
    index: String,

    /// Fields of the values, in order; a field within another is written as in a.b
    #[arg(required = true, value_name = "FIELD")]
    columns: Vec<String>,

    /// What it answers: equality of all fields, ranges too, or what a list holds
    #[arg(long, value_name = "KIND", default_value = "ordered", value_parser = ["hash", "ordered", "inverted"])]
    kind: String,

    /// Refuse a write that would make a second record of the same partition key with the same fields
    #[arg(long)]
    unique: bool,
}

/// What to drop.
#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    /// The map
    map: String,

    /// The name of the index
    index: String,
}

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The map; without this, of all maps
    map: Option<String>,
}

pub(super) async fn run(
    operator: &Operator,
    command: IndexCommand,
    format: Format,
) -> CommandResult {
    match command {
        IndexCommand::Create(args) => create(operator, args, format).await,
        IndexCommand::Drop(args) => drop(operator, &args, format).await,
        IndexCommand::Ls(args) => ls(operator, args.map.as_deref(), format).await,
    }
}

async fn create(operator: &Operator, args: CreateArgs, format: Format) -> CommandResult {
    let map = of_name(operator, &args.map).await?;
    let mut indexes = definitions(&map);
    let index = MapIndex {
        name: args.index,
        kind: IndexKind::named(&args.kind).unwrap_or_default(),
        columns: args.columns.iter().map(|text| IndexColumn::of_text(text)).collect(),
        unique: args.unique,
    };
    let name = index.name.clone();
    indexes.push(index);
    put(operator, &map.name, indexes).await?;
    match format {
        Format::Json => print_json(&json!({ "map": map.name, "index": name, "created": true }))?,
        Format::Table => {
            tell(format!("created index {name:?}; isogrid map index ls shows how far it is built"));
        }
    }
    Ok(Exit::Ok)
}

async fn drop(operator: &Operator, args: &DropArgs, format: Format) -> CommandResult {
    let map = of_name(operator, &args.map).await?;
    let mut indexes = definitions(&map);
    let before = indexes.len();
    indexes.retain(|index| index.name != args.index);
    let is_there = indexes.len() < before;
    if is_there {
        put(operator, &map.name, indexes).await?;
    }
    match format {
        Format::Json => {
            print_json(&json!({ "map": map.name, "index": args.index, "dropped": is_there }))?;
        }
        Format::Table if is_there => tell(format!("dropped index {:?}", args.index)),
        Format::Table => tell(format!("map {:?} has no index {:?}", map.name, args.index)),
    }
    Ok(if is_there { Exit::Ok } else { Exit::Failed })
}

async fn ls(operator: &Operator, map: Option<&str>, format: Format) -> CommandResult {
    let maps = match map {
        Some(name) => vec![of_name(operator, name).await?],
        None => operator.maps().await?.maps,
    };
    let all = maps.iter().flat_map(|map| map.indexes.iter().map(move |index| (map, index)));
    if format == Format::Json {
        let objects: Vec<Value> = all.map(|(map, index)| object(&map.name, index)).collect();
        print_json(&objects)?;
        return Ok(Exit::Ok);
    }
    let mut rows =
        table(&["map", "index", "kind", "unique", "fields", "entries", "bytes", "built"]);
    for (map, one) in all {
        let fields: Vec<String> = one.index.columns.iter().map(ToString::to_string).collect();
        rows.add_row(vec![
            map.name.clone(),
            one.index.name.clone(),
            one.index.kind.name().to_owned(),
            if one.index.unique { "yes" } else { "no" }.to_owned(),
            fields.join(", "),
            thousands(one.entries),
            size(one.bytes),
            format!("{} of {}", thousands(one.built), thousands(one.records)),
        ]);
    }
    print_table(&rows)?;
    Ok(Exit::Ok)
}

/// An index as JSON.
fn object(map: &str, one: &IndexInfo) -> Value {
    let index = &one.index;
    json!({
        "map": map,
        "index": index.name,
        "kind": index.kind.name(),
        "unique": index.unique,
        "fields": index.columns.iter().map(|column| json!(column.path)).collect::<Vec<_>>(),
        "entries": one.entries,
        "bytes": one.bytes,
        "built": one.built,
        "records": one.records,
    })
}

async fn of_name(operator: &Operator, name: &str) -> Result<MapInfo, Failure> {
    let map = operator.map(name).await?;
    map.ok_or_else(|| wrong_argument(format!("there is no map {name:?}")))
}

fn definitions(map: &MapInfo) -> Vec<MapIndex> {
    map.indexes.iter().map(|one| one.index.clone()).collect()
}

/// Gives a map these indexes, and no others.
async fn put(operator: &Operator, map: &str, indexes: Vec<MapIndex>) -> Result<(), Failure> {
    let change = MapChange { indexes: Some(indexes), ..MapChange::default() };
    operator.put_map(map, change, MapExpect::Existing, false).await?;
    Ok(())
}
