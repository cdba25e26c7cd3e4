//! [`World`]: the replicas, the messages between them, and the commands.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use isogrid_core::{Incarnation, Limits, MapId, NodeId, PartitionId, Replica as Name, Timestamp};
use isogrid_replica::entry::Entries;
use isogrid_replica::image::Image;
use isogrid_replica::settings::{Acknowledge, MapMode, WhenLagging};
use isogrid_replica::{
    Effects, Event, Message, Notice, Now, Proposal, Replica, Response, RoleName, Settings, Ticket,
    Ticks,
};
use isogrid_sim::golden::Command;
use isogrid_store::Partition;

use super::ask::Asked;
use super::council::Council;
use super::show;

/// The wall clock at the beginning of every script.
pub(super) const WALL_BEGIN: u64 = 1_000_000;

pub(super) type Way = (String, String);

/// A node with its replica, unless it is down.
pub(super) struct Node {
    pub(super) name: Name,
    pub(super) replica: Option<Replica>,
    /// How far its wall clock is from the others'.
    skew_ms: i64,
    /// Its monotonic clock counts from another moment than the others'.
    ticks_begin: u64,
    role: RoleName,
    /// What its disk holds of its data.
    image: Image,
    /// What its disk holds of its log after that.
    disk: Vec<u8>,
    deferred: VecDeque<Ticket>,
}

/// A message on its way.
#[derive(Clone)]
pub(super) struct Parcel {
    from: Name,
    to: Incarnation,
    pub(super) message: Message,
}

/// Everything.
pub(crate) struct World {
    pub(super) settings: Settings,
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) ways: BTreeMap<Way, VecDeque<Parcel>>,
    held: BTreeSet<Way>,
    pub(super) council: Council,
    pub(super) now_ms: u64,
    pub(super) asked: BTreeMap<Ticket, Asked>,
    pub(super) out: String,
    pub(super) hides_messages: bool,
}

/// What a replica did in one step.
#[derive(Default)]
struct Done {
    lines: Vec<String>,
    messages: Vec<(Name, Message)>,
    proposals: Vec<Proposal>,
    deferred: Vec<Ticket>,
    resumes: bool,
}

impl Effects for Done {
    fn respond(&mut self, ticket: Ticket, response: Response<'_>) {
        self.lines.push(format!("#{} {}", ticket.0, show::response(&response)));
    }

    fn defer(&mut self, ticket: Ticket) {
        self.lines.push(format!("#{} is deferred", ticket.0));
        self.deferred.push(ticket);
    }

    fn resume(&mut self) {
        self.resumes = true;
    }

    fn send(&mut self, to: &Name, message: Message) {
        self.messages.push((to.clone(), message));
    }

    fn propose(&mut self, proposal: Proposal) {
        self.lines.push(format!("proposes {}", show::proposal(&proposal)));
        self.proposals.push(proposal);
    }

    fn notice(&mut self, notice: Notice) {
        self.lines.push(format!("* {}", show::notice(&notice)));
    }
}

impl World {
    pub(crate) fn new() -> Self {
        World {
            settings: Settings::default(),
            nodes: BTreeMap::new(),
            ways: BTreeMap::new(),
            held: BTreeSet::new(),
            council: Council::default(),
            now_ms: 0,
            asked: BTreeMap::new(),
            out: String::new(),
            hides_messages: false,
        }
    }

    /// Does one command and returns what it prints.
    pub(crate) fn execute(&mut self, command: &Command) -> String {
        if let Err(what) = self.try_execute(command) {
            panic!("line {}: {what}", command.line);
        }
        std::mem::take(&mut self.out)
    }

    fn try_execute(&mut self, command: &Command) -> Result<(), String> {
        let words: Vec<&str> = (0..).map_while(|place| command.word(place)).collect();
        match (command.name.as_str(), words.as_slice()) {
            ("settings", _) => self.set(command)?,
            ("map", [map]) => self.set_map(map, command)?,
            ("start", names) => self.start(names, command),
            ("deliver", []) => self.deliver_all(),
            ("deliver", ways) => self.each_way(ways, World::deliver_way),
            ("drop", ways) => self.each_way(ways, |world, way| world.lose(&way)),
            ("duplicate", ways) => self.each_way(ways, |world, way| {
                let parcels = world.ways.get(&way).cloned().unwrap_or_default();
                world.deliver_way(way.clone());
                world.ways.entry(way).or_default().extend(parcels);
            }),
            ("tamper", [way, from, to]) => self.tamper(&self.ways_of(way), from, to)?,
            ("hold", ways) => self.each_way(ways, |world, way| {
                world.held.insert(way);
            }),
            ("release", ways) => self.each_way(ways, |world, way| {
                world.held.remove(&way);
            }),
            ("tick", [ms, names @ ..]) => self.pass(number(ms)?, names),
            ("run", [ms]) => self.run(number(ms)?),
            ("clock", [node, ms]) => {
                self.node(node).skew_ms = ms.parse().map_err(|_| "a number of milliseconds")?;
            }
            ("council", words) => self.ask_council(words)?,
            ("table", names) => self.tell_table(names),
            ("crash", [node]) => {
                self.node(node).replica = None;
                self.node(node).deferred.clear();
            }
            ("restart", [node]) => self.restart(node, command.get("disk").is_some()),
            ("persisted", names) => {
                for name in names {
                    self.persist(name);
                }
            }
            ("imaged", [name]) => self.image(name)?,
            ("damaged", [name]) => self.step(name, Event::Damaged),
            ("handover", [from, to]) => self.step(from, Event::HandOver { to: &NodeId::new(to) }),
            ("retire", [from, gone]) => {
                let replica = self.node(gone).name.clone();
                self.step(from, Event::Retire { replica: &replica });
            }
            ("vouch", [from, suspect]) => {
                let replica = self.node(suspect).name.clone();
                self.step(from, Event::Vouch { replica: &replica });
            }
            ("answered", [node]) => {
                let sent_at = self.now(node).ticks;
                self.step(node, Event::CouncilAnswered { sent_at });
            }
            ("end-session", [node, session]) => {
                let above = [isogrid_core::SessionId(number(session)?)];
                let watermark = isogrid_core::SessionId(0);
                self.step(node, Event::SessionsEnded { watermark, above: &above });
                self.step(node, Event::Flush);
            }
            ("state", names) => self.show_state(names),
            (node, words) if self.nodes.contains_key(node) => {
                let ticket = self.note_request(node, words, command)?;
                self.ask(ticket);
            }
            (name, _) => return Err(format!("{name} is not a command")),
        }
        Ok(())
    }

    fn set(&mut self, command: &Command) -> Result<(), String> {
        let settings = &mut self.settings;
        for argument in &command.arguments {
            let value = argument.value.as_str();
            match argument.key.as_deref().unwrap_or_default() {
                "durable" => settings.durable = value == "yes",
                "alone_is_safe" => settings.alone_is_safe = value == "yes",
                "digest_every" => settings.digest_every = number(value)?,
                "chunk_bytes_max" => settings.chunk_bytes_max = number(value)? as usize,
                "append_bytes_max" => settings.append_bytes_max = number(value)? as usize,
                "async_lag_bytes_max" => settings.async_lag_bytes_max = number(value)? as usize,
                "when_lagging" if value == "drop" => settings.when_lagging = WhenLagging::Drop,
                "window_bytes" => settings.window.bytes_max = number(value)?,
                "window_ms" => settings.window.age_ms_max = number(value)?,
                other => return Err(format!("{other} cannot be set")),
            }
        }
        Ok(())
    }

    fn set_map(&mut self, map: &str, command: &Command) -> Result<(), String> {
        let mut mode = MapMode::default();
        if command.get("acknowledge") == Some("primary") {
            mode.acknowledge = Acknowledge::Primary;
        }
        mode.min_in_sync = command.parse_key("min_in_sync")?.unwrap_or(1);
        let index = number(map)? as usize;
        let maps = &mut self.settings.maps;
        maps.resize(maps.len().max(index + 1), MapMode::default());
        maps[index] = mode;
        Ok(())
    }

    /// The nodes register, and the first one leads.
    fn start(&mut self, names: &[&str], command: &Command) {
        for name in names {
            let name = Name { node: NodeId::new(name), incarnation: Incarnation(1) };
            let node = Node {
                replica: None,
                skew_ms: 0,
                ticks_begin: 1_000_000_000 * (1 + self.nodes.len() as u64),
                role: RoleName::Learner,
                image: Image::default(),
                disk: Vec::new(),
                deferred: VecDeque::new(),
                name,
            };
            self.nodes.insert(node.name.node.to_string(), node);
        }
        for name in names {
            self.node(name).replica = Some(self.empty_replica(name));
        }
        let in_sync: usize =
            command.parse_key("in_sync").expect("a number of nodes").unwrap_or(names.len());
        let of = |names: &[&str]| -> Vec<Name> {
            names.iter().map(|name| self.nodes[*name].name.clone()).collect()
        };
        self.council = Council::begin(of(&names[..in_sync]));
        self.tell_table(&[]);
        self.deliver_all();
        if command.get("show").is_none() {
            self.out.clear();
        }
    }

    fn empty_replica(&self, name: &str) -> Replica {
        let (store, settings, now) = self.parts(name);
        Replica::new(self.nodes[name].name.clone(), store, settings, now)
    }

    fn parts(&self, name: &str) -> (Partition, Arc<Settings>, Now) {
        let mut settings = self.settings.clone();
        settings.hash_seed = 42;
        let store = Partition::new(PartitionId(0), 42, &Limits::default());
        (store, Arc::new(settings), self.now(name))
    }

    fn restart(&mut self, name: &str, keeps_disk: bool) {
        self.node(name).name.incarnation.0 += 1;
        let me = self.node(name).name.clone();
        let replica = if keeps_disk {
            let (store, settings, now) = self.parts(name);
            let disk = (&self.nodes[name].image, self.nodes[name].disk.as_slice());
            Replica::recover(me, store, settings, disk, now).expect("the disk holds a log")
        } else {
            self.node(name).disk.clear();
            self.node(name).image = Image::default();
            self.empty_replica(name)
        };
        let role = replica.role();
        let node = self.node(name);
        (node.replica, node.role) = (Some(replica), role);
    }

    fn persist(&mut self, name: &str) {
        let Some(replica) = &self.nodes[name].replica else { return };
        let Node { image, disk, .. } = &self.nodes[name];
        let (mut disk, mut end) = (disk.clone(), image.position);
        if let Some(Ok(last)) = Entries::new(&disk).last() {
            end = last.entry.position;
        }
        if replica.log().position_of(end.seq) != Some(end) {
            // Its tail was cut off.
            disk.clear();
            end = image.position;
        }
        replica.log().read_batch(end.seq, usize::MAX, &mut disk).expect("nothing is pruned");
        let last = replica.log().last();
        self.node(name).disk = disk;
        self.step(name, Event::Persisted(last));
    }

    /// The data go to disk as they are.
    fn image(&mut self, name: &str) -> Result<(), String> {
        let replica = self.node(name).replica.as_ref();
        let image = replica.and_then(Replica::image).ok_or("there is nothing whole to keep")?;
        let voided = self.node(name).replica.as_ref().map_or(0, Replica::disk_voided);
        let position = image.position;
        self.node(name).image = image;
        self.node(name).disk.clear();
        self.step(name, Event::Imaged { position, voided });
        Ok(())
    }

    pub(super) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.get_mut(name).unwrap_or_else(|| panic!("there is no node {name}"))
    }

    /// What time it is at a node.
    pub(super) fn now(&self, name: &str) -> Now {
        let node = &self.nodes[name];
        let wall =
            (WALL_BEGIN + self.now_ms).checked_add_signed(node.skew_ms).expect("small skews");
        Now { ticks: Ticks(node.ticks_begin).plus_ms(self.now_ms), wall: Timestamp(wall) }
    }

    /// Something happens to a replica; what it does is printed, and its messages are put on their ways.
    pub(super) fn step(&mut self, name: &str, event: Event<'_>) {
        let now = self.now(name);
        let node = self.node(name);
        let Some(replica) = &mut node.replica else { return };
        let mut done = Done::default();
        replica.step(event, now, &mut done);
        if replica.role() != node.role {
            node.role = replica.role();
            done.lines.push(format!(
                "is {} in epoch {}",
                show::role(node.role),
                replica.promised().0
            ));
        }
        node.deferred.extend(done.deferred);
        let from = node.name.clone();
        let again = if done.resumes { std::mem::take(&mut node.deferred) } else { VecDeque::new() };
        for line in done.lines {
            self.out.push_str(&format!("{name}: {line}\n"));
        }
        for (to, message) in done.messages {
            if !self.hides_messages {
                self.out.push_str(&format!("{name} -> {}: {}\n", to.node, show::message(&message)));
            }
            let way = (name.to_owned(), to.node.to_string());
            let parcel = Parcel { from: from.clone(), to: to.incarnation, message };
            self.ways.entry(way).or_default().push_back(parcel);
        }
        self.council.hear(done.proposals);
        for ticket in again {
            self.ask(ticket);
        }
    }

    /// The ways that a text means: `a->b`, or all from and to `a`.
    fn ways_of(&self, text: &str) -> Vec<Way> {
        if let Some((from, to)) = text.split_once("->") {
            return vec![(from.to_owned(), to.to_owned())];
        }
        let others = self.nodes.keys().filter(|other| *other != text);
        others
            .flat_map(|other| [(text.to_owned(), other.clone()), (other.clone(), text.to_owned())])
            .collect()
    }

    fn each_way(&mut self, texts: &[&str], mut work: impl FnMut(&mut World, Way)) {
        for text in texts {
            for way in self.ways_of(text) {
                work(self, way);
            }
        }
    }

    pub(super) fn lose(&mut self, way: &Way) {
        self.ways.remove(way);
    }

    /// Delivers what lies on a way now.
    fn deliver_way(&mut self, way: Way) {
        for parcel in self.ways.remove(&way).unwrap_or_default() {
            self.hand_over(&way, parcel);
        }
    }

    fn hand_over(&mut self, way: &Way, parcel: Parcel) {
        let Parcel { from, to, message } = parcel;
        self.step(&way.1, Event::Receive { from: &from, to, message });
    }

    /// Delivers until nothing is on its way that is not held.
    pub(super) fn deliver_all(&mut self) {
        for _ in 0..10_000 {
            let is_due = |(way, parcels): &(&Way, &VecDeque<_>)| {
                !parcels.is_empty() && !self.held.contains(way)
            };
            let Some(way) = self.ways.iter().find(is_due).map(|(way, _)| way.clone()) else {
                return;
            };
            let parcel = self.ways.get_mut(&way).and_then(VecDeque::pop_front).expect("it is due");
            self.hand_over(&way, parcel);
        }
        panic!("the replicas never stop talking");
    }
}

pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

/// The map that a command is about: the first one, if it does not say.
pub(super) fn map_of(command: &Command) -> Result<MapId, String> {
    Ok(MapId(command.parse_key("map")?.unwrap_or(0)))
}
