//! The API `/v1`: maps, their entries, what changes in them, the cluster and its clients, for everybody who speaks HTTP. Each node
//! serves all of it: operations go to whoever leads the partition, by the way that typed calls take.
//!
//! | module | what it answers |
//! |---|---|
//! | `cluster`, `clients` | how the cluster is, and who is connected |
//! | `maps` | maps with their sizes and settings |
//! | `entries` | one entry: read, written, removed |
//! | `listing`, `batch` | many entries: page by page, and several operations at once |
//! | `watch`, `sse`, `websocket` | what changes, as a stream |
//! | `sql` | statements |
//! | `ask`, `answer` | a request taken apart, and replies |
//! | `value`, `filter` | values and filters, as JSON |
//! | `openapi` | the description of all this |

mod answer;
mod ask;
mod batch;
mod clients;
mod cluster;
mod entries;
mod filter;
mod listing;
mod maps;
mod openapi;
#[cfg(feature = "sql")]
mod sql;
#[cfg(not(feature = "sql"))]
#[path = "v1/without_sql.rs"]
mod sql;
mod sse;
mod value;
mod watch;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post};
use isogrid_core::{Error, ErrorCode};
use tokio_util::sync::CancellationToken;

use self::answer::Failure;
pub(super) use self::answer::failed;
use super::Site;
use crate::clients::Did;
use crate::grpc::gather::Owners;
use crate::node::Shared;
use crate::recovering::Recovering;
#[cfg(feature = "sql")]
use crate::sql::Statements;

/// What all answers need.
#[derive(Clone)]
struct Api {
    shared: Arc<Shared>,
    /// The ways to the nodes that are watched.
    owners: Arc<Owners>,
    #[cfg(feature = "sql")]
    statements: Arc<Statements>,
    stopping: CancellationToken,
}

/// One address: its path as OpenAPI writes it, the methods that it takes, and what answers.
type Route = (&'static str, &'static [&'static str], MethodRouter<Api>);

/// All addresses. `openapi.json` describes them, and a test holds the two together.
fn routes() -> [Route; 14] {
    [
        ("/v1/openapi.json", &["get"], get(openapi::document)),
        ("/v1/cluster", &["get"], get(cluster::cluster)),
        ("/v1/members", &["get"], get(cluster::members)),
        ("/v1/partitions", &["get"], get(cluster::partitions)),
        ("/v1/clients", &["get"], get(clients::list)),
        ("/v1/clients/{id}", &["delete"], delete(clients::end)),
        ("/v1/maps", &["get"], get(maps::list)),
        ("/v1/maps/{map}", &["get"], get(maps::one)),
        ("/v1/maps/{map}/entries", &["get"], get(listing::list)),
        (
            "/v1/maps/{map}/entries/{key}",
            &["get", "put", "delete"],
            get(entries::get).put(entries::put).delete(entries::delete),
        ),
        ("/v1/maps/{map}/batch", &["post"], post(batch::batch)),
        ("/v1/maps/{map}/watch", &["get"], get(sse::watch)),
        ("/v1/maps/{map}/watch/ws", &["get"], get(websocket::watch)),
        ("/v1/sql", &["post"], post(sql::run)),
    ]
}

/// The API of a node.
pub(super) fn router(site: &Site) -> Router {
    let api = Api {
        shared: Arc::clone(&site.shared),
        owners: Arc::default(),
        #[cfg(feature = "sql")]
        statements: Arc::clone(&site.statements),
        stopping: site.stopping.clone(),
    };
    let mut router = Router::new();
    for (path, methods, answers) in routes() {
        let wrong = move |request: Request| async move { wrong_method(&request, methods) };
        router = router.route(path, answers.fallback(wrong));
    }
    router.route("/v1", any(nothing)).route("/v1/{*rest}", any(nothing)).with_state(api)
}

/// The API of a node that has not its data yet.
pub(super) fn not_yet(recovering: &Arc<Recovering>) -> Router {
    let recovering = Arc::clone(recovering);
    let refuse = move || {
        let refusal = recovering.refusal();
        async move { failed(&refusal) }
    };
    Router::new().route("/v1", any(refuse.clone())).route("/v1/{*rest}", any(refuse))
}

async fn nothing(request: Request) -> Failure {
    super::server::client_of(&request, Did::Nothing);
    Error::new(ErrorCode::NothingThere, format!("no address {}", shown(&request))).into()
}

fn wrong_method(request: &Request, methods: &[&str]) -> Response {
    super::server::client_of(request, Did::Nothing);
    let allowed = methods.join(", ").to_uppercase();
    let detail = format!("{} of {}: it takes {allowed}", request.method(), shown(request));
    Failure::wrong_method(detail, &allowed).into_response()
}

/// The path of a request, as much of it as errors show.
fn shown(request: &Request) -> String {
    request.uri().path().chars().take(200).collect()
}
