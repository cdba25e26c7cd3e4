//! Tests of `lives`.

use std::net::SocketAddr;

use isogrid_core::{Member, TableVersion};

use super::super::news::{OwnNews, clock_value, values};
use super::*;

struct Story {
    lives: Lives,
    start: Instant,
    is_fresh: bool,
}

struct Entry {
    id: ChitchatId,
    heartbeat: u64,
    version: u64,
    is_live: bool,
    values: Vec<(&'static str, String)>,
}

fn entry(name: &str, generation: u64, port: u16) -> Entry {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let id = ChitchatId::new(name, generation << RESTART_BITS, address);
    let values = values(&OwnNews::new(Member::new(name)), false);
    Entry { id, heartbeat: 1, version: 7, is_live: true, values }
}

impl Story {
    fn new() -> Self {
        Story { lives: Lives::new(NodeId::new("me"), 5), start: Instant::now(), is_fresh: false }
    }

    fn look(&mut self, after_ms: u64, entries: &[&Entry]) -> BTreeMap<NodeId, Seen> {
        let now = self.start + Duration::from_millis(after_ms);
        let wall = Timestamp(1_000_000 + after_ms);
        let look = Look { now, wall, is_fresh: self.is_fresh };
        for entry in entries {
            let value = |key: &str| {
                entry.values.iter().find(|(name, _)| *name == key).map(|(_, value)| &**value)
            };
            let Entry { id, heartbeat, version, is_live, .. } = entry;
            let (heartbeat, version, is_live) = (*heartbeat, *version, *is_live);
            let observed = Observed { id, heartbeat, version, is_live, value: &value };
            self.lives.take(&observed, look);
        }
        self.lives.finish(look)
    }
}

fn only(members: &BTreeMap<NodeId, Seen>) -> &Seen {
    assert_eq!(members.len(), 1, "{members:?}");
    members.values().next().expect("one")
}

#[test]
fn a_node_is_seen_once_its_heart_was_seen_to_beat() {
    let (mut story, mut a) = (Story::new(), entry("a", 1, 1));
    assert!(story.look(0, &[&a]).is_empty(), "others may tell of the dead");
    a.heartbeat = 2;
    let members = story.look(50, &[&a]);
    assert_eq!(only(&members).heard, story.start + Duration::from_millis(50));
    let members = story.look(100, &[&a]);
    assert_eq!(only(&members).heard, story.start + Duration::from_millis(50), "no new heartbeat");
}

#[test]
fn a_node_that_has_not_said_who_it_is_is_not_seen() {
    let (mut story, mut a) = (Story::new(), entry("a", 1, 1));
    let values = std::mem::take(&mut a.values);
    a.version = 0;
    story.look(0, &[&a]);
    a.heartbeat = 2;
    assert!(story.look(50, &[&a]).is_empty());
    (a.values, a.version) = (values, 7);
    assert_eq!(story.look(100, &[&a]).len(), 1);
}

#[test]
fn the_newest_life_wins_wherever_it_is() {
    let (mut story, mut old, mut new) = (Story::new(), entry("a", 1, 9), entry("a", 2, 1));
    story.look(0, &[&old, &new]);
    old.heartbeat = 9;
    let members = story.look(50, &[&old, &new]);
    assert_eq!(only(&members).address.port(), 9, "the new life has not been heard of yet");
    new.heartbeat = 2;
    let members = story.look(100, &[&old, &new]);
    assert_eq!(only(&members).address.port(), 1);
    old.heartbeat = 10;
    new.is_live = false;
    let members = story.look(150, &[&old, &new]);
    assert_eq!(only(&members).address.port(), 1, "a life that is over does not come back");
    assert!(!only(&members).is_live);
}

#[test]
fn a_goodbye_is_believed_at_once() {
    let (mut story, mut a) = (Story::new(), entry("a", 1, 1));
    story.look(0, &[&a]);
    a.heartbeat = 2;
    assert!(only(&story.look(50, &[&a])).is_live);
    a.values = values(&OwnNews::new(Member::new("a")), true);
    a.version = 8;
    let members = story.look(100, &[&a]);
    assert!(!only(&members).is_live && only(&members).is_leaving);
}

#[test]
fn only_news_are_news() {
    let (mut story, mut a) = (Story::new(), entry("a", 1, 1));
    story.look(0, &[&a]);
    a.heartbeat = 2;
    let first = story.look(50, &[&a]);
    a.heartbeat = 3;
    a.values.push(clock_value(Timestamp(1_000_400)));
    a.version = 8;
    let second = story.look(100, &[&a]);
    assert!(!only(&second).is_news_after(only(&first)));
    assert_eq!(only(&second).clock_offset_ms, Some(300));
    let mut news = OwnNews::new(Member::new("a"));
    news.table = TableVersion(3);
    a.values = values(&news, false);
    a.version = 9;
    let third = story.look(150, &[&a]);
    assert!(only(&third).is_news_after(only(&second)));
}

#[test]
fn gossip_that_starts_again_does_not_declare_everybody_dead() {
    let (mut story, mut a) = (Story::new(), entry("a", 1, 1));
    story.look(0, &[&a]);
    a.heartbeat = 200;
    story.look(50, &[&a]);
    assert!(only(&story.look(1_000, &[])).is_live);
    assert!(!only(&story.look(2_100, &[])).is_live, "it did not come back");
    // The new chitchat knows a later heartbeat from its first moment.
    (a.heartbeat, a.is_live) = (230, true);
    assert!(only(&story.look(2_150, &[&a])).is_live);
    (story.is_fresh, a.is_live) = (true, false);
    assert!(only(&story.look(2_200, &[&a])).is_live, "its failure detector knows too little yet");
    story.is_fresh = false;
    assert!(!only(&story.look(2_250, &[&a])).is_live);
    assert!(story.look(DEAD_GRACE.as_millis() as u64 + 3_000, &[]).is_empty());
}

#[test]
fn a_node_of_the_same_name_is_noticed_and_not_shown() {
    let (mut story, earlier) = (Story::new(), entry("me", 4, 1));
    let look = |story: &mut Story, entry: &Entry, after: Duration| {
        let look = Look { now: story.start + after, wall: Timestamp(0), is_fresh: false };
        let observed = Observed {
            id: &entry.id,
            heartbeat: entry.heartbeat,
            version: 7,
            is_live: true,
            value: &|_| None,
        };
        story.lives.take(&observed, look)
    };
    assert!(!look(&mut story, &earlier, Duration::ZERO), "this node's own past");
    assert!(look(&mut story, &earlier, NAMESAKE_AFTER * 2), "by now it would be dead");
    let own = entry("me", 5, 1);
    assert!(!look(&mut story, &own, NAMESAKE_AFTER * 2), "this node");
    assert!(story.look(60_000, &[&earlier]).is_empty());
}
