//! What was asked of this node and what came of it.

use isogrid_core::{ErrorCode, ErrorKind};

use super::page::{Labels, Page};
use crate::engine::{Engine, Figures, Kind, MapInfo};

/// Of so many maps each has figures of its own: the oldest. Their names are chosen by clients, and every name is a series for
/// each figure, in every node and for as long as Prometheus keeps it.
const MAPS_MAX: usize = 256;

/// Why requests are turned away whose time could come.
const REASONS: [(&str, &[ErrorCode]); 8] = [
    ("memory", &[ErrorCode::MemoryFull, ErrorCode::TableFull]),
    ("map_full", &[ErrorCode::MapFull]),
    ("disk", &[ErrorCode::DiskRefuses]),
    ("replicas", &[ErrorCode::NotEnoughReplicas, ErrorCode::BackupsLag]),
    ("cut_off", &[ErrorCode::CutOff]),
    ("not_ready", &[ErrorCode::NotReady, ErrorCode::ShuttingDown]),
    ("too_late", &[ErrorCode::DeadlineBeforeStart]),
    ("reply_too_large", &[ErrorCode::ReplyTooLarge]),
];

const KINDS: [(ErrorKind, &str); 10] = [
    (ErrorKind::InvalidRequest, "invalid_request"),
    (ErrorKind::NotOwner, "not_owner"),
    (ErrorKind::Cluster, "cluster"),
    (ErrorKind::Overloaded, "overloaded"),
    (ErrorKind::Unavailable, "unavailable"),
    (ErrorKind::DeadlineExceeded, "deadline_exceeded"),
    (ErrorKind::ConnectionLost, "connection_lost"),
    (ErrorKind::Codec, "codec"),
    (ErrorKind::Configuration, "configuration"),
    (ErrorKind::Internal, "internal"),
];

/// The maps that have figures of their own, and how many have none.
pub(super) fn shown_maps(engine: &Engine) -> (Vec<std::sync::Arc<MapInfo>>, usize) {
    let mut maps = engine.maps();
    maps.sort_by_key(|map| map.id);
    let hidden = maps.len().saturating_sub(MAPS_MAX);
    maps.truncate(MAPS_MAX);
    (maps, hidden)
}

pub(super) fn show(page: &mut Page, engine: &Engine) {
    let figures = engine.figures();
    show_counts(page, engine, figures);
    let durations = Kind::ALL.into_iter().filter_map(|kind| {
        let durations = figures.durations(kind);
        (!durations.is_empty()).then(|| (Labels::of(&[("op", kind.as_str())]), durations))
    });
    page.histograms(
        "isogrid_operation_duration_seconds",
        "From when a request reached its partition until it was answered.",
        durations,
    );
    page.histogram(
        "isogrid_replication_ack_seconds",
        "How long writes took that waited for other replicas or for the disk.",
        &figures.acknowledgements(),
    );
    show_errors(page, figures);
    let (waiting, deferred) = engine.queued();
    page.gauges(
        "isogrid_queue_depth",
        "Operations that wait: for an answer of other replicas or the disk, and for a partition that cannot serve yet.",
        [("acknowledgement", waiting), ("partition", deferred)]
            .map(|(stage, depth)| (Labels::of(&[("stage", stage)]), depth as f64)),
    );
    page.histogram(
        "isogrid_queue_wait_seconds",
        "How late a core came to what was due, once in 20 ms.",
        &figures.waits(),
    );
}

fn show_counts(page: &mut Page, engine: &Engine, figures: &Figures) {
    let (maps, hidden) = shown_maps(engine);
    let of_maps = maps.iter().map(|map| (&*map.name, map.counts.sums()));
    let all = of_maps.chain([("", figures.no_map().sums())]);
    let samples = all.flat_map(|(map, sums)| {
        sums.into_iter().map(move |(cell, count)| {
            let (op, result) = (cell.kind.as_str(), cell.outcome.as_str());
            (Labels::of(&[("map", map), ("op", op), ("result", result)]), count)
        })
    });
    page.counters(
        "isogrid_operations_total",
        "Operations that were answered here; those on maps that do not exist have no map.",
        samples,
    );
    page.gauge(
        "isogrid_maps",
        "Maps that the cluster has, as this node knows it.",
        (maps.len() + hidden) as f64,
    );
    page.gauge(
        "isogrid_maps_without_figures",
        "Maps that have no figures of their own, because there are so many.",
        hidden as f64,
    );
}

fn show_errors(page: &mut Page, figures: &Figures) {
    let errors = figures.errors();
    let of = |is_one: &dyn Fn(ErrorCode, ErrorKind) -> bool| -> u64 {
        let matching = errors.iter().filter(|(code, kind, _)| is_one(*code, *kind));
        matching.map(|(.., count)| count).sum()
    };
    let of_kind = |(kind, label): (ErrorKind, &str)| {
        (Labels::of(&[("kind", label)]), of(&|_, other| other == kind))
    };
    page.counters(
        "isogrid_errors_total",
        "Operations that failed, by the family of the error.",
        KINDS.map(of_kind),
    );
    let of_reason = |(reason, codes): (&str, &[ErrorCode])| {
        (Labels::of(&[("reason", reason)]), of(&|code, _| codes.contains(&code)))
    };
    page.counters(
        "isogrid_rejected_total",
        "Operations that were turned away because of how the node or its cluster is.",
        REASONS.map(of_reason),
    );
    page.counter(
        "isogrid_routing_misses_total",
        "Operations that reached a node which did not own their partition.",
        of(&|code, _| code == ErrorCode::NotOwner),
    );
}
