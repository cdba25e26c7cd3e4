//! What stands out: slow operations, and how hot the hottest key of each map is. Which key that is stands on no page.

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
}
