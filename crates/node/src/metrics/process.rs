//! The process and its cores. The names of the first are those that all programs have in Prometheus.

use std::fs;
use std::sync::OnceLock;

use super::page::{Labels, Page};
use crate::clock;
use crate::memory::resident_bytes;
use crate::node::Shared;

/// How many ticks of `/proc` a second has on every Linux there is.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn show(page: &mut Page, shared: &Shared) {
    let uptime_ms = clock::now().ms_since(shared.started_at);
    page.gauge("isogrid_uptime_seconds", "For how long the node runs.", uptime_ms as f64 / 1e3);
    page.gauge("isogrid_cores", "Cores that serve connections.", shared.cores as f64);
    let busy = shared.busy_seconds().into_iter().enumerate();
    page.seconds(
        "isogrid_core_busy_seconds_total",
        "For how long a core's thread had something to do; its rate is the share of the core that is used.",
        busy.map(|(core, seconds)| (Labels::of(&[("core", &core.to_string())]), seconds)),
    );
    if let Some(ms) = shared.doors.backup_at_ms() {
        page.gauge(
            "isogrid_backup_last_timestamp_seconds",
            "When this node last gave the last of its data to a backup since it started.",
            ms as f64 / 1e3,
        );
    }
}

/// What is known of the process. Nothing where the system has no `/proc`.
pub(super) fn show_process(page: &mut Page) {
    if let Some(stat) = Stat::read() {
        page.seconds(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            [(Labels::default(), stat.cpu_seconds)],
        );
        page.gauge("process_threads", "Number of OS threads of the process.", stat.threads);
        page.gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            stat.virtual_bytes,
        );
        page.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            started_at_seconds(&stat),
        );
    }
    let resident = resident_bytes() as f64;
    page.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident);
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The one that reads the folder is none of the node's.
        let open = open.count().saturating_sub(1);
        page.gauge("process_open_fds", "Number of open file descriptors.", open as f64);
    }
    if let Some(most) = fds_max() {
        page.gauge("process_max_fds", "Maximum number of open file descriptors.", most);
    }
}

/// What `/proc/self/stat` says.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    virtual_bytes: f64,
    /// Since the machine was started, in seconds.
    started: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The name of the program stands in parentheses and may have any in it: what counts comes behind the last.
    fn parse(text: &str) -> Option<Self> {
        let (_, behind) = text.rsplit_once(')')?;
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Stat {
            cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            threads: field(20)?,
            started: field(22)? / TICKS_PER_SECOND,
            virtual_bytes: field(23)?,
        })
    }
}

/// Found out once: the clock may be set, and this must not change by that.
fn started_at_seconds(stat: &Stat) -> f64 {
    static STARTED: OnceLock<f64> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let uptime = fs::read_to_string("/proc/uptime").ok();
        let uptime = uptime.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        let now = clock::now().0 as f64 / 1e3;
        now - uptime.map_or(0.0, |uptime| uptime - stat.started)
    })
}

fn fds_max() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_confuses_nobody() {
        let text = "17 (a ) 9 (b) S 1 1 1 0 -1 0 1 2 3 4 150 50 0 0 20 0 7 0 300 4096 25 0";
        let stat = Stat::parse(text).expect("it can be read");
        assert_eq!((stat.cpu_seconds, stat.threads, stat.started), (2.0, 7.0, 3.0));
        assert_eq!(stat.virtual_bytes, 4_096.0);
        assert!(Stat::parse("nothing").is_none());
    }

    #[test]
    fn this_process_has_figures() {
        let mut page = Page::default();
        show_process(&mut page);
        let text = page.finish();
        for name in ["process_cpu_seconds_total", "process_open_fds", "process_max_fds"] {
            assert!(text.contains(&format!("\n{name} ")), "{name} in {text}");
        }
        assert!(fds_max().is_some_and(|most| most > 16.0));
    }
}
