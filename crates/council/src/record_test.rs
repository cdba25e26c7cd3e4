//! What lies on disk stays readable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use isogrid_cluster::council::Command;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::{Entry as RaftEntry, EntryPayload};
use proptest::prelude::*;

use crate::record::{Ballot, Cover, Place, Record, decode, encode};
use crate::testing::{count, create};
use crate::types::{
    Entry, LogId, Membership, Proposal, SnapshotMeta, StoredMembership, Vote, VoterNode,
};

fn place(term: u64, voter: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: voter }, index)
}

fn voters(ids: &BTreeSet<u64>) -> Membership {
    let node = |id: &u64| (*id, VoterNode { node: format!("node-{id}"), log: id ^ 7 });
    let nodes: BTreeMap<u64, VoterNode> = ids.iter().map(node).collect();
    Membership::new(vec![ids.clone()], nodes).expect("voters")
}

fn payload(kind: u8, ids: &BTreeSet<u64>) -> EntryPayload<Proposal, u64, VoterNode> {
    match kind {
        0 => EntryPayload::Blank,
        1 => EntryPayload::Normal(Proposal(Arc::new(count()))),
        2 => EntryPayload::Normal(Proposal(Arc::new(Command::CreateCluster(create())))),
        _ => EntryPayload::Membership(voters(ids)),
    }
}

proptest! {
    #[test]
    fn all_comes_back(
        (term, voter, index) in any::<(u64, u64, u64)>(),
        kind in 0_u8..4,
        is_committed in any::<bool>(),
        ids in prop::collection::btree_set(any::<u64>(), 1..5),
    ) {
        let id = place(term, voter, index);
        let entry: Entry = RaftEntry { log_id: id, payload: payload(kind, &ids) };
        let record: Record = decode(&encode(&Record::from(&entry)).expect("encoded")).expect("read");
        prop_assert_eq!(record.into_entry().expect("an entry"), entry);
        let mut vote = Vote::new(term, voter);
        vote.committed = is_committed;
        let ballot: Ballot = decode(&encode(&Ballot::from(&vote)).expect("encoded")).expect("read");
        prop_assert_eq!(Vote::from(ballot), vote);
        let meta = SnapshotMeta {
            last_log_id: is_committed.then_some(id),
            last_membership: StoredMembership::new(Some(id), voters(&ids)),
        };
        let cover: Cover = decode(&encode(&Cover::from(&meta)).expect("encoded")).expect("read");
        prop_assert_eq!(SnapshotMeta::try_from(cover).expect("a cover"), meta);
    }

    #[test]
    fn rubbish_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(decode::<Record>(&bytes).is_err());
        prop_assert!(decode::<crate::message::Envelope>(&bytes).is_err());
    }
}

/// An entry as the first version wrote it, and one with a field that this build does not know.
#[test]
fn entries_of_other_versions_are_read() {
    let written = encode(&Record::from(&Entry {
        log_id: place(3, 5, 9),
        payload: payload(1, &BTreeSet::new()),
    }));
    let golden = b"\x82\xa5place\x83\xa4term\x03\xa5voter\x05\xa5index\x09\
        \xa7content\x81\xa7Command\x81\xacOpenSessions\x81\xa5count\x01";
    assert_eq!(written.expect("encoded"), golden);
    let newer = b"\x83\xa5place\x83\xa4term\x03\xa5voter\x05\xa5index\x09\
        \xa3new\x01\xa7content\xa5Blank";
    let record: Record = decode(newer).expect("read");
    assert_eq!((record.place, record.place.index), (Place::from(&place(3, 5, 9)), 9));
}
