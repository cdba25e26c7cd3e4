//! BEGIN, SET, SHOW and the like. Nothing is written in a transaction, so transactions have nothing to keep together: they are told of
//! as clients expect, and that is all.

use std::sync::Arc;

use isogrid_query::arrow::array::{ArrayRef, StringArray};
use isogrid_query::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use isogrid_query::arrow::record_batch::RecordBatch;
use isogrid_query::pg::{Command, Refused};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::encode::Rows;
use crate::fault::refused;
use crate::message::Formats;
use crate::reply::{self, Standing};

/// What is told of a command.
pub(crate) struct Told {
    pub(crate) tag: &'static str,
    pub(crate) rows: Option<RecordBatch>,
}

fn done(tag: &'static str) -> Told {
    Told { tag, rows: None }
}

/// The columns of what a command answers, if it does.
pub(crate) fn columns(command: &Command) -> Option<SchemaRef> {
    let Command::Show(name) = command else { return None };
    let names: &[&str] = match name.as_str() {
        "all" => &["name", "setting", "description"],
        one => &[one],
    };
    let fields: Vec<Field> =
        names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    Some(Arc::new(Schema::new(fields)))
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<'_, S> {
    /// Whether statements are answered: in a transaction that failed none is.
    pub(crate) fn check_standing(&self) -> Result<(), Refused> {
        match self.standing {
            Standing::Failed => {
                let detail = "the transaction has failed: nothing is answered before ROLLBACK";
                Err(refused("25P02", detail))
            }
            _ => Ok(()),
        }
    }

    /// Does what a client says about its session.
    pub(crate) fn command(&mut self, command: &Command) -> Result<Told, Refused> {
        let ends = matches!(command, Command::Commit | Command::Rollback | Command::RollbackTo);
        if !ends {
            self.check_standing()?;
        }
        Ok(match command {
            Command::Begin => {
                self.standing = Standing::Within;
                done("BEGIN")
            }
            Command::Commit => {
                let was = std::mem::take(&mut self.standing);
                done(if was == Standing::Failed { "ROLLBACK" } else { "COMMIT" })
            }
            Command::Rollback => {
                self.standing = Standing::Idle;
                done("ROLLBACK")
            }
            Command::RollbackTo => {
                if self.standing == Standing::Failed {
                    self.standing = Standing::Within;
                }
                done("ROLLBACK")
            }
            Command::Set(name, value) => {
                self.set(name, value.as_deref())?;
                done("SET")
            }
            Command::Reset(Some(name)) => {
                self.set(name, None)?;
                done("RESET")
            }
            Command::Reset(None) => {
                self.reset();
                done("RESET")
            }
            Command::Show(name) => Told { tag: "SHOW", rows: Some(self.show(command, name)?) },
            Command::Deallocate(name) => {
                match name {
                    Some(name) => drop(self.statements.remove(name)),
                    None => self.statements.clear(),
                }
                done("DEALLOCATE")
            }
            Command::Discard => {
                self.statements.clear();
                self.portals.clear();
                self.reset();
                done("DISCARD ALL")
            }
            Command::Nothing(tag) => done(tag),
        })
    }

    fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Refused> {
        if let Some(told) = self.settings.set(name, value)? {
            let value = self.settings.get(told).unwrap_or_default();
            reply::setting(&mut self.wire.outbox, told, value);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.settings.reset();
        let out = &mut self.wire.outbox;
        self.settings.told().for_each(|(name, value)| reply::setting(out, name, value));
    }

    fn show(&self, command: &Command, name: &str) -> Result<RecordBatch, Refused> {
        let texts = |texts: Vec<&str>| Arc::new(StringArray::from(texts)) as ArrayRef;
        let shown: Vec<ArrayRef> = match name {
            "all" => {
                let all = self.settings.all();
                let names = all.keys().map(String::as_str).collect();
                let values = all.values().map(String::as_str).collect();
                vec![texts(names), texts(values), texts(vec![""; all.len()])]
            }
            one => match self.settings.get(one) {
                Some(value) => vec![texts(vec![value])],
                None => {
                    let detail = format!("unrecognized configuration parameter {one:?}");
                    return Err(refused("42704", detail));
                }
            },
        };
        let schema = columns(command).unwrap_or_else(|| Arc::new(Schema::empty()));
        RecordBatch::try_new(schema, shown).map_err(|error| refused("XX000", error.to_string()))
    }

    /// Writes rows that are there.
    pub(crate) fn write_fixed(
        &mut self,
        batch: &RecordBatch,
        formats: &Formats,
    ) -> Result<u64, Refused> {
        let mut rows = Rows::new(batch, &batch.schema(), formats)?;
        while rows.write(&mut self.wire.outbox) {}
        Ok(batch.num_rows() as u64)
    }
}
