//! How it goes, on one page.

use super::{Row, panel, stat};

pub(super) const ROWS: &[Row] = &[
    (
        "Cluster",
        &[
            stat(
                "Health, by how many nodes say so",
                "none",
                &[("{{state}}", "sum by (state) (isogrid_cluster_health{})")],
            ),
            stat("Could lose any node", "bool_yes_no", &[("safe", "min(isogrid_cluster_safe{})")]),
            stat(
                "Nodes",
                "none",
                &[
                    ("{{state}}", "max by (state) (isogrid_members{})"),
                    ("missing", "max(isogrid_members_missing{})"),
                ],
            ),
            stat(
                "Nodes by version",
                "none",
                &[("{{version}}", "count by (version) (isogrid_build_info{})")],
            ),
            stat("Maps", "none", &[("maps", "max(isogrid_maps{})")]),
            stat("Running for", "s", &[("{{instance}}", "isogrid_uptime_seconds{}")]),
        ],
    ),
    (
        "Operations",
        &[
            panel(
                "Operations",
                "ops",
                &[("{{op}}", "sum by (op) (rate(isogrid_operations_total{}[$__rate_interval]))")],
            ),
            panel(
                "How long they take at the nodes",
                "s",
                &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(isogrid_operation_duration_seconds_bucket{}[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(isogrid_operation_duration_seconds_bucket{}[$__rate_interval])))",
                    ),
                ],
            ),
            panel(
                "Failed, of all",
                "percentunit",
                &[(
                    "failed",
                    "sum(rate(isogrid_errors_total{}[$__rate_interval])) / sum(rate(isogrid_operations_total{}[$__rate_interval]))",
                )],
            ),
        ],
    ),
    (
        "Memory and data",
        &[
            panel(
                "Memory used, of the mark",
                "percentunit",
                &[("{{instance}}", "isogrid_memory_used_bytes{} / isogrid_memory_limit_bytes{}")],
            ),
            panel("Entries", "short", &[("entries", "sum(isogrid_map_entries{})")]),
            panel(
                "Fullest node by the mean",
                "none",
                &[("bytes", "max(isogrid_memory_data_bytes{}) / avg(isogrid_memory_data_bytes{})")],
            ),
            panel(
                "Backups behind",
                "s",
                &[("{{instance}} to {{peer}}", "isogrid_replication_lag_seconds{}")],
            ),
            panel(
                "Cores busy",
                "percentunit",
                &[(
                    "{{instance}}",
                    "avg by (instance) (rate(isogrid_core_busy_seconds_total{}[$__rate_interval]))",
                )],
            ),
            panel(
                "Partitions that lack something",
                "short",
                &[
                    ("without a primary", "max(isogrid_partitions_without_primary{})"),
                    ("with too few copies", "max(isogrid_partitions_underreplicated{})"),
                    ("unassigned", "max(isogrid_partitions_unassigned{})"),
                ],
            ),
        ],
    ),
];
