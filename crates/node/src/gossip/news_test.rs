//! Tests of `news`.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 7], 7700))
}

fn full() -> OwnNews {
    let mut member = Member::new("node-a");
    member.incarnation = Incarnation(1_700_000_000_123);
    member.grpc_addr = "10.0.0.7:7700".into();
    member.http_addr = "10.0.0.7:7780".into();
    member.gossip_addr = address().to_string();
    member.zone = Some("eu-1a".into());
    member.state = MemberState::Draining;
    OwnNews {
        cluster: Some(ClusterId(u128::MAX - 5)),
        table: TableVersion(77),
        table_hash: u64::MAX,
        leader: Some((9, NodeId::new("node:b"))),
        is_empty: true,
        expect: 3,
        names: Some(NodeId::new("node-c")),
        voter: Some(VoterId(0xfeed)),
        load: Load { memory: 10, processor: 3 },
        ..OwnNews::new(member)
    }
}

fn read_back(values: &[(&str, String)]) -> Option<Read> {
    let map: BTreeMap<&str, &str> = values.iter().map(|(key, value)| (*key, &**value)).collect();
    read(&NodeId::new("node-a"), address(), |key| map.get(key).copied())
}

#[test]
fn news_survive_the_way() {
    let mut member = Member::new("node-a");
    member.gossip_addr = address().to_string();
    for news in [full(), OwnNews::new(member)] {
        for is_leaving in [false, true] {
            let mut values = values(&news, is_leaving);
            values.push(clock_value(Timestamp(1_234)));
            let read = read_back(&values).expect("it says who it is");
            assert_eq!(read.news, news);
            assert_eq!((read.clock, read.is_leaving), (Some(Timestamp(1_234)), is_leaving));
        }
    }
}

#[test]
fn all_is_short() {
    let values = values(&full(), false);
    let bytes: usize = values.iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(bytes < 400, "{bytes}");
    assert!(values.iter().all(|(key, _)| key.is_ascii()), "a key that is not makes chitchat panic");
}

/// The values as this version writes them: a later build must read them.
#[test]
fn the_format_is_kept() {
    let expected = [
        (
            "member",
            r#"{"incarnation":1700000000123,"grpc":"10.0.0.7:7700","http":"10.0.0.7:7780","zone":"eu-1a","weight":100,"state":"draining"}"#,
        ),
        (
            "bootstrap",
            r#"{"cluster":"fffffffffffffffffffffffffffffffa","empty":true,"expect":3,"names":"node-c"}"#,
        ),
        ("table", "77:ffffffffffffffff"),
        ("leader", "9:node:b"),
        ("voter", "feed"),
        ("load", "10:3"),
        ("state", "up"),
    ];
    let written = values(&full(), false);
    let written: Vec<(&str, &str)> = written.iter().map(|(key, value)| (*key, &**value)).collect();
    assert_eq!(written, expected);
}

#[test]
fn what_is_missing_or_new_is_no_error() {
    assert!(read_back(&[]).is_none(), "it has not said who it is");
    let read = read_back(&[
        ("member", r#"{"incarnation":5,"state":"hibernating","colour":"blue"}"#.into()),
        ("bootstrap", "not JSON".into()),
        ("table", "seven".into()),
        ("leader", "-".into()),
        ("load", "99:4:and more".into()),
        ("mood", "good".into()),
    ])
    .expect("it says who it is");
    assert_eq!(read.news.member.incarnation, Incarnation(5));
    assert_eq!(read.news.member.state, MemberState::Joining, "nothing is placed on it");
    assert_eq!((read.news.is_empty, read.news.expect), (false, 0), "it forms no cluster");
    assert_eq!(read.news.table, TableVersion(0));
    assert_eq!(read.news.leader, None);
    assert_eq!(read.news.load, Load::default());
    assert!(!read.is_leaving);
}

#[test]
fn what_is_too_long_is_refused_before_it_stalls_gossip() {
    let mut news = full();
    assert!(check(&news).is_ok());
    news.member.zone = Some("z".repeat(VALUE_BYTES_MAX));
    let error = check(&news).expect_err("too long");
    assert!(error.detail().contains("`member`"), "{error}");
}

proptest! {
    #[test]
    fn any_text_can_be_read(values: Vec<String>) {
        let keys = [MEMBER, BOOTSTRAP, TABLE, LEADER, VOTER, LOAD, CLOCK, STATE];
        let said: Vec<(&str, String)> = keys.into_iter().zip(values).collect();
        let _ = read_back(&said);
    }

    #[test]
    fn any_name_and_zone_survive(zone: Option<String>, names: Option<String>) {
        let mut news = full();
        news.member.zone = zone;
        news.names = names.map(NodeId::new);
        prop_assert_eq!(read_back(&values(&news, false)).expect("it is there").news, news);
    }
}
