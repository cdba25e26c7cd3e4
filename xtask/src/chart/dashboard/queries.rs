//! Statements of SQL.

use super::{Row, panel};

pub(super) const ROWS: &[Row] = &[(
    "Statements",
    &[
        panel(
            "Statements",
            "reqps",
            &[
                ("{{instance}}", "rate(isogrid_query_statements_total{}[$__rate_interval])"),
                ("{{instance}} failed", "rate(isogrid_query_failed_total{}[$__rate_interval])"),
            ],
        ),
        panel(
            "Partitions",
            "short",
            &[
                (
                    "{{instance}} walked over",
                    "rate(isogrid_query_partitions_scanned_total{}[$__rate_interval])",
                ),
                (
                    "{{instance}} not needed",
                    "rate(isogrid_query_partitions_pruned_total{}[$__rate_interval])",
                ),
            ],
        ),
        panel(
            "Rows",
            "rowsps",
            &[
                (
                    "{{instance}} looked at",
                    "rate(isogrid_query_rows_scanned_total{}[$__rate_interval])",
                ),
                (
                    "{{instance}} returned",
                    "rate(isogrid_query_rows_returned_total{}[$__rate_interval])",
                ),
                (
                    "{{instance}} written",
                    "rate(isogrid_query_rows_written_total{}[$__rate_interval])",
                ),
            ],
        ),
        panel(
            "Pages from indexes",
            "short",
            &[("{{instance}}", "rate(isogrid_query_index_seeks_total{}[$__rate_interval])")],
        ),
        panel(
            "Scans and seeks",
            "ops",
            &[(
                "{{op}}",
                r#"sum by (op) (rate(isogrid_operations_total{op=~"scan|seek",}[$__rate_interval]))"#,
            )],
        ),
    ],
)];
