//! `GET /v1/history`: the node's key figures of the last day. `?seconds=3600&points=360` says how far back and how finely.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use serde_json::{Value, json};

use crate::clock;
use crate::history::NAMES;
use crate::node::Shared;

/// How far back it goes: as much as is kept.
const SECONDS_MAX: u64 = 24 * 3_600;
const SECONDS_DEFAULT: u64 = 3_600;

/// How many points one answer has.
const POINTS_MAX: u64 = 1_440;
const POINTS_DEFAULT: u64 = 360;

pub(super) async fn figures(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<Value>, (StatusCode, String)> {
    let asked = Asked::read(uri.query().unwrap_or_default());
    let asked = asked.map_err(|why| (StatusCode::BAD_REQUEST, format!("{why}\n")))?;
    let since_s = (clock::now().0 / 1_000).saturating_sub(asked.seconds);
    let points = shared.history.since(since_s, asked.points as usize);
    let rows = points.iter().map(|point| {
        let figures = point.figures.iter().map(|figure| json!(f64::from(*figure)));
        std::iter::once(json!(point.at_s)).chain(figures).collect::<Vec<Value>>()
    });
    let names: Vec<&str> = std::iter::once("at").chain(NAMES).collect();
    Ok(Json(json!({
        "node": shared.node_id.as_str(),
        "names": names,
        "points": rows.collect::<Vec<_>>(),
    })))
}

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    seconds: u64,
    points: u64,
}

impl Asked {
    fn read(query: &str) -> Result<Asked, String> {
        let mut asked = Asked { seconds: SECONDS_DEFAULT, points: POINTS_DEFAULT };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (place, max) = match name {
                "seconds" => (&mut asked.seconds, SECONDS_MAX),
                "points" => (&mut asked.points, POINTS_MAX),
                _ => return Err(format!("{name}: there are only seconds and points")),
            };
            let number = value.parse().ok().filter(|number| (1..=max).contains(number));
            *place = number.ok_or_else(|| format!("{name}: a number from 1 to {max}"))?;
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read() {
        let read = |query| Asked::read(query).map(|asked| (asked.seconds, asked.points));
        assert_eq!(read(""), Ok((3_600, 360)));
        assert_eq!(read("seconds=60&points=5"), Ok((60, 5)));
        for wrong in ["seconds=0", "seconds=86401", "points=x", "points", "minutes=3"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
