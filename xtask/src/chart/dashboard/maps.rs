//! What maps have, and what is asked of them.

use super::{Row, panel, stat};

pub(super) const ROWS: &[Row] = &[
    (
        "What is asked",
        &[
            panel(
                "Operations by map",
                "ops",
                &[(
                    "{{map}}",
                    r#"sum by (map) (rate(isogrid_operations_total{map=~"$map",}[$__rate_interval]))"#,
                )],
            ),
            panel(
                "Operations by result",
                "ops",
                &[(
                    "{{map}} {{op}} {{result}}",
                    r#"sum by (map, op, result) (rate(isogrid_operations_total{map=~"$map",}[$__rate_interval]))"#,
                )],
            ),
            panel(
                "Reads that find their key",
                "percentunit",
                &[(
                    "{{map}}",
                    r#"sum by (map) (rate(isogrid_operations_total{map=~"$map", op="get", result="ok",}[$__rate_interval])) / sum by (map) (rate(isogrid_operations_total{map=~"$map", op="get",}[$__rate_interval]))"#,
                )],
            ),
            panel(
                "How long operations take, p99",
                "s",
                &[(
                    "{{op}}",
                    "histogram_quantile(0.99, sum by (le, op) (rate(isogrid_operation_duration_seconds_bucket{}[$__rate_interval])))",
                )],
            ),
            panel(
                "Watchers",
                "short",
                &[("{{map}}", r#"sum by (map) (isogrid_watchers{map=~"$map",})"#)],
            ),
            stat(
                "Maps without figures of their own",
                "none",
                &[("maps", "max(isogrid_maps_without_figures{})")],
            ),
        ],
    ),
    (
        "What they have",
        &[
            panel(
                "Entries",
                "short",
                &[("{{map}}", r#"sum by (map) (isogrid_map_entries{map=~"$map",})"#)],
            ),
            panel(
                "Bytes of the first copy",
                "bytes",
                &[("{{map}}", r#"sum by (map) (isogrid_map_bytes{map=~"$map",})"#)],
            ),
            panel(
                "Bytes of an entry",
                "bytes",
                &[(
                    "{{map}}",
                    r#"sum by (map) (isogrid_map_bytes{map=~"$map",}) / sum by (map) (isogrid_map_entries{map=~"$map",})"#,
                )],
            ),
            panel(
                "Expired",
                "cps",
                &[(
                    "{{map}}",
                    r#"sum by (map) (rate(isogrid_expired_total{map=~"$map",}[$__rate_interval]))"#,
                )],
            ),
            panel(
                "Evicted",
                "cps",
                &[(
                    "{{map}} {{cause}}",
                    r#"sum by (map, cause) (rate(isogrid_evicted_total{map=~"$map",}[$__rate_interval]))"#,
                )],
            ),
        ],
    ),
    (
        "Indexes",
        &[
            panel("Keys", "short", &[("{{instance}}", "isogrid_index_entries{}")]),
            panel("Memory", "bytes", &[("{{instance}}", "isogrid_index_bytes{}")]),
            panel(
                "Records that indexes being built lack",
                "short",
                &[("{{instance}}", "isogrid_index_records_missing{}")],
            ),
        ],
    ),
    (
        "What stands out",
        &[
            panel(
                "Slow operations",
                "ops",
                &[("{{instance}}", "rate(isogrid_slow_operations_total{}[$__rate_interval])")],
            ),
            panel(
                "Share of the hottest key",
                "percentunit",
                &[("{{instance}} {{map}}", "isogrid_hot_key_ops_ratio{}")],
            ),
        ],
    ),
];
