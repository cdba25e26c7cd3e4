//! Tests of the leases of a node pair.

use isogrid_core::{Incarnation, NodeId};

use super::*;

fn claim(partition: u16, epoch: u64) -> (PartitionId, Epoch) {
    (PartitionId(partition), Epoch(epoch))
}

fn leader(life: u64) -> Replica {
    Replica { node: NodeId::new("a"), incarnation: Incarnation(life) }
}

#[test]
fn claims_are_sent_until_they_are_known_and_again_when_they_change() {
    let (mut claimant, mut voucher) = (Claimant::default(), Voucher::default());
    let claims = vec![claim(1, 5), claim(2, 7)];
    let first = claimant.beat(claims.clone(), Ticks(10)).unwrap();
    assert_eq!(first.claims, Some(claims.clone()));
    // The first beat was lost: the claims come again.
    let second = claimant.beat(claims.clone(), Ticks(20)).unwrap();
    assert_eq!(second.claims, Some(claims.clone()));
    let ack = voucher.answer(&leader(1), second, |_, _| true);
    assert_eq!(ack.sent_at, Ticks(20));
    assert_eq!(claimant.answered(&ack), claims);
    let third = claimant.beat(claims, Ticks(30)).unwrap();
    assert_eq!(third.claims, None);
    assert!(voucher.answer(&leader(1), third, |_, _| true).has_claims);
    let changed = claimant.beat(vec![claim(1, 6)], Ticks(40)).unwrap();
    assert_eq!((changed.number, changed.claims), (2, Some(vec![claim(1, 6)])));
}

#[test]
fn a_partition_whose_promise_is_higher_is_excluded() {
    let (mut claimant, mut voucher) = (Claimant::default(), Voucher::default());
    let beat = claimant.beat(vec![claim(1, 5), claim(2, 7)], Ticks(10)).unwrap();
    let ack = voucher.answer(&leader(1), beat, |partition, _| partition != PartitionId(1));
    assert_eq!(ack.excluded, [PartitionId(1)]);
    assert_eq!(claimant.answered(&ack), [claim(2, 7)]);
}

#[test]
fn an_answer_for_an_earlier_list_vouches_for_nothing() {
    let (mut claimant, mut voucher) = (Claimant::default(), Voucher::default());
    let earlier = claimant.beat(vec![claim(1, 5)], Ticks(10)).unwrap();
    let ack = voucher.answer(&leader(1), earlier, |_, _| true);
    claimant.beat(vec![claim(1, 6)], Ticks(20)).unwrap();
    assert_eq!(claimant.answered(&ack), []);
}

#[test]
fn who_has_forgotten_the_claims_vouches_for_nothing_and_gets_them_again() {
    let (mut claimant, mut voucher) = (Claimant::default(), Voucher::default());
    let beat = claimant.beat(vec![claim(1, 5)], Ticks(10)).unwrap();
    claimant.answered(&voucher.answer(&leader(1), beat, |_, _| true));
    let mut restarted = Voucher::default();
    let beat = claimant.beat(vec![claim(1, 5)], Ticks(20)).unwrap();
    let ack = restarted.answer(&leader(1), beat, |_, _| panic!("nothing is claimed here"));
    assert!(!ack.has_claims);
    assert_eq!(claimant.answered(&ack), []);
    assert!(claimant.beat(vec![claim(1, 5)], Ticks(30)).unwrap().claims.is_some());
}

#[test]
fn the_claims_of_an_earlier_life_are_not_those_of_this_one() {
    let mut voucher = Voucher::default();
    let beat = Claimant::default().beat(vec![claim(1, 5)], Ticks(10)).unwrap();
    voucher.answer(&leader(1), beat.clone(), |_, _| true);
    let silent = Beat { claims: None, ..beat };
    assert!(!voucher.answer(&leader(2), silent.clone(), |_, _| true).has_claims);
    voucher.forget(|replica| *replica != leader(1));
    assert!(!voucher.answer(&leader(1), silent, |_, _| true).has_claims);
}

#[test]
fn who_leads_nothing_says_nothing() {
    assert_eq!(Claimant::default().beat(Vec::new(), Ticks(10)), None);
}
