//! Tests of `bootstrap`.

use super::*;
use crate::testing::node;

fn empty(name: &str, names: &str) -> Candidate {
    let names = (!names.is_empty()).then(|| node(names));
    Candidate { node: node(name), cluster: None, is_empty: true, expect: 3, names }
}

fn waits(decision: &Bootstrap) -> Waiting {
    match decision {
        Bootstrap::Wait { why, .. } => *why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nodes_wait_until_enough_are_there_and_all_name_the_first() {
    let [a, b, c] = ["a", "b", "c"].map(|name| empty(name, ""));
    assert_eq!(waits(&decide(&a, std::slice::from_ref(&b))), Waiting::MoreNodes);
    let follow = Bootstrap::Wait { names: Some(node("a")), why: Waiting::ForAnother };
    assert_eq!(decide(&b, &[a.clone(), c.clone()]), follow);
    assert_eq!(waits(&decide(&a, &[b, c])), Waiting::ToBeNamed);
    let named = [empty("b", "a"), empty("c", "a")];
    let Bootstrap::FormCluster { voters, members } = decide(&a, &named) else { panic!() };
    assert_eq!((voters, members.len()), ([node("a")].into(), 3));
}

#[test]
fn two_nodes_never_both_form_one() {
    // `d` sees no `a`: it names `b`. Each of four nodes names one, and three names are needed.
    let a = decide(&empty("a", "a"), &[empty("b", "b"), empty("c", "a"), empty("d", "b")]);
    let b = decide(&empty("b", "b"), &[empty("c", "a"), empty("d", "b")]);
    assert_eq!((waits(&a), waits(&b)), (Waiting::ToBeNamed, Waiting::ToBeNamed));
}

#[test]
fn one_node_that_expects_one_forms_its_own() {
    let alone = Candidate { expect: 1, ..empty("a", "") };
    assert!(matches!(decide(&alone, &[]), Bootstrap::FormCluster { .. }));
    let never = Candidate { expect: 0, ..empty("a", "") };
    assert_eq!(waits(&decide(&never, &[])), Waiting::MoreNodes);
}

#[test]
fn a_node_with_data_or_a_cluster_never_forms_one() {
    let others = [empty("b", "a"), empty("c", "a")];
    let with_data = Candidate { is_empty: false, ..empty("a", "a") };
    assert_eq!(waits(&decide(&with_data, &others)), Waiting::ForItsCluster);
    let of_a_cluster = Candidate { cluster: Some(ClusterId(5)), ..with_data.clone() };
    assert_eq!(decide(&of_a_cluster, &others), Bootstrap::JoinExisting(ClusterId(5)));
    let member = Candidate { cluster: Some(ClusterId(5)), is_empty: false, ..empty("z", "") };
    assert_eq!(
        decide(&empty("a", "a"), std::slice::from_ref(&member)),
        Bootstrap::JoinExisting(ClusterId(5))
    );
    assert_eq!(waits(&decide(&with_data, &[member])), Waiting::ForItsCluster);
}

#[test]
fn what_does_not_agree_is_left_to_an_operator() {
    let other = Candidate { expect: 5, ..empty("b", "a") };
    assert_eq!(waits(&decide(&empty("a", "a"), &[other, empty("c", "a")])), Waiting::Conflict);
    let of = |name, id| Candidate { cluster: Some(ClusterId(id)), ..empty(name, "") };
    assert_eq!(waits(&decide(&empty("a", ""), &[of("x", 1), of("y", 2)])), Waiting::Conflict);
}

/// `a1` is node a with voter 1; `!` means that it is not stable.
fn electors(text: &str) -> Vec<Elector> {
    let one = |word: &str| Elector {
        node: node(&word[..1]),
        voter: VoterId(word[1..].trim_end_matches('!').parse().unwrap()),
        zone: None,
        stable_ms: if word.ends_with('!') { 4_999 } else { STABLE_MS_MIN },
    };
    text.split_whitespace().map(one).collect()
}

fn voters(text: &str) -> BTreeMap<VoterId, NodeId> {
    electors(text).into_iter().map(|elector| (elector.voter, elector.node)).collect()
}

fn next(has: &str, sees: &str) -> Option<BTreeMap<VoterId, NodeId>> {
    next_voters(&voters(has), &BTreeSet::new(), &electors(sees))
}

fn next_without(has: &str, leave: &str, sees: &str) -> Option<BTreeMap<VoterId, NodeId>> {
    next_voters(&voters(has), &voters(leave).into_keys().collect(), &electors(sees))
}

#[test]
fn one_voter_becomes_three_and_three_become_five() {
    assert_eq!(next("a1", "a1 b2"), None, "two nodes: one voter");
    assert_eq!(next("a1", "a1 b2 c3!"), None, "not stable yet");
    assert_eq!(next("a1", "a1 b2 c3"), Some(voters("a1 b2 c3")));
    assert_eq!(next("a1 b2 c3", "a1 b2 c3 d4"), None, "four tolerate no more than three");
    assert_eq!(next("a1 b2 c3", "a1 b2 c3 d4 e5!"), None, "not stable yet");
    let five = next("a1 b2 c3", "a1 b2 c3 d4 e5 f6");
    assert_eq!(five, Some(voters("a1 b2 c3 d4 e5")));
}

#[test]
fn it_never_shrinks_by_itself() {
    assert_eq!(next("a1 b2 c3", "a1"), None);
    assert_eq!(next("a1 b2 c3 d4 e5", "a1 b2"), None);
}

#[test]
fn it_shrinks_for_those_who_leave_and_not_below_three() {
    let five = "a1 b2 c3 d4 e5";
    assert_eq!(next_without(five, "e5", "a1 b2 c3 d4"), Some(voters("a1 b2 c3")));
    assert_eq!(next_without(five, "e5", "a1! b2 c3 d4"), Some(voters("b2 c3 d4")), "who is away");
    assert_eq!(next_without(five, "d4 e5", "a1 b2 c3"), Some(voters("a1 b2 c3")));
    assert_eq!(next_without(five, "e5", "a1 b2 c3 d4 f6"), Some(voters("a1 b2 c3 d4 f6")));
    assert_eq!(next_without(five, "c3 d4 e5", "a1 b2"), None, "nobody takes their place");
    assert_eq!(next_without("a1 b2 c3", "c3", "a1 b2"), None);
    assert_eq!(next_without("a1 b2 c3", "c3", "a1 b2 d4"), Some(voters("a1 b2 d4")));
    assert_eq!(next_without("a1", "a1", "b2"), Some(voters("b2")));
}

#[test]
fn a_wiped_voter_is_replaced_under_its_new_id() {
    assert_eq!(next("a1 b2 c3", "a1 b2 c9"), Some(voters("a1 b2 c9")));
    assert_eq!(next("a1 b2 c3", "a1 b2 c9!"), None, "once it is stable");
}

#[test]
fn voters_are_spread_over_zones() {
    let mut sees = electors("a1 b2 c3 d4");
    for (at, zone) in ["x", "x", "x", "y"].into_iter().enumerate() {
        sees[at].zone = Some(zone.into());
    }
    assert_eq!(next_voters(&voters("a1"), &BTreeSet::new(), &sees), Some(voters("a1 b2 d4")));
}
