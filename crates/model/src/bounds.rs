//! How much may happen in a model: what makes the number of its states finite.

/// The bounds of all the models; each says in [`Protocol::USES`](crate::protocol::Protocol::USES) which it heeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Writes that clients issue.
    pub writes: u8,
    /// The highest epoch that a promotion may open.
    pub epochs: u8,
    /// Proposals: removals, additions and handovers.
    pub changes: u8,
    /// Restarts.
    pub crashes: u8,
    /// Restarts that lose the disk.
    pub disk_losses: u8,
    /// Restarts that lose the unsynced tail of the log.
    pub power_losses: u8,
    /// Messages under way at once.
    pub messages: u8,
    /// The size of the first in-sync set.
    pub in_sync: u8,
    /// The length of a lease, in ticks of the primary's clock.
    pub lease_ticks: u8,
    /// Reads ask the in-sync set (`confirmed`) where they would otherwise rely on the lease.
    pub confirmed_reads: bool,
    /// A restart keeps the log.
    pub keeps_log: bool,
    /// The client's session may end.
    pub session_ends: bool,
    /// Primaries also send messages without entries, that ask for a lease only.
    pub heartbeats: bool,
    /// Clocks run. Many a trace needs no time, and the model is far smaller without it.
    pub clocks: bool,
}

impl Bounds {
    /// One write, one failover, nothing else: what the others are built on.
    pub const SMALLEST: Bounds = Bounds {
        writes: 1,
        epochs: 2,
        changes: 0,
        crashes: 0,
        disk_losses: 0,
        power_losses: 0,
        messages: 3,
        in_sync: 2,
        lease_ticks: 1,
        confirmed_reads: false,
        keeps_log: false,
        session_ends: false,
        heartbeats: false,
        clocks: true,
    };
}

impl Bounds {
    /// Those of the bounds that are named, in words.
    pub fn describe(&self, names: &[&str]) -> String {
        let all = [
            ("writes", u8::to_string(&self.writes)),
            ("epochs", self.epochs.to_string()),
            ("changes", self.changes.to_string()),
            ("crashes", self.crashes.to_string()),
            ("disk-losses", self.disk_losses.to_string()),
            ("power-losses", self.power_losses.to_string()),
            ("messages", self.messages.to_string()),
            ("in-sync", self.in_sync.to_string()),
            ("lease-ticks", self.lease_ticks.to_string()),
            ("confirmed-reads", self.confirmed_reads.to_string()),
            ("keeps-log", self.keeps_log.to_string()),
            ("session-ends", self.session_ends.to_string()),
            ("heartbeats", self.heartbeats.to_string()),
            ("clocks", self.clocks.to_string()),
        ];
        let used = all.iter().filter(|(name, _)| names.contains(name));
        used.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    }
}
