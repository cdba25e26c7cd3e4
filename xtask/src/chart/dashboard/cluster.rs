//! Who holds what, and what is under way.

use super::{Row, panel, stat};

pub(super) const ROWS: &[Row] = &[
    (
        "Partitions",
        &[
            panel(
                "Partitions by role",
                "short",
                &[("{{instance}} {{role}}", "isogrid_partitions{}")],
            ),
            panel("Led and served", "short", &[("{{instance}}", "isogrid_partitions_serving{}")]),
            panel(
                "Lacking something",
                "short",
                &[
                    ("without a primary", "max(isogrid_partitions_without_primary{})"),
                    ("with too few copies", "max(isogrid_partitions_underreplicated{})"),
                    ("unassigned", "max(isogrid_partitions_unassigned{})"),
                ],
            ),
            panel(
                "Largest partition by the mean",
                "none",
                &[("{{instance}} {{by}}", "isogrid_partition_imbalance_ratio{}")],
            ),
            panel(
                "Busiest partition by the mean",
                "none",
                &[("{{instance}}", "isogrid_hot_partition_ops_ratio{}")],
            ),
            panel(
                "Table versions behind the newest",
                "short",
                &[(
                    "{{instance}}",
                    "scalar(max(isogrid_partition_table_version{})) - isogrid_partition_table_version{}",
                )],
            ),
        ],
    ),
    (
        "Moves",
        &[
            panel(
                "Steps before the cluster",
                "short",
                &[("{{instance}}", "isogrid_moves_pending{}")],
            ),
            panel(
                "Copies under way",
                "short",
                &[("{{instance}} {{direction}}", "isogrid_moves_active{}")],
            ),
            panel("Still to come", "bytes", &[("{{instance}}", "isogrid_moves_remaining_bytes{}")]),
            panel(
                "Records still to come",
                "short",
                &[("{{instance}}", "isogrid_moves_remaining_entries{}")],
            ),
            panel(
                "Oldest copy under way",
                "s",
                &[("{{instance}}", "isogrid_moves_longest_seconds{}")],
            ),
            panel(
                "Copied",
                "Bps",
                &[
                    (
                        "{{instance}} received",
                        "rate(isogrid_moves_received_bytes_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} to {{peer}}",
                        "rate(isogrid_moves_sent_bytes_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Records copied",
                "cps",
                &[(
                    "{{instance}}",
                    "rate(isogrid_moves_received_entries_total{}[$__rate_interval])",
                )],
            ),
            panel(
                "Copies finished",
                "short",
                &[("{{instance}}", "increase(isogrid_moves_finished_total{}[$__rate_interval])")],
            ),
            panel(
                "What replicas went through",
                "short",
                &[(
                    "{{event}}",
                    "sum by (event) (increase(isogrid_replica_events_total{}[$__rate_interval]))",
                )],
            ),
        ],
    ),
    (
        "Nodes and the council",
        &[
            panel(
                "Nodes",
                "short",
                &[
                    ("{{state}}", "max by (state) (isogrid_members{})"),
                    ("missing", "max(isogrid_members_missing{})"),
                ],
            ),
            panel(
                "Clocks apart",
                "s",
                &[("{{instance}} and {{peer}}", "abs(isogrid_clock_offset_seconds{})")],
            ),
            stat("Losses declared", "none", &[("losses", "max(isogrid_losses{})")]),
            panel(
                "Leads the council",
                "bool_yes_no",
                &[("{{instance}}", "isogrid_council_leader{}")],
            ),
            panel(
                "Has a majority",
                "bool_yes_no",
                &[("{{instance}}", "isogrid_council_has_quorum{}")],
            ),
            panel("Term", "short", &[("{{instance}}", "isogrid_council_term{}")]),
            panel(
                "Voters",
                "short",
                &[
                    ("voters", "max(isogrid_council_voters{})"),
                    ("present", "min(isogrid_council_voters_present{})"),
                ],
            ),
            panel(
                "Applied",
                "short",
                &[("{{instance}}", "rate(isogrid_council_applied_index{}[$__rate_interval])")],
            ),
            panel(
                "Syncs of the council's log, p99",
                "s",
                &[(
                    "{{instance}}",
                    "histogram_quantile(0.99, sum by (le, instance) (rate(isogrid_council_sync_seconds_bucket{}[$__rate_interval])))",
                )],
            ),
        ],
    ),
];
