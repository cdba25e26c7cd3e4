//! Statements that make, change, drop and show maps and their indexes.

mod index;
mod parse;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::tokenizer::Token;
use futures::stream;
use isogrid_core::{Error, ErrorCode, MapColumn, MapIndex, MapSchema, Result};

use crate::source::{MapDefinition, Source};
use crate::sql::Answer;
use crate::table::Grid;
pub(crate) use index::create as create_index;
use parse::{literal, quoted};

/// The columns of what is shown.
const DESCRIBE_COLUMNS: &[&str] = &["column_name", "data_type", "note"];
const SHOW_CREATE_COLUMNS: &[&str] = &["map", "statement"];
const SHOW_MAPS_COLUMNS: &[&str] = &["map", "columns", "partition_by", "settings"];

/// What a statement wants of maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    Create {
        map: String,
        if_absent: bool,
        schema: Option<MapSchema>,
        settings: Vec<(String, String)>,
    },
    Alter {
        map: String,
        what: Alteration,
    },
    Drop {
        map: String,
        if_there: bool,
    },
    Describe {
        map: String,
    },
    ShowCreate {
        map: String,
    },
    ShowMaps,
    CreateIndex {
        map: String,
        if_absent: bool,
        index: MapIndex,
    },
    DropIndex {
        map: String,
        if_there: bool,
        index: String,
    },
    ShowIndexes {
        map: Option<String>,
    },
}

/// What is to change about a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alteration {
    Add { column: MapColumn, if_absent: bool },
    Drop { column: String, if_there: bool },
    Set(Vec<(String, String)>),
}

impl Definition {
    /// What a statement defines; `None` when it is of another kind.
    ///
    /// # Errors
    /// `QueryInvalid`: it begins as a definition does, and is none.
    pub(crate) fn of(statement: &str) -> Result<Option<Definition>> {
        parse::parse(statement)
            .map_err(|error| Error::new(ErrorCode::QueryInvalid, error.to_string()))
    }

    /// The same of the tokens of a statement.
    ///
    /// # Errors
    /// Those of [`Definition::of`].
    pub(crate) fn of_tokens(tokens: Vec<Token>) -> Result<Option<Definition>> {
        parse::parse_tokens(tokens)
            .map_err(|error| Error::new(ErrorCode::QueryInvalid, error.to_string()))
    }

    /// The columns of what it shows; none if it changes something.
    pub(crate) fn shows(&self) -> &'static [&'static str] {
        match self {
            Definition::Create { .. }
            | Definition::Alter { .. }
            | Definition::Drop { .. }
            | Definition::CreateIndex { .. }
            | Definition::DropIndex { .. } => &[],
            Definition::Describe { .. } => DESCRIBE_COLUMNS,
            Definition::ShowCreate { .. } => SHOW_CREATE_COLUMNS,
            Definition::ShowMaps => SHOW_MAPS_COLUMNS,
            Definition::ShowIndexes { .. } => index::SHOWN_COLUMNS,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// The grid's: there is no such map, or there is one already, or the cluster cannot decide now.
    pub(crate) async fn run(self, grid: &Grid) -> Result<Answer> {
        let source = &*grid.source;
        match self {
            Definition::Create { map, if_absent, schema, settings } => {
                let is_new = source.create_map(&map, schema, &settings).await?;
                match (is_new, if_absent) {
                    (true, _) => Ok(done("created")),
                    (false, true) => Ok(done("was there")),
                    (false, false) => Err(refused(format!("there is a map {map:?} already"))),
                }
            }
            Definition::Alter { map, what } => alter(source, &map, what).await,
            Definition::Drop { map, if_there } => match source.drop_map(&map).await? {
                true => Ok(done("dropped")),
                false if if_there => Ok(done("was not there")),
                false => Err(unknown(&map)),
            },
            Definition::Describe { map } => describe(grid, &map).await,
            Definition::ShowCreate { map } => {
                let shown = source.map(&map).ok_or_else(|| unknown(&map))?;
                let indexes = shown.indexes.iter().map(|index| index::create(&map, index));
                let statements = std::iter::once(create(&map, &shown)).chain(indexes);
                let rows: Vec<_> = statements.map(|one| vec![map.clone(), one]).collect();
                Ok(table(SHOW_CREATE_COLUMNS, &rows))
            }
            Definition::ShowMaps => Ok(show_maps(source)),
            Definition::CreateIndex { map, if_absent, index } => {
                index::add(source, &map, if_absent, index).await
            }
            Definition::DropIndex { map, if_there, index } => {
                index::drop(source, &map, if_there, &index).await
            }
            Definition::ShowIndexes { map } => index::show(source, map).await,
        }
    }
}

async fn alter(source: &dyn Source, map: &str, what: Alteration) -> Result<Answer> {
    let known = source.map(map).ok_or_else(|| unknown(map))?;
    let (schema, settings) = match what {
        Alteration::Set(settings) => (None, settings),
        Alteration::Add { column, if_absent } => {
            let mut schema =
                known.schema.unwrap_or(MapSchema { columns: Vec::new(), partition_by: None });
            if schema.column(&column.name).is_some() {
                if if_absent {
                    return Ok(done("was there"));
                }
                return Err(refused(format!("{map:?} has a column {:?} already", column.name)));
            }
            schema.columns.push(column);
            (Some(schema), Vec::new())
        }
        Alteration::Drop { column, if_there } => {
            let mut schema = known.schema;
            let Some(columns) = schema.as_mut().filter(|schema| schema.column(&column).is_some())
            else {
                if if_there {
                    return Ok(done("was not there"));
                }
                return Err(refused(format!(
                    "{map:?} has no column {column:?} that was given to it"
                )));
            };
            if columns.partition_by.as_ref() == Some(&column) {
                return Err(refused(format!("{map:?} is partitioned by {column:?}")));
            }
            columns.columns.retain(|one| one.name != column);
            (schema, Vec::new())
        }
    };
    source.change_map(map, schema, &settings).await?;
    Ok(done("changed"))
}

/// The columns of a map, and what each is.
async fn describe(grid: &Grid, map: &str) -> Result<Answer> {
    let known = grid.source.map(map).ok_or_else(|| unknown(map))?;
    let columns = crate::table::columns_of(grid, map, &known).await?;
    let is_given = known.schema.is_some();
    let partition_by = known.schema.as_ref().and_then(|schema| schema.partition_by.clone());
    let row = |(name, holds, is_field): (&str, &str, bool)| {
        let what = match is_field {
            false => "of every map",
            true if partition_by.as_deref() == Some(name) => "the map is partitioned by it",
            true if is_given => "",
            true => "seen in a sample of the values",
        };
        let has_it =
            |index: &&MapIndex| is_field && index.columns.iter().any(|one| one.path[0] == name);
        let indexes: Vec<&str> =
            known.indexes.iter().filter(has_it).map(|index| &*index.name).collect();
        let indexes = (!indexes.is_empty()).then(|| format!("in index {}", indexes.join(", ")));
        let what = Some(what.to_owned()).filter(|what| !what.is_empty());
        let note = what.into_iter().chain(indexes).collect::<Vec<_>>().join("; ");
        vec![name.to_owned(), holds.to_owned(), note]
    };
    let rows: Vec<Vec<String>> = columns.described().map(row).collect();
    Ok(table(DESCRIBE_COLUMNS, &rows))
}

fn show_maps(source: &dyn Source) -> Answer {
    let row = |name: String| {
        let map = source.map(&name)?;
        let columns = map.schema.as_ref().map_or(0, |schema| schema.columns.len()).to_string();
        let by = map.schema.and_then(|schema| schema.partition_by).unwrap_or_default();
        Some(vec![name, columns, by, with(&map.settings)])
    };
    let rows: Vec<Vec<String>> = source.maps().into_iter().filter_map(row).collect();
    table(SHOW_MAPS_COLUMNS, &rows)
}

/// The statement that makes such a map.
fn create(name: &str, map: &MapDefinition) -> String {
    let mut statement = format!("CREATE MAP {}", quoted(name));
    if let Some(schema) = &map.schema {
        let column = |one: &MapColumn| format!("{} {}", quoted(&one.name), one.holds.name());
        let columns: Vec<String> = schema.columns.iter().map(column).collect();
        statement += &format!(" ({})", columns.join(", "));
        if let Some(by) = &schema.partition_by {
            statement += &format!(" PARTITION BY {}", quoted(by));
        }
    }
    if !map.settings.is_empty() {
        statement += &format!(" WITH ({})", with(&map.settings));
    }
    statement
}

fn with(settings: &[(String, String)]) -> String {
    let setting = |(name, value): &(String, String)| format!("{name} = {}", literal(value));
    settings.iter().map(setting).collect::<Vec<_>>().join(", ")
}

fn done(what: &str) -> Answer {
    table(&["status"], &[vec![what.to_owned()]])
}

/// Columns of text.
pub(crate) fn schema(names: &[&str]) -> SchemaRef {
    let field = |name: &&str| Field::new(*name, DataType::Utf8, false);
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

/// An answer of text.
fn table(names: &[&str], rows: &[Vec<String>]) -> Answer {
    let schema = schema(names);
    let column = |index: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(row[index].as_str())).collect::<StringArray>())
    };
    let arrays = (0..names.len()).map(column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)
        .map_err(|error| Error::new(ErrorCode::Internal, error.to_string()));
    Answer { schema, batches: Box::pin(stream::iter([batch])), route: None }
}

fn refused(why: String) -> Error {
    Error::new(ErrorCode::QueryInvalid, why)
}

fn unknown(map: &str) -> Error {
    refused(format!("there is no map {map:?}"))
}
