//! What the data take, and what went to make room.

use super::page::{Labels, Page};
use crate::engine::Engine;

pub(super) fn show(page: &mut Page, engine: &Engine) {
    let memory = engine.memory();
    let (data, log) = (memory.data_bytes(), memory.log_bytes());
    let overhead = memory.resident_bytes().saturating_sub(data + log);
    for (name, help, value) in [
        ("isogrid_memory_data_bytes", "Bytes of records, tables and indexes of all copies.", data),
        ("isogrid_memory_log_bytes", "Bytes of the parts of logs that are in memory.", log),
        (
            "isogrid_memory_used_bytes",
            "Bytes that count against the memory mark: data and logs.",
            data + log,
        ),
        ("isogrid_memory_limit_bytes", "The memory mark (memory.limit).", memory.limit_bytes()),
        (
            "isogrid_memory_overhead_bytes",
            "Resident bytes of the process that are neither data nor logs.",
            overhead,
        ),
    ] {
        page.gauge(name, help, value as f64);
    }
    page.flag(
        "isogrid_memory_over_mark",
        "1 while writes that need memory must make room or are refused, else 0.",
        memory.is_over(),
    );
    let (maps, _) = super::operations::shown_maps(engine);
    let sizes = engine.led_sizes();
    let size = |map| sizes.get(&map).copied().unwrap_or_default();
    page.gauges(
        "isogrid_map_entries",
        "Entries of a map in the partitions that this node leads.",
        maps.iter().map(|map| (Labels::of(&[("map", &map.name)]), size(map.id).0 as f64)),
    );
    page.gauges(
        "isogrid_map_bytes",
        "Bytes of a map in the partitions that this node leads, overhead included.",
        maps.iter().map(|map| (Labels::of(&[("map", &map.name)]), size(map.id).1 as f64)),
    );
    let evicted = maps.iter().flat_map(|map| {
        let usage = &map.usage;
        let causes =
            [("limit", usage.evicted_for_limits()), ("memory", usage.evicted_for_memory())];
        let label = |cause| Labels::of(&[("map", &map.name), ("cause", cause)]);
        causes.map(|(cause, count)| (label(cause), count))
    });
    page.counters(
        "isogrid_evicted_total",
        "Records that went to keep the limits of their map, or the memory mark.",
        evicted,
    );
    page.counters(
        "isogrid_expired_total",
        "Records that were removed because they had expired.",
        maps.iter().map(|map| (Labels::of(&[("map", &map.name)]), map.usage.expired())),
    );
}
