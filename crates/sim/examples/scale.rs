//! Prints the figures of docs/scale.md: what the control plane of a large cluster costs.
//!
//! `cargo run --release -p isogrid-sim --example scale -- --nodes 200 --partitions 4096`
//!
//! Also `--copies 2`, `--zones 3`, `--gigabytes 64` (per node), `--budget 1000` (megabytes per second and node that the
//! steward lets copies take), `--seed 1`, `--heartbeats` (they carry the table too), `--events die,join,leave`, or
//! `--events placement` for the placement alone.

#![allow(clippy::print_stdout, reason = "printing the figures is what this example is for")]
#![allow(clippy::disallowed_methods, reason = "it measures how long the real code takes")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use isogrid_cluster::steward::Evidence;
use isogrid_cluster::{Command, Council, Millis};
use isogrid_core::{Member, Members, NodeId, PartitionCount, TableDelta, TableVersion, placement};
use isogrid_sim::scale::encoding::DATAGRAM_BYTES_MAX;
use isogrid_sim::scale::settings::HEARTBEAT_MS;
use isogrid_sim::scale::{
    Encoding, Event, GossipShape, HeartbeatShape, ScaleReport, ScaleSettings, ScaleWorld, Watch,
    Work, digest_bytes,
};

/// The most that an event may take, in virtual milliseconds.
const MS_MAX: u64 = 1_800_000;

/// The placement is compared with the one after so many different changes.
const CHANGES: usize = 3;

/// Rounds of gossip per second, and exchanges that a node begins in each.
const ROUNDS_PER_SECOND: usize = 5;
const FAN_OUT: usize = 3;

fn command_bytes(command: &Command) -> usize {
    rmp_serde::to_vec(command).expect("commands serialise").len()
}

fn delta_bytes(delta: &TableDelta) -> usize {
    rmp_serde::to_vec(delta).expect("deltas serialise").len()
}

fn main() {
    let (settings, events) = arguments();
    println!(
        "{} nodes, {} partitions, {} copies, {} zones, {} GB per node, seed {}\n",
        settings.nodes,
        settings.partitions,
        settings.copies,
        settings.zones,
        settings.bytes_per_node / 1_000_000_000,
        settings.seed
    );
    if events == ["placement"] {
        return print_placement(&settings);
    }
    let times = Times::default();
    let encoding = Encoding { command: command_bytes, delta: delta_bytes };
    let mut world = ScaleWorld::form(settings, encoding, Box::new(times.clone()));
    let formed = world.traffic();
    println!(
        "formed: {} commands, {} bytes, the largest {} bytes; version {}\n",
        formed.commands,
        formed.command_bytes,
        formed.command_bytes_max,
        world.council().table().version().0
    );
    print_sizes(&world);
    print_gossip(&world);
    print_spread(&mut world);
    print_heartbeats(&world);
    print_placement(world.settings());
    times.0.borrow_mut().clear();
    print_events(&mut world, &events);
    times.print();
}

/// The settings, and the events to go through.
fn arguments() -> (ScaleSettings, Vec<String>) {
    let mut settings = ScaleSettings::default();
    let mut events = "die,join,leave".to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--heartbeats" {
            settings.heartbeats_carry_table = true;
            continue;
        }
        let value = arguments.next().unwrap_or_default();
        if name == "--events" {
            events = value;
            continue;
        }
        let number: u64 = value.parse().unwrap_or_else(|_| panic!("{name} takes a number"));
        match name.as_str() {
            "--nodes" => settings.nodes = number as usize,
            "--partitions" => settings.partitions = number as u16,
            "--copies" => settings.copies = number as u8,
            "--zones" => settings.zones = number as usize,
            "--gigabytes" => settings.bytes_per_node = number * 1_000_000_000,
            "--budget" => settings.steward.copy_bytes_per_second = number * 1_000_000,
            "--seed" => settings.seed = number,
            _ => panic!("unknown argument {name}"),
        }
    }
    (settings, events.split(',').map(str::to_owned).collect())
}

fn print_sizes(world: &ScaleWorld) {
    let council = world.council();
    let table = delta_bytes(&council.delta_since(TableVersion(0)));
    let snapshot = rmp_serde::to_vec(council).expect("councils serialise");
    println!("whole table: {table} bytes; snapshot of the council: {} bytes", snapshot.len());
    let before = resident_bytes();
    let read = |_| rmp_serde::from_slice::<Council>(&snapshot).expect("and are read back");
    let councils: Vec<Council> = (0..10).map(read).collect();
    let after = resident_bytes();
    println!("memory of a council: {} bytes\n", (after - before) / councils.len());
}

fn print_gossip(world: &ScaleWorld) {
    let state = rmp_serde::to_vec(&GossipShape::from(&world.gossip_state(7))).expect("it does");
    let digest = digest_bytes(world.names());
    let nodes = world.names().count();
    // A digest goes in the first message of an exchange and in its answer; a node begins as many as it answers. The news
    // of every other node reach a node once per round.
    let bytes_per_round = 2 * FAN_OUT * digest + nodes * state.len();
    println!(
        "gossip: state {} bytes, digest {digest} bytes ({} % of a datagram)",
        state.len(),
        100 * digest / DATAGRAM_BYTES_MAX
    );
    println!(
        "  per round: {} messages of the cluster; {bytes_per_round} bytes sent by a node, \
        {} MB by all",
        3 * FAN_OUT * nodes,
        nodes * bytes_per_round / 1_000_000
    );
    println!(
        "  per second: {} kB by a node, {} MB by all\n",
        bytes_per_round * ROUNDS_PER_SECOND / 1_000,
        nodes * bytes_per_round * ROUNDS_PER_SECOND / 1_000_000
    );
}

fn print_spread(world: &mut ScaleWorld) {
    println!(
        "| change of one partition | log entry | delta | half know | 99 % | all | exchanges | \
        pulls | pulled bytes |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for number in 1..=5 {
        let one = world.spread_one_change();
        println!(
            "| {number} | {} B | {} B | {} ms | {} ms | {} ms | {} | {} | {} |",
            one.command_bytes,
            one.delta_bytes,
            one.half_ms,
            one.most_ms,
            one.all_ms,
            one.traffic.exchanges,
            one.traffic.pulls,
            one.traffic.pull_bytes
        );
    }
    println!();
}

/// The heartbeats to the council's leader: their bytes, and what it takes to take in who heard of whom.
fn print_heartbeats(world: &ScaleWorld) {
    let nodes = world.names().count();
    let per_second = nodes * 1_000 / HEARTBEAT_MS as usize;
    for (heard, what) in [(nodes, "with all contacts"), (0, "without contacts")] {
        let beats: Vec<HeartbeatShape> = (0..nodes).map(|n| world.heartbeat(n, heard)).collect();
        let bytes: usize =
            beats.iter().map(|beat| rmp_serde::to_vec(beat).expect("it does").len()).sum();
        let mut evidence = Evidence::default();
        take_in(&mut evidence, &beats, Millis(1_000));
        let began = Instant::now();
        take_in(&mut evidence, &beats, Millis(1_200));
        let took = began.elapsed();
        println!(
            "heartbeats {what}: {per_second} per second, {} bytes each, {} kB/s at the leader; \
            taking in a round: {:.2} ms, {:.1} % of a core",
            bytes / nodes,
            bytes / nodes * per_second / 1_000,
            took.as_secs_f64() * 1e3,
            took.as_secs_f64() * 1e5 / HEARTBEAT_MS as f64
        );
    }
    println!();
}

/// As the simulated grid's leader takes in who heard of whom, without the suspicions.
fn take_in(evidence: &mut Evidence, beats: &[HeartbeatShape], now: Millis) {
    for beat in beats {
        for (other, ms_ago) in &beat.heard {
            let contacts = evidence.contacts.entry(other.clone()).or_default();
            let at = Millis(now.0.saturating_sub(*ms_ago));
            let known = contacts.entry(beat.from.node.clone()).or_insert(at);
            *known = (*known).max(at);
        }
        for (partition, bytes, committed, _) in &beat.leads {
            let report = evidence.partitions.entry(*partition).or_default();
            (report.bytes, report.committed) = (*bytes, *committed);
        }
        evidence.answered.insert(beat.from.node.clone(), now);
    }
}

/// How long the placement takes, and how many copies it moves when a node leaves or joins: the mean of a few, against what
/// any placement has to move.
fn print_placement(settings: &ScaleSettings) {
    println!("| nodes | partitions | copies | zones | ms | leave | needed | join | needed |");
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let partitions = PartitionCount::new(settings.partitions).expect("a power of two");
    let copies = usize::from(settings.copies);
    for zones in [1, settings.zones] {
        let settings = ScaleSettings { zones, ..settings.clone() };
        let member = |number: usize| Member {
            zone: Some(settings.zone(number)),
            ..Member::new(ScaleSettings::name(number).as_str())
        };
        let members: Members = (0..settings.nodes).map(member).collect();
        let began = Instant::now();
        let before = placement::desired(partitions, &members, copies);
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let moves = |change: &dyn Fn(&mut Members)| {
            let mut changed = members.clone();
            change(&mut changed);
            let after = placement::desired(partitions, &changed, copies);
            let new = |(old, new): (&Vec<NodeId>, &Vec<NodeId>)| {
                new.iter().filter(|node| !old.contains(node)).count()
            };
            before.iter().zip(&after).map(new).sum::<usize>()
        };
        let leave = |n: usize| moves(&|all| drop(all.remove(&ScaleSettings::name(n))));
        let join = |n: usize| {
            moves(&|all| {
                all.upsert(member(settings.nodes + n));
            })
        };
        let leaves: usize = (0..CHANGES).map(leave).sum();
        let joins: usize = (0..CHANGES).map(join).sum();
        let all = usize::from(settings.partitions) * copies;
        println!(
            "| {} | {} | {copies} | {zones} | {ms:.0} | {} | {} | {} | {} |",
            settings.nodes,
            settings.partitions,
            leaves / CHANGES,
            all / settings.nodes,
            joins / CHANGES,
            all / (settings.nodes + 1)
        );
    }
    println!();
}

fn print_events(world: &mut ScaleWorld, events: &[String]) {
    println!("| | die | join | leave |\n|---|--:|--:|--:|");
    let nodes = world.settings().nodes;
    let events = events.iter().filter_map(|event| match event.as_str() {
        "die" => Some(Event::Die(nodes / 2)),
        "join" => Some(Event::Join),
        "leave" => Some(Event::Leave(nodes / 3)),
        _ => None,
    });
    let reports: Vec<ScaleReport> = events.map(|event| world.go_through(event, MS_MAX)).collect();
    let row = |name: &str, figure: &dyn Fn(&ScaleReport) -> String| {
        let figures: Vec<String> = reports.iter().map(figure).collect();
        println!("| {name} | {} |", figures.join(" | "));
    };
    let seconds = |ms: u64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
    row("every partition has a primary", &|r| seconds(r.writable_ms));
    row("every node knows", &|r| seconds(r.known_ms));
    row("every copy is there", &|r| seconds(r.whole_ms));
    row("as placement wants it", &|r| seconds(r.settled_ms));
    row("copies made", &|r| r.moves.to_string());
    row("needed by the desired table", &|r| r.moves_needed.to_string());
    row("needed by any", &|r| r.moves_ideal.to_string());
    row("gigabytes copied", &|r| (r.bytes_copied / 1_000_000_000).to_string());
    row("most streams of a node", &|r| r.streams_max.to_string());
    row("fewest whole copies", &|r| r.copies_min.to_string());
    row("versions of the table", &|r| r.versions.to_string());
    row("first change: entries", &|r| r.first.entries.to_string());
    row("first change: log entry bytes", &|r| r.first.command_bytes.to_string());
    row("first change: delta bytes", &|r| r.first.delta_bytes.to_string());
    row("commands, kB", &|r| {
        format!("{}, {}", r.traffic.commands, r.traffic.command_bytes / 1_000)
    });
    row("proposals, refused changes", &|r| {
        format!("{}, {}", r.traffic.proposals, r.traffic.refused)
    });
    row("directives", &|r| r.traffic.directives.to_string());
    row("pulls of the table, kB", &|r| {
        format!("{}, {}", r.traffic.pulls, r.traffic.pull_bytes / 1_000)
    });
    row("primaries max/mean", &|r| {
        format!("{:.3} to {:.3}", r.before.primaries, r.after.primaries)
    });
    row("copies max/mean", &|r| format!("{:.3} to {:.3}", r.before.copies, r.after.copies));
    println!();
}

/// What the process has in memory, as Linux says.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4_096
}

/// How long each kind of work took, each time.
#[derive(Clone, Default)]
struct Times(Rc<RefCell<BTreeMap<Work, Vec<Duration>>>>, Option<Instant>);

impl Watch for Times {
    fn begin(&mut self) {
        self.1 = Some(Instant::now());
    }

    fn end(&mut self, work: Work) {
        let Some(took) = self.1.take().map(|began| began.elapsed()) else { return };
        self.0.borrow_mut().entry(work).or_default().push(took);
    }
}

impl Times {
    fn print(&self) {
        println!("| work | times | median | 99 % | most |\n|---|--:|--:|--:|--:|");
        for (work, took) in self.0.borrow_mut().iter_mut() {
            took.sort_unstable();
            let at = |permille: usize| took[(took.len() - 1) * permille / 1_000].as_micros();
            println!(
                "| {work:?} | {} | {} µs | {} µs | {} µs |",
                took.len(),
                at(500),
                at(990),
                at(1_000)
            );
        }
    }
}
