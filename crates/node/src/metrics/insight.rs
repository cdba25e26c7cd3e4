//! What stands out: slow operations, and how hot the hottest key of each map is; which key that is stands on no page. And what became
//! of traces.

use super::operations::shown_maps;
use super::page::{Labels, Page};
use crate::engine::Engine;

pub(super) fn show(page: &mut Page, engine: &Engine) {
    let help = "Operations and statements that took as long as slow_log.threshold_ms or longer.";
    page.counter("isogrid_slow_operations_total", help, engine.slow_log().total());
    let help = "The share of a map's operations that are on its hottest key, of those that were sampled lately.";
    let (maps, _) = shown_maps(engine);
    let ratios = maps.iter().map(|map| {
        let ratio = map.hot.lock().hottest_ratio();
        (Labels::of(&[("map", &map.name)]), ratio)
    });
    page.gauges("isogrid_hot_key_ops_ratio", help, ratios);
    let counts = engine.tracer().counts();
    let help = "Steps of distributed traces that the collector took.";
    page.counter("isogrid_traces_exported_total", help, counts.exported);
    let help = "Steps of distributed traces that were dropped: the collector did not take them, or too many waited for it.";
    page.counter("isogrid_traces_dropped_total", help, counts.dropped);
}
