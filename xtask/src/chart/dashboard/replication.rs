//! What backups lack, and what the disk does.

use super::{Row, panel};

pub(super) const ROWS: &[Row] = &[
    (
        "Backups",
        &[
            panel(
                "Behind: writes",
                "short",
                &[("{{instance}} to {{peer}}", "isogrid_replication_lag_operations{}")],
            ),
            panel(
                "Behind: bytes",
                "bytes",
                &[("{{instance}} to {{peer}}", "isogrid_replication_lag_bytes{}")],
            ),
            panel(
                "Behind: seconds",
                "s",
                &[("{{instance}} to {{peer}}", "isogrid_replication_lag_seconds{}")],
            ),
            panel(
                "Replicated",
                "Bps",
                &[
                    (
                        "{{instance}} to {{peer}}",
                        "rate(isogrid_replication_sent_bytes_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} received",
                        "rate(isogrid_replication_received_bytes_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Until a write is acknowledged",
                "s",
                &[
                    (
                        "p50",
                        "histogram_quantile(0.5, sum by (le) (rate(isogrid_replication_ack_seconds_bucket{}[$__rate_interval])))",
                    ),
                    (
                        "p99",
                        "histogram_quantile(0.99, sum by (le) (rate(isogrid_replication_ack_seconds_bucket{}[$__rate_interval])))",
                    ),
                ],
            ),
            panel(
                "Copies because the log was not enough",
                "short",
                &[(
                    "{{instance}} {{type}}",
                    "increase(isogrid_replication_resync_total{}[$__rate_interval])",
                )],
            ),
            panel(
                "Replicas that differed",
                "short",
                &[(
                    "{{instance}}",
                    "increase(isogrid_antientropy_mismatch_total{}[$__rate_interval])",
                )],
            ),
        ],
    ),
    (
        "Data on disk",
        &[
            panel(
                "Log, snapshots and budget",
                "bytes",
                &[
                    ("{{instance}} log", "isogrid_disk_log_bytes{}"),
                    ("{{instance}} snapshots", "isogrid_disk_snapshot_bytes{}"),
                    ("{{instance}} budget", "isogrid_disk_budget_bytes{}"),
                ],
            ),
            panel(
                "Free on the file system",
                "bytes",
                &[("{{instance}}", "isogrid_disk_free_bytes{}")],
            ),
            panel(
                "Refuses writes",
                "bool_yes_no",
                &[
                    ("{{instance}} disk", "isogrid_disk_refusing{}"),
                    ("{{instance}} budget", "isogrid_disk_over_budget{}"),
                ],
            ),
            panel(
                "Written",
                "Bps",
                &[
                    (
                        "{{instance}} log",
                        "rate(isogrid_disk_log_written_bytes_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} snapshots",
                        "rate(isogrid_disk_snapshot_written_bytes_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Syncs of the log",
                "s",
                &[
                    (
                        "{{instance}} p50",
                        "histogram_quantile(0.5, sum by (le, instance) (rate(isogrid_disk_sync_seconds_bucket{}[$__rate_interval])))",
                    ),
                    (
                        "{{instance}} p99",
                        "histogram_quantile(0.99, sum by (le, instance) (rate(isogrid_disk_sync_seconds_bucket{}[$__rate_interval])))",
                    ),
                ],
            ),
            panel(
                "Snapshots and errors",
                "short",
                &[
                    (
                        "{{instance}} snapshots",
                        "increase(isogrid_disk_snapshots_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} errors",
                        "increase(isogrid_disk_errors_total{}[$__rate_interval])",
                    ),
                ],
            ),
        ],
    ),
    (
        "Recovery and backups",
        &[
            panel(
                "Reading data back, ready at 100 %",
                "percentunit",
                &[("{{instance}}", "isogrid_disk_recovered_ratio{}")],
            ),
            panel(
                "Last recovery took",
                "s",
                &[("{{instance}}", "isogrid_disk_recovery_seconds{}")],
            ),
            panel(
                "Since the last backup",
                "s",
                &[("age", "time() - max(isogrid_backup_last_timestamp_seconds{})")],
            ),
        ],
    ),
];
