//! The settings of replicas and steward: as in a real cluster, but so that a run of half a minute meets their limits.

use isogrid_cluster::council::LossPolicy;
use isogrid_cluster::steward::StewardSettings;
use isogrid_replica::Settings;
use isogrid_replica::log::WindowLimits;
use isogrid_replica::settings::{Acknowledge, MapMode};

use crate::grid::options::{Drawn, Options, Storage};

pub(super) fn replica_settings(options: &Options, drawn: &Drawn) -> Settings {
    let loose = MapMode { acknowledge: Acknowledge::Primary, ..MapMode::default() };
    Settings {
        hash_seed: 7,
        durable: drawn.storage != Storage::Memory,
        alone_is_safe: drawn.loss_policy == LossPolicy::Block,
        window: WindowLimits { bytes_max: 24 << 10, spare_bytes_max: 4 << 10, age_ms_max: 4_000 },
        append_bytes_max: 2 << 10,
        in_flight_bytes_max: 8 << 10,
        chunk_bytes_max: 256,
        copy_bytes_per_s: drawn.copy_bytes_per_s,
        digest_every: 64,
        digest_ms: 1_500,
        readd_ms: 1_500,
        readd_ms_max: 8_000,
        maps: vec![MapMode::default(), MapMode::default(), MapMode::default(), loose],
        rules: options.replica_rules,
        ..Settings::default()
    }
}

pub(super) fn steward_settings() -> StewardSettings {
    StewardSettings {
        stable_ms: 1_500,
        back_off_ms_max: 8_000,
        settle_ms: 300,
        replace_ms: 4_000,
        replace_restarting_ms: 10_000,
        recovery_wait_ms: 4_000,
        session_ms: 8_000,
        stalled_ms: 8_000,
        ..StewardSettings::default()
    }
}
