//! `POST /v1/sql`: a statement, and its rows as JSON, as lines of JSON, as CSV or in Arrow's format. All but the first are sent as they come: an
//! answer that breaks off in the middle ends its connection before the end, so that nobody takes it for whole.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Version};
use axum::response::IntoResponse;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use isogrid_core::{Error, ErrorCode};
use isogrid_query::{Parameter, RowText, Sql, Wishes, unvalued};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::Api;
use super::answer::{Answer, Failure, body};
use super::ask::Ask;
use crate::clients::{Call, Did};
use crate::sql::Timed;
use crate::sql::sending::{self, LATE_MAX, PIECES_WAITING, TAKEN_MAX};

/// A statement, as it is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    statement: String,
    #[serde(default)]
    params: Vec<Value>,
    time_ms_max: Option<u64>,
    memory_bytes_max: Option<u64>,
    #[serde(default)]
    require_pruned: bool,
}

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One object with all of them.
    Object,
    /// A line for the columns, one for each row, and one for the end.
    Lines,
    Csv,
    Arrow,
}

const LINES: &str = "application/x-ndjson";
const ARROW: &str = "application/vnd.apache.arrow.stream";

impl Format {
    /// The first of those that are accepted.
    fn accepted(accept: Option<&str>) -> Result<Format, Failure> {
        let all = accept.unwrap_or("*/*");
        let mut named = all.split(',').map(|one| one.split(';').next().unwrap_or_default());
        let known = |name: &str| match name.trim().to_lowercase().as_str() {
            "*/*" | "application/*" | "application/json" | "" => Some(Format::Object),
            LINES => Some(Format::Lines),
            "text/csv" | "text/*" => Some(Format::Csv),
            ARROW => Some(Format::Arrow),
            _ => None,
        };
        named.find_map(known).ok_or_else(|| {
            let why =
                format!("Accept: {all}: there are application/json, {LINES}, text/csv, {ARROW}");
            Failure::malformed(why).with_status(StatusCode::NOT_ACCEPTABLE)
        })
    }

    fn media_type(self) -> &'static str {
        match self {
            Format::Object => "application/json",
            Format::Lines => LINES,
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => ARROW,
        }
    }

    /// How many pieces come before anything was read.
    fn pieces_before_rows(self) -> usize {
        match self {
            Format::Lines | Format::Csv => 1,
            Format::Object | Format::Arrow => 0,
        }
    }
}

/// `POST /v1/sql`
pub(super) async fn run(State(api): State<Api>, request: Request) -> Answer {
    let mut ask = Ask::new(request, Did::Statement, &[])?;
    let format = Format::accepted(ask.header("accept")?)?;
    if format != Format::Object && ask.parts.version < Version::HTTP_11 {
        return Err(Failure::malformed("rows are sent as they come over HTTP/1.1 only"));
    }
    let time = ask.timeout_ms()?.map(u64::from);
    let bytes_max = api.shared.engine.limits().frame_bytes_max;
    let asked: Asked = ask.json(bytes_max).await?;
    let Asked { statement, params, time_ms_max, memory_bytes_max, require_pruned } = asked;
    let number = |(place, value): (usize, Value)| {
        parameter(value).map_err(|why| Failure::malformed(format!("${}: {why}", place + 1)))
    };
    let values: Vec<Parameter> =
        params.into_iter().enumerate().map(number).collect::<Result<_, _>>()?;
    let wishes = Wishes {
        memory_bytes: memory_bytes_max.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        timeout: time_ms_max.into_iter().chain(time).min().map(Duration::from_millis),
        require_pruned,
    };
    let permit = api.statements.admit()?;
    let call = ask.call();
    let client = ask.client().ok_or_else(|| Error::new(ErrorCode::Internal, "no client"))?;
    let statement: Arc<str> = statement.into();
    let shown = Arc::clone(&statement);
    let timed = api.statements.time(client.address, move || unvalued(&*shown));
    let sql = api.statements.sql.with(wishes).telling(timed.walked());
    let (sender, receiver) = mpsc::channel(PIECES_WAITING);
    let rows = Rows { receiver, patience: sql.patience() + LATE_MAX, _call: call };
    api.statements.spawn(async move {
        let answering = answer((sql, timed, permit), (&statement, values), format, &sender);
        sending::until_gone(answering, &sender, Error::clone).await;
    })?;
    match format {
        Format::Object => object(rows, bytes_max).await,
        format => streamed(rows, format).await,
    }
}

fn parameter(value: Value) -> Result<Parameter, String> {
    match value {
        Value::Null => Ok(Parameter::Null),
        Value::Bool(value) => Ok(Parameter::Boolean(value)),
        Value::String(text) => Ok(Parameter::Text(text)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Parameter::BigInt(whole)),
            (None, Some(double)) if number.is_f64() => Ok(Parameter::Double(double)),
            _ => Err(format!("{number} is no number of 64 bits with a sign")),
        },
        Value::Object(fields) => match (fields.len(), fields.get("hex").and_then(Value::as_str)) {
            (1, Some(digits)) => {
                let bytes = bytes_of(digits).ok_or("hex has two digits for each byte")?;
                Ok(Parameter::Bytes(bytes.into()))
            }
            _ => Err("an object is {\"hex\": \"…\"}: bytes".to_owned()),
        },
        Value::Array(_) => Err("a list is no value: give its items one by one".to_owned()),
    }
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        digits.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect())
}

/// A piece of an answer on its way out; nothing: it is whole.
type Piece = Result<Option<Bytes>, Error>;

/// Answers a statement, piece by piece. Before the rows come the columns, in JSON. Whoever has seen the end may ask the next.
async fn answer(
    (sql, timed, permit): (Sql, Timed, OwnedSemaphorePermit),
    (statement, values): (&str, Vec<Parameter>),
    format: Format,
    sender: &mpsc::Sender<Piece>,
) {
    let answer = timed.answer(sql.run(statement, values)).await;
    let mut pieces = match answer {
        Ok(answer) => pieces(answer, format),
        Err(error) => stream::iter([Err(error)]).boxed(),
    };
    while let Some(piece) = pieces.next().await {
        if piece.is_err() {
            drop(permit);
            let _ = sender.send_timeout(piece.map(Some), TAKEN_MAX).await;
            return;
        }
        if sender.send_timeout(piece.map(Some), TAKEN_MAX).await.is_err() {
            return;
        }
    }
    drop(permit);
    let _ = sender.send_timeout(Ok(None), TAKEN_MAX).await;
}

fn pieces(
    answer: isogrid_query::Answer,
    format: Format,
) -> BoxStream<'static, Result<Bytes, Error>> {
    let columns = json!(answer.shown_columns());
    let first = |text: String| stream::iter([Ok(Bytes::from(text))]);
    match format {
        Format::Object => first(columns.to_string()).chain(answer.into_text(RowText::Json)).boxed(),
        Format::Lines => {
            let rows = answer.into_text(RowText::Json);
            first(format!("{}\n", json!({ "columns": columns }))).chain(rows).boxed()
        }
        Format::Csv => answer.into_text(RowText::Csv).boxed(),
        Format::Arrow => match answer.into_ipc() {
            Ok(pieces) => pieces.map_ok(|(piece, _)| piece).boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        },
    }
}

/// An answer as it comes.
struct Rows {
    receiver: mpsc::Receiver<Piece>,
    /// How long a piece is waited for.
    patience: Duration,
    /// The client waits for it until then.
    _call: Option<Call>,
}

impl Rows {
    /// The next piece; none when the answer is whole.
    async fn next(&mut self) -> Piece {
        match tokio::time::timeout(self.patience, self.receiver.recv()).await {
            Ok(Some(piece)) => piece,
            Ok(None) => {
                let why = format!("its rows were not taken for {} s", TAKEN_MAX.as_secs());
                Err(Error::new(ErrorCode::QueryTooLong, why))
            }
            Err(_) => Err(sending::late(self.patience)),
        }
    }
}

/// All rows as one object.
async fn object(mut rows: Rows, bytes_max: usize) -> Answer {
    let columns = rows.next().await?.unwrap_or_default();
    let mut text = Vec::from(&b"{\"columns\":"[..]);
    text.extend_from_slice(&columns);
    text.extend_from_slice(b",\"rows\":[");
    let mut count = 0;
    while let Some(piece) = rows.next().await? {
        if text.len() + piece.len() > bytes_max {
            let why = format!(
                "the rows have more than {bytes_max} bytes (limits.frame_bytes_max): Accept: {LINES} sends them as they come"
            );
            let failure = Failure::from(Error::new(ErrorCode::QueryTooLarge, why));
            return Err(failure.with_status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        for line in lines(&piece) {
            text.extend_from_slice(if count == 0 { b"\n" } else { b",\n" });
            text.extend_from_slice(line);
            count += 1;
        }
    }
    text.extend_from_slice(format!("],\"row_count\":{count}}}\n").as_bytes());
    Ok(([(CONTENT_TYPE, Format::Object.media_type())], text).into_response())
}

/// Rows in JSON: a line break within one is written as two other letters.
fn lines(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    piece.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The rows as they come. What fails before the first of them is answered as any error is.
async fn streamed(mut rows: Rows, format: Format) -> Answer {
    let mut begun = Vec::new();
    let mut left = Some(());
    while left.is_some() && begun.len() <= format.pieces_before_rows() {
        match rows.next().await? {
            Some(piece) => begun.push(piece),
            None => left = None,
        }
    }
    let rest = left.map(|()| rows);
    let body = Body::from_stream(chunks(begun, rest, format));
    Ok(([(CONTENT_TYPE, format.media_type())], body).into_response())
}

type Chunk = Result<Bytes, Error>;

/// How far a stream of pieces is.
enum Place {
    Rows {
        rows: Option<Rows>,
        count: usize,
    },
    /// This is still to be told, by breaking off.
    Broken(Error),
    End,
}

fn chunks(
    begun: Vec<Bytes>,
    rows: Option<Rows>,
    format: Format,
) -> impl Stream<Item = Chunk> + Send {
    let behind_columns = begun.get(format.pieces_before_rows()..).unwrap_or_default();
    let count = behind_columns.iter().map(|piece| lines(piece).count()).sum();
    let rest = stream::unfold(Place::Rows { rows, count }, move |place| next(place, format));
    stream::iter(begun.into_iter().map(Ok)).chain(rest)
}

async fn next(place: Place, format: Format) -> Option<(Chunk, Place)> {
    let is_lines = format == Format::Lines;
    match place {
        Place::Rows { rows, count } => {
            let piece = match rows {
                Some(mut rows) => rows.next().await.map(|piece| piece.map(|piece| (piece, rows))),
                None => Ok(None),
            };
            match piece {
                Ok(Some((piece, rows))) => {
                    let count = count + if is_lines { lines(&piece).count() } else { 0 };
                    Some((Ok(piece), Place::Rows { rows: Some(rows), count }))
                }
                Ok(None) if is_lines => {
                    let end = json!({ "end": { "rows": count } });
                    Some((Ok(line(&end)), Place::End))
                }
                Ok(None) => None,
                Err(error) if is_lines => {
                    Some((Ok(line(&json!({ "error": body(&error) }))), Place::Broken(error)))
                }
                Err(error) => Some((Err(error), Place::End)),
            }
        }
        Place::Broken(error) => {
            // What was told last goes out before the connection ends.
            tokio::task::yield_now().await;
            Some((Err(error), Place::End))
        }
        Place::End => None,
    }
}

fn line(value: &Value) -> Bytes {
    let mut line = String::new();
    let _ = writeln!(line, "{value}");
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pieces: Vec<Piece>) -> Rows {
        let (sender, receiver) = mpsc::channel(8);
        pieces.into_iter().for_each(|piece| sender.try_send(piece).expect("there is room"));
        Rows { receiver, patience: Duration::from_secs(5), _call: None }
    }

    fn piece(text: &'static str) -> Piece {
        Ok(Some(Bytes::from_static(text.as_bytes())))
    }

    fn broken() -> Piece {
        Err(Error::new(ErrorCode::QueryFailed, "here"))
    }

    /// What is sent before the connection ends, and whether that was the end.
    async fn sent(pieces: Vec<Piece>, format: Format) -> (String, bool) {
        let chunks: Vec<Chunk> = chunks(Vec::new(), Some(rows(pieces)), format).collect().await;
        let is_whole = chunks.iter().all(Result::is_ok);
        let text: Vec<Bytes> = chunks.into_iter().filter_map(Result::ok).collect();
        (String::from_utf8(text.concat()).expect("text"), is_whole)
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
        let whole = sent(vec![piece("[1]\n[2]\n"), Ok(None)], Format::Lines).await;
        assert_eq!(whole, ("[1]\n[2]\n{\"end\":{\"rows\":2}}\n".to_owned(), true));
        let (text, is_whole) = sent(vec![piece("[1]\n"), broken()], Format::Lines).await;
        assert!(text.starts_with("[1]\n{\"error\":{\"code\":\"IG-0118\""), "{text}");
        assert!(!is_whole, "and the connection ends");
        for format in [Format::Csv, Format::Arrow] {
            assert_eq!(sent(vec![piece("x"), Ok(None)], format).await, ("x".to_owned(), true));
            assert_eq!(sent(vec![piece("x"), broken()], format).await, ("x".to_owned(), false));
            // Whoever made it has gone.
            assert_eq!(sent(vec![piece("x")], format).await, ("x".to_owned(), false));
        }
    }

    #[tokio::test]
    async fn one_object_has_a_bound() {
        let answered = |bytes_max| {
            let pieces =
                vec![piece("[{\"name\":\"n\"}]"), piece("[1]\n[2]\n"), piece("[3]\n"), Ok(None)];
            object(rows(pieces), bytes_max)
        };
        let good = answered(100).await.expect("it has room");
        let read = axum::body::to_bytes(good.into_body(), 1_000).await.expect("it is there");
        let read: Value = serde_json::from_slice(&read).expect("JSON");
        assert_eq!(
            read,
            json!({"columns": [{"name": "n"}], "rows": [[1], [2], [3]], "row_count": 3})
        );
        let large = answered(45).await.expect_err("it is larger").into_response();
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(object(rows(vec![piece("[]"), broken()]), 100).await.is_err());
    }

    #[test]
    fn parameters_are_values_of_sql() {
        for (value, read) in [
            (json!(null), Parameter::Null),
            (json!(true), Parameter::Boolean(true)),
            (json!(-3), Parameter::BigInt(-3)),
            (json!(2.5), Parameter::Double(2.5)),
            (json!("x"), Parameter::Text("x".to_owned())),
            (json!({"hex": "00fF"}), Parameter::Bytes(Bytes::from_static(b"\x00\xff"))),
        ] {
            assert_eq!(parameter(value), Ok(read));
        }
        for wrong in
            [json!(u64::MAX), json!([1]), json!({"hex": "0"}), json!({"hex": "é0"}), json!({})]
        {
            assert!(parameter(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_first_format_that_is_known_is_taken() {
        for (accept, format) in [
            (None, Format::Object),
            (Some("*/*"), Format::Object),
            (Some("text/html, text/csv;q=0.9"), Format::Csv),
            (Some("application/x-ndjson"), Format::Lines),
            (Some(ARROW), Format::Arrow),
        ] {
            assert_eq!(Format::accepted(accept).ok(), Some(format), "{accept:?}");
        }
        let none = Format::accepted(Some("image/png")).expect_err("there is none");
        assert_eq!(none.into_response().status(), StatusCode::NOT_ACCEPTABLE);
    }
}
