//! Who is connected, and what goes wrong for them.

use super::{Row, panel};

pub(super) const ROWS: &[Row] = &[
    (
        "Connections",
        &[
            panel("Open", "short", &[("{{instance}} {{protocol}}", "isogrid_connections{}")]),
            panel("Streams of frames", "short", &[("{{instance}}", "isogrid_sessions{}")]),
            panel("Watchers", "short", &[("{{map}}", "sum by (map) (isogrid_watchers{})")]),
            panel(
                "Refused",
                "short",
                &[(
                    "{{instance}}",
                    "increase(isogrid_connections_refused_total{}[$__rate_interval])",
                )],
            ),
            panel(
                "Bytes",
                "Bps",
                &[(
                    "{{instance}} {{direction}} {{plane}}",
                    "rate(isogrid_network_bytes_total{}[$__rate_interval])",
                )],
            ),
            panel(
                "PostgreSQL's clients",
                "short",
                &[
                    ("{{instance}}", "isogrid_pg_connections{}"),
                    (
                        "{{instance}} refused",
                        "increase(isogrid_pg_connections_refused_total{}[$__rate_interval])",
                    ),
                ],
            ),
        ],
    ),
    (
        "What goes wrong",
        &[
            panel(
                "Failed",
                "ops",
                &[("{{kind}}", "sum by (kind) (rate(isogrid_errors_total{}[$__rate_interval]))")],
            ),
            panel(
                "Turned away",
                "ops",
                &[(
                    "{{reason}}",
                    "sum by (reason) (rate(isogrid_rejected_total{}[$__rate_interval]))",
                )],
            ),
            panel(
                "Sent to the wrong node",
                "ops",
                &[("{{instance}}", "rate(isogrid_routing_misses_total{}[$__rate_interval])")],
            ),
            panel(
                "Waiting for an answer",
                "short",
                &[("{{instance}} {{stage}}", "isogrid_queue_depth{}")],
            ),
        ],
    ),
];
