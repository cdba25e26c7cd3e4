//! Cores, memory, the process, and what goes between nodes.

use super::{Row, panel, stat};

pub(super) const ROWS: &[Row] = &[
    (
        "Cores",
        &[
            panel(
                "Cores busy",
                "percentunit",
                &[(
                    "{{instance}} {{core}}",
                    "rate(isogrid_core_busy_seconds_total{}[$__rate_interval])",
                )],
            ),
            panel(
                "Cores come late, p99",
                "s",
                &[(
                    "{{instance}}",
                    "histogram_quantile(0.99, sum by (le, instance) (rate(isogrid_queue_wait_seconds_bucket{}[$__rate_interval])))",
                )],
            ),
            stat("Cores", "none", &[("{{instance}}", "isogrid_cores{}")]),
            panel(
                "Processor of the process",
                "none",
                &[("{{instance}}", "rate(process_cpu_seconds_total{}[$__rate_interval])")],
            ),
            panel("Threads", "short", &[("{{instance}}", "process_threads{}")]),
            panel(
                "Starts",
                "dateTimeAsIso",
                &[("{{instance}}", "process_start_time_seconds{} * 1000")],
            ),
        ],
    ),
    (
        "Memory",
        &[
            panel(
                "Data and logs",
                "bytes",
                &[
                    ("{{instance}} data", "isogrid_memory_data_bytes{}"),
                    ("{{instance}} logs", "isogrid_memory_log_bytes{}"),
                    ("{{instance}} mark", "isogrid_memory_limit_bytes{}"),
                ],
            ),
            panel("Neither", "bytes", &[("{{instance}}", "isogrid_memory_overhead_bytes{}")]),
            panel(
                "Over the mark",
                "bool_yes_no",
                &[("{{instance}}", "isogrid_memory_over_mark{}")],
            ),
            panel("Resident", "bytes", &[("{{instance}}", "process_resident_memory_bytes{}")]),
            panel("Virtual", "bytes", &[("{{instance}}", "process_virtual_memory_bytes{}")]),
            panel(
                "File descriptors",
                "percentunit",
                &[("{{instance}}", "process_open_fds{} / process_max_fds{}")],
            ),
        ],
    ),
    (
        "Between nodes",
        &[
            panel(
                "Sent and received",
                "Bps",
                &[
                    (
                        "{{instance}} to {{peer}}",
                        "rate(isogrid_peer_sent_bytes_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} from {{peer}}",
                        "rate(isogrid_peer_received_bytes_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Waiting to be sent",
                "bytes",
                &[("{{instance}} to {{peer}}", "isogrid_peer_waiting_bytes{}")],
            ),
            panel(
                "Dropped messages, broken links",
                "short",
                &[
                    (
                        "{{instance}} to {{peer}} dropped",
                        "increase(isogrid_peer_dropped_messages_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} to {{peer}} broken",
                        "increase(isogrid_peer_link_breaks_total{}[$__rate_interval])",
                    ),
                ],
            ),
            panel(
                "Gossip",
                "Bps",
                &[(
                    "{{instance}} {{direction}}",
                    "rate(isogrid_gossip_bytes_total{}[$__rate_interval])",
                )],
            ),
            panel(
                "Gossip refused",
                "short",
                &[("{{instance}}", "increase(isogrid_gossip_refused_total{}[$__rate_interval])")],
            ),
            panel(
                "Steps of traces told and dropped",
                "cps",
                &[
                    (
                        "{{instance}} told",
                        "rate(isogrid_traces_exported_total{}[$__rate_interval])",
                    ),
                    (
                        "{{instance}} dropped",
                        "rate(isogrid_traces_dropped_total{}[$__rate_interval])",
                    ),
                ],
            ),
        ],
    ),
];
