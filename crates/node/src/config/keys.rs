//! [`KEYS`]: every configuration key with its kind and explanation. All layers are checked against this list, and
//! `config print-default`, `config explain` and docs/configuration.md are made from it.

use isogrid_core::limits::{KEY_BYTES_HARD_MAX, VALUE_BYTES_HARD_MAX};

use super::Config;
use super::disk::DISK_BUDGET_BYTES_MIN;
use super::kind::Kind;
use super::suggest::nearest;

/// Stands for the name of a map in the keys of `[maps.NAME]`.
pub const MAP_PLACEHOLDER: &str = "NAME";

/// The largest frame that can be allowed.
pub const FRAME_BYTES_HARD_MAX: u64 = 256 << 20;

/// A configuration key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The dotted name, such as `node.grpc_addr`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What it does.
    pub doc: &'static str,
}

impl Key {
    /// The section and the name within it: `("maps.NAME", "eviction")`.
    pub fn split(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').expect("every key lies in a section: a test checks it")
    }

    /// The value that applies when no layer sets the key.
    pub fn default_value(&self) -> Option<toml::Value> {
        let (section, name) = self.split();
        let table = if self.is_of_map() {
            toml::Table::try_from(isogrid_core::MapSettings::default())
        } else {
            let sections = toml::Table::try_from(Config::default());
            sections.map(|table| {
                table.get(section).and_then(|s| s.as_table()).cloned().unwrap_or_default()
            })
        };
        table.expect("the defaults are plain TOML").get(name).cloned()
    }

    /// Whether the key is one of a map's settings.
    pub fn is_of_map(&self) -> bool {
        self.name.starts_with("maps.")
    }
}

const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, doc }
}

const UNLIMITED: u64 = i64::MAX as u64;

/// Every key, section by section.
pub const KEYS: &[Key] = &[
    key(
        "node.name",
        Kind::Text,
        "The name of the node: its identity, also across restarts. Without one it is `node-` and the gRPC port. The data \
         folder remembers it.",
    ),
    key(
        "node.cluster",
        Kind::Text,
        "The name of the cluster. A data folder that belongs to another cluster is refused.",
    ),
    key(
        "node.grpc_addr",
        Kind::Address,
        "Where clients and peers connect (TCP). Port 0 takes a free one.",
    ),
    key(
        "node.gossip_addr",
        Kind::Address,
        "Where other members reach this one (UDP). It may have the same port number as grpc_addr.",
    ),
    key(
        "node.http_addr",
        Kind::Address,
        "Where health, figures and the API are served over HTTP (TCP). Port 0 takes a free one.",
    ),
    key(
        "node.pg_addr",
        Kind::Address,
        "Where PostgreSQL's clients connect to ask with SQL (TCP). Port 0 takes a free one. Without it they cannot.",
    ),
    key(
        "node.advertise",
        Kind::Host,
        "The host name or address at which clients and other nodes reach this one, when it is not the one it listens \
         at: behind a translated address, or when it listens at all of the machine's.",
    ),
    key(
        "node.data_dir",
        Kind::Path,
        "The folder of what must survive a restart: who the node is, and its data. Without one it keeps nothing on disk.",
    ),
    key(
        "node.cores",
        Kind::Integer { min: 0, max: 1_024 },
        "How many cores serve connections; 0 takes all that the process may use.",
    ),
    key(
        "node.partitions",
        Kind::Partitions,
        "How many partitions the data is divided into. It must be the same on every node of a cluster and never \
         changes.",
    ),
    key("node.zone", Kind::Text, "The failure zone of the node: what fails together with it."),
    key(
        "node.role",
        Kind::OneOf(&["data", "witness"]),
        "What the node does: data holds data and may vote in the council; witness votes and holds none, so that two other \
         nodes can lose one.",
    ),
    key(
        "node.at_end",
        Kind::OneOf(&["restart", "leave"]),
        "What a node that is told to end (SIGTERM) makes of it, unless an operator has said it before: restart hands over \
         what it leads, and its copies wait for it for a while; leave gives everything away first and is forgotten, and the \
         node joins anew if it is started again.",
    ),
    key(
        "cluster.seeds",
        Kind::Addresses,
        "The gossip addresses of some nodes that are called first, separated by commas. A name may stand for several \
         nodes; names are looked up again and again. It does no harm to list this node itself.",
    ),
    key(
        "cluster.gossip_interval_ms",
        Kind::Integer { min: 20, max: 10_000 },
        "How often the node gossips, in milliseconds. The shorter, the sooner a death is noticed and the more is sent. \
         It should be the same on every node.",
    ),
    key(
        "cluster.key_file",
        Kind::Path,
        "A file with the secret of the cluster, 16 bytes or more. With it gossip is sealed: a node without the same \
         secret is not listened to. It must be the same on every node.",
    ),
    key(
        "cluster.expect",
        Kind::Integer { min: 0, max: 1_000 },
        "How many nodes are waited for before they form a cluster; the same on all of them. 0: this node never forms one, \
         it only joins. A node with seeds has to hear of another node first, whatever is set here.",
    ),
    key(
        "cluster.backups",
        Kind::Integer { min: 0, max: 5 },
        "How many backups of each partition a cluster has that this node forms. Maps may want more.",
    ),
    key(
        "cluster.loss_policy",
        Kind::OneOf(&["block", "reset", "available"]),
        "What happens in a cluster that this node forms when nobody who holds a partition comes back: block waits for \
         ever, reset starts the partition anew and records the loss, available goes on at once with the most complete \
         copy. Without it: reset while data are in memory only, since a full restart has lost them anyway, else block.",
    ),
    key(
        "cluster.drain_timeout_ms",
        Kind::Integer { min: 0, max: 3_600_000 },
        "How long a node that is asked to end waits until what it leads is handed over, in milliseconds. With backups, \
         that includes partitions that nobody else has whole at that moment.",
    ),
    key(
        "cluster.flapping_wait_max_ms",
        Kind::Integer { min: 0, max: 3_600_000 },
        "A node that goes down again and again waits longer each time before it takes copies: the most it waits, in \
         milliseconds.",
    ),
    key(
        "memory.limit",
        Kind::Memory,
        "The memory mark: above it, writes that need memory are refused. A percentage is of the control group's limit, \
         or of the host's memory where there is none.",
    ),
    key(
        "disk.budget",
        Kind::Bytes { min: DISK_BUDGET_BYTES_MIN, max: UNLIMITED },
        "How many bytes log and snapshots of this node may have together. Once they have as many, writes are \
         refused but for deletes, and go on when there is room again. It should be twice the data and 256 MiB, or \
         more. Without it the disk is the only bound.",
    ),
    key(
        "disk.snapshot_age_ms",
        Kind::Integer { min: 1_000, max: 604_800_000 },
        "How long entries may stand in the log before a snapshot of their partition has them, in milliseconds: a node \
         that starts reads the log behind the snapshots. Where the log grows long, snapshots are written sooner.",
    ),
    key(
        "log.level",
        Kind::Filter,
        "What is logged: a level, or a level for each part of the program, as in `warn,isogrid_node=debug`.",
    ),
    key(
        "log.format",
        Kind::OneOf(&["text", "json"]),
        "How a line of the log looks: for people, or one JSON object per line.",
    ),
    key(
        "slow_log.threshold_ms",
        Kind::Integer { min: 0, max: 3_600_000 },
        "How long an operation or a statement of SQL takes that is slow, in milliseconds, until it can be answered: \
         waiting for backups and disk included. 0 for none.",
    ),
    key(
        "slow_log.entries_max",
        Kind::Integer { min: 1, max: 10_000 },
        "How many slow operations are kept, the newest; `isogrid slowlog` shows them.",
    ),
    key("slow_log.keys", Kind::Flag, "Whether the beginning of a slow operation's key is kept."),
    key(
        "tracing.endpoint",
        Kind::HttpUrl,
        "Where a collector of OpenTelemetry takes traces (OTLP over gRPC). Without it none are told.",
    ),
    key(
        "tracing.sample_one_of",
        Kind::Integer { min: 0, max: UNLIMITED },
        "Of so many operations that come without a trace context one begins a trace. 0 for none: then only those of callers that are traced are told.",
    ),
    key("tracing.service", Kind::Text, "The service that traces are looked up by."),
    key(
        "limits.key_bytes_max",
        Kind::Bytes { min: 1, max: KEY_BYTES_HARD_MAX as u64 },
        "The longest key.",
    ),
    key(
        "limits.value_bytes_max",
        Kind::Bytes { min: 1, max: VALUE_BYTES_HARD_MAX as u64 },
        "The largest value.",
    ),
    key(
        "limits.frame_bytes_max",
        Kind::Bytes { min: 1_024, max: FRAME_BYTES_HARD_MAX },
        "The largest frame a client may send, and about the largest a node answers with. It must hold the largest key \
         and value with 1 KiB to spare.",
    ),
    key(
        "limits.batch_ops_max",
        Kind::Integer { min: 1, max: 65_536 },
        "The most operations of one frame or typed batch.",
    ),
    key(
        "limits.in_flight_ops_max",
        Kind::Integer { min: 1, max: 1_000_000 },
        "The most operations a client has in flight on one connection.",
    ),
    key(
        "limits.connections_max",
        Kind::Integer { min: 1, max: 1_000_000 },
        "The most connections of one node.",
    ),
    key(
        "limits.pg_connections_max",
        Kind::Integer { min: 1, max: 100_000 },
        "The most connections of PostgreSQL's clients.",
    ),
    key(
        "limits.http_connections_max",
        Kind::Integer { min: 1, max: 100_000 },
        "The most connections over HTTP, streams included.",
    ),
    key(
        "limits.output_stall_ms",
        Kind::Integer { min: 100, max: 3_600_000 },
        "How long a client may leave its replies unread before it is disconnected, in milliseconds.",
    ),
    key("limits.maps_max", Kind::Integer { min: 1, max: 1_000_000 }, "The most maps of one node."),
    key(
        "limits.scan_entries_max",
        Kind::Integer { min: 1, max: 100_000 },
        "The most entries of one page of a scan.",
    ),
    key(
        "limits.sql_statements_max",
        Kind::Integer { min: 1, max: 1_024 },
        "The most statements of SQL that run at once; others are refused.",
    ),
    key(
        "limits.sql_memory_bytes_max",
        Kind::Bytes { min: 64 << 10, max: 1 << 40 },
        "How much memory one statement may have for sorting, grouping and joining, and each part of one that comes from another node.",
    ),
    key(
        "limits.sql_time_ms_max",
        Kind::Integer { min: 1, max: 86_400_000 },
        "How long one statement may take, in milliseconds.",
    ),
    key(
        "limits.sql_rows_max",
        Kind::Integer { min: 0, max: UNLIMITED },
        "The most rows of an answer; 0 for no limit. A statement that finds more fails.",
    ),
    key(
        "limits.sql_scanned_entries_max",
        Kind::Integer { min: 0, max: UNLIMITED },
        "The most entries that one statement walks over at one node; 0 for no limit. One that needs more fails.",
    ),
    key(
        "maps.NAME.eviction",
        Kind::OneOf(&["none", "lru", "lfu"]),
        "Which records make room when the map reaches one of its limits or the node its memory mark: none (such writes \
         are refused), the least recently used, or the least frequently used of a sample.",
    ),
    key(
        "maps.NAME.entries_max",
        Kind::Integer { min: 0, max: UNLIMITED },
        "The most entries of the map; 0 for no limit.",
    ),
    key(
        "maps.NAME.bytes_max",
        Kind::Bytes { min: 0, max: UNLIMITED },
        "The most bytes of the map, overhead included; 0 for no limit.",
    ),
];

/// The key of a dotted name. A map's name may contain dots: it is all that stands between `maps.` and the setting.
pub fn find(name: &str) -> Option<&'static Key> {
    match map_and_setting(name) {
        Some((_, setting)) => KEYS.iter().find(|key| key.is_of_map() && key.split().1 == setting),
        None => KEYS.iter().find(|key| !key.is_of_map() && key.name == name),
    }
}

/// The map and the setting of a key such as `maps.orders.eviction`.
pub fn map_and_setting(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("maps.")?.rsplit_once('.')
}

/// Whether this is the name of a section, such as `node`, `maps` or `maps.orders`.
pub fn is_section(name: &str) -> bool {
    name == "maps"
        || name.strip_prefix("maps.").is_some_and(|map| !map.is_empty())
        || KEYS.iter().any(|key| !key.is_of_map() && key.split().0 == name)
}

/// The known key that an unknown name most likely means.
pub fn suggestion(name: &str) -> Option<String> {
    if let Some((map, setting)) = map_and_setting(name) {
        let settings = KEYS.iter().filter(|key| key.is_of_map()).map(|key| key.split().1);
        return nearest(setting, settings).map(|setting| format!("maps.{map}.{setting}"));
    }
    // The right name in the wrong section, or in none, is the likeliest slip of all.
    let last = name.rsplit('.').next().unwrap_or(name);
    let elsewhere = KEYS.iter().find(|key| key.split().1 == last).map(|key| key.name);
    let names = KEYS.iter().map(|key| key.name);
    elsewhere.or_else(|| nearest(name, names)).map(str::to_owned).or_else(|| {
        let lasts = KEYS.iter().map(|key| key.split().1);
        let meant = nearest(last, lasts)?;
        KEYS.iter().find(|key| key.split().1 == meant).map(|key| key.name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The comments of a struct's fields in a source file: name and text.
    fn field_docs(source: &str) -> Vec<(String, String)> {
        let mut docs = Vec::new();
        let mut doc = Vec::new();
        for line in source.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("/// ") {
                doc.push(text);
            } else if let Some((name, _)) =
                line.strip_prefix("pub ").and_then(|l| l.split_once(':'))
            {
                if !name.contains(' ') {
                    docs.push((name.to_owned(), doc.join(" ")));
                }
                doc.clear();
            } else if !line.starts_with("#[") {
                doc.clear();
            }
        }
        docs
    }

    #[test]
    fn the_list_says_what_the_comments_of_the_fields_say() {
        for (section, source) in [
            ("node", include_str!("node.rs")),
            ("cluster", include_str!("cluster.rs")),
            ("memory", include_str!("memory.rs")),
            ("disk", include_str!("disk.rs")),
            ("log", include_str!("log.rs")),
            ("slow_log", include_str!("slow_log.rs")),
            ("tracing", include_str!("tracing.rs")),
        ] {
            let fields = field_docs(source);
            assert!(!fields.is_empty());
            for (field, doc) in fields {
                let key = find(&format!("{section}.{field}")).expect("every field is a key");
                assert_eq!(key.doc, doc, "{}", key.name);
            }
        }
    }

    #[test]
    fn every_key_lies_in_a_section_and_stands_once() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(is_section(key.split().0), "{}", key.name);
            assert!(KEYS[..index].iter().all(|earlier| earlier.name != key.name), "{}", key.name);
        }
    }

    #[test]
    fn map_names_may_have_dots() {
        let key = find("maps.orders.v2.eviction").expect("known");
        assert_eq!(key.name, "maps.NAME.eviction");
        assert_eq!(map_and_setting("maps.orders.v2.eviction"), Some(("orders.v2", "eviction")));
        assert!(find("maps.eviction").is_none());
        assert!(find("maps.orders.size").is_none());
    }

    #[test]
    fn slips_are_understood() {
        for (slip, meant) in [
            ("node.grcp_addr", "node.grpc_addr"),
            ("grpc_addr", "node.grpc_addr"),
            ("memory.level", "log.level"),
            ("limit.maps_max", "limits.maps_max"),
            ("cluter", "node.cluster"),
            ("maps.orders.evicton", "maps.orders.eviction"),
        ] {
            assert_eq!(suggestion(slip).as_deref(), Some(meant), "{slip}");
        }
        assert_eq!(suggestion("colour"), None);
    }
}
