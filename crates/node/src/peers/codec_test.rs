//! Round trips of every kind, frozen bytes, and what is done with garbage.

use std::sync::Arc;

use isogrid_cluster::{ClusterId, Directive};
use isogrid_core::{
    Epoch, Hlc, Incarnation, LogPosition, MapId, NodeId, PartitionId, Replica, SessionId,
    TraceContext,
};
use isogrid_replica::Ticks;
use isogrid_replica::lease::{Beat, BeatAck};
use isogrid_replica::message::{
    Ack, Append, Chunk, Content, DigestAt, Message, Mismatch, Offer, Piece,
};
use isogrid_store::WalkCursor;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::control::news::{Leader, News};
use crate::engine::Mark;
use crate::peers::message::LinkMessage;
use crate::peers::testing::news;

fn batch(messages: &[LinkMessage]) -> Vec<u8> {
    let mut batch = vec![BATCH_VERSION];
    messages.iter().for_each(|message| encode(message, &mut batch));
    batch
}

fn position() -> impl Strategy<Value = LogPosition> {
    (any::<u64>(), any::<u64>()).prop_map(|(epoch, seq)| LogPosition::new(epoch, seq))
}

fn cursor() -> impl Strategy<Value = WalkCursor> {
    (any::<u32>(), any::<u64>()).prop_map(|(map, hash)| WalkCursor { map, hash })
}

fn piece() -> impl Strategy<Value = Piece> {
    let key = (any::<u32>().prop_map(MapId), vec(any::<u8>(), 0..40));
    prop_oneof![
        Just(Piece::Start),
        cursor().prop_map(Piece::Records),
        Just(Piece::Sessions),
        Just(Piece::Buckets),
        (any::<u8>(), cursor()).prop_map(|(bucket, cursor)| Piece::Bucket(bucket, cursor)),
        vec(key, 0..8).prop_map(Piece::Keys),
    ]
}

fn content() -> impl Strategy<Value = Content> {
    let bytes = || vec(any::<u8>(), 0..300);
    prop_oneof![
        (bytes(), any::<u64>())
            .prop_map(|(sessions, hlc)| Content::Start { sessions, hlc: Hlc(hlc) }),
        (bytes(), option::of(cursor()))
            .prop_map(|(records, next)| Content::Records { records, next }),
        vec(any::<u128>(), 0..20).prop_map(Content::Buckets),
    ]
}

fn append() -> impl Strategy<Value = Append> {
    let digest = (any::<u64>(), any::<u128>(), option::of(any::<u128>()))
        .prop_map(|(seq, data, sessions)| DigestAt { seq, data, sessions });
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let parts = (numbers, position(), vec(any::<u8>(), 0..300), any::<u32>(), option::of(digest));
    (parts, any::<bool>()).prop_map(|((numbers, prev, entries, loss_generation, digest), leads)| {
        let (epoch, commit, sent_at, echo, round) = numbers;
        Append {
            epoch: Epoch(epoch),
            prev,
            entries,
            commit,
            sent_at: Ticks(sent_at),
            echo: Ticks(echo),
            leads,
            round,
            loss_generation,
            digest,
        }
    })
}

fn answer() -> impl Strategy<Value = Message> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let ack = (numbers, position(), any::<bool>()).prop_map(
        |((epoch, applied, sent_at, stamp, round), matched, complete)| {
            let (sent_at, stamp) = (Ticks(sent_at), Ticks(stamp));
            let epoch = Epoch(epoch);
            Message::Ack(Ack { epoch, matched, applied, sent_at, stamp, round, complete })
        },
    );
    let mismatch = (numbers, position(), position()).prop_map(|(numbers, tail, commit)| {
        let (epoch, sent_at, stamp) = (Epoch(numbers.0), Ticks(numbers.1), Ticks(numbers.2));
        Message::Mismatch(Mismatch { epoch, tail, commit, sent_at, stamp })
    });
    prop_oneof![ack, mismatch]
}

fn copying() -> impl Strategy<Value = Message> {
    let epoch = || any::<u64>().prop_map(Epoch);
    let offer = (epoch(), any::<u32>(), position(), vec(position(), 0..9), position()).prop_map(
        |(epoch, loss_generation, base, runs, last)| {
            Message::Offer(Offer { epoch, loss_generation, base, runs, last })
        },
    );
    let total = (any::<u64>(), any::<u64>());
    let chunk = ((epoch(), any::<u32>(), total), piece(), position(), content()).prop_map(
        |((epoch, loss_generation, total), piece, as_of, content)| {
            Message::Chunk(Box::new(Chunk { epoch, loss_generation, piece, as_of, content, total }))
        },
    );
    prop_oneof![
        epoch().prop_map(|promised| Message::Refused { promised }),
        offer,
        (epoch(), piece()).prop_map(|(epoch, piece)| Message::Pull { epoch, piece }),
        chunk,
        (epoch(), position()).prop_map(|(epoch, at)| Message::Differs { epoch, at }),
    ]
}

fn node() -> impl Strategy<Value = NodeId> {
    "[a-z]{1,12}".prop_map(NodeId::new)
}

fn directive() -> impl Strategy<Value = Directive> {
    let parts = (any::<u16>().prop_map(PartitionId), node(), node(), any::<u64>(), 0..3);
    parts.prop_map(|(partition, primary, other, life, which)| {
        let member = Replica { node: other.clone(), incarnation: Incarnation(life) };
        match which {
            0 => Directive::HandOver { partition, primary, to: other },
            1 => Directive::Retire { partition, primary, member },
            _ => Directive::Vouch { partition, primary, member },
        }
    })
}

fn some_news() -> impl Strategy<Value = News> {
    let parts = (any::<u128>(), any::<u64>(), vec(any::<u64>(), 0..5), any::<u64>(), node());
    parts.prop_map(|(cluster, watermark, ended, term, node)| {
        let mut news = news(ClusterId(cluster));
        news.watermark = SessionId(watermark);
        news.ended = ended.into_iter().map(SessionId).collect();
        news.leader = Some(Leader { term, node });
        news
    })
}

fn traced() -> impl Strategy<Value = LinkMessage> {
    let parts = (any::<u16>(), any::<u64>(), position(), any::<[u8; 16]>(), any::<[u8; 8]>());
    let has_numbers = |(_, _, _, trace, span): &(u16, u64, LogPosition, [u8; 16], [u8; 8])| {
        TraceContext::new(*trace, *span).is_some()
    };
    parts.prop_filter("nought is no number", has_numbers).prop_map(
        |(partition, life, position, trace, span)| {
            let context = TraceContext::new(trace, span).expect("it is filtered");
            let mark = Mark { position, context };
            LinkMessage::Traced { partition: PartitionId(partition), to: Incarnation(life), mark }
        },
    )
}

fn message() -> impl Strategy<Value = LinkMessage> {
    let life = || any::<u64>().prop_map(Incarnation);
    let partition = || any::<u16>().prop_map(PartitionId);
    let replica = prop_oneof![append().prop_map(Message::Append), answer(), copying()];
    let claims = vec((partition(), any::<u64>().prop_map(Epoch)), 0..20);
    let beat = (any::<u64>(), option::of(claims), any::<u64>())
        .prop_map(|(number, claims, sent_at)| Beat { number, claims, sent_at: Ticks(sent_at) });
    let ack = (any::<u64>(), any::<bool>(), vec(partition(), 0..20), any::<u64>()).prop_map(
        |(number, has_claims, excluded, sent_at)| BeatAck {
            number,
            has_claims,
            excluded,
            sent_at: Ticks(sent_at),
        },
    );
    prop_oneof![
        6 => (partition(), life(), replica)
            .prop_map(|(partition, to, message)| LinkMessage::Replica { partition, to, message }),
        1 => (life(), beat).prop_map(|(to, beat)| LinkMessage::Beat { to, beat }),
        1 => (life(), ack).prop_map(|(to, ack)| LinkMessage::BeatAck { to, ack }),
        1 => some_news().prop_map(|news| LinkMessage::News(Arc::new(news))),
        1 => directive().prop_map(LinkMessage::Directive),
        1 => Just(LinkMessage::Ping),
        1 => traced(),
    ]
}

proptest! {
    #[test]
    fn what_is_packed_is_read_again(messages in vec(message(), 0..8)) {
        prop_assert_eq!(decode(&batch(&messages)), Ok(messages));
    }

    #[test]
    fn a_batch_that_is_cut_off_is_refused_or_shorter(
        messages in vec(message(), 1..4), at in any::<prop::sample::Index>(),
    ) {
        let whole = batch(&messages);
        let cut = &whole[..at.index(whole.len())];
        if let Ok(read) = decode(cut) {
            prop_assert!(read.len() < messages.len());
            prop_assert_eq!(&read[..], &messages[..read.len()]);
        }
    }

    #[test]
    fn a_mutated_batch_is_read_without_harm(
        messages in vec(message(), 1..4),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = batch(&messages);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Whatever is read takes no more room than what was sent, give or take what a message costs.
        let _ = decode(&bytes);
    }

    #[test]
    fn garbage_is_read_without_harm(mut bytes in vec(any::<u8>(), 0..400), kind in 0..24_u8) {
        let _ = decode(&bytes);
        let mut framed = vec![BATCH_VERSION, kind];
        framed.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        framed.append(&mut bytes);
        let _ = decode(&framed);
    }

    #[test]
    fn unknown_kinds_are_skipped(
        before in message(), after in message(), kind in 22_u8.., body in vec(any::<u8>(), 0..50),
    ) {
        let mut bytes = batch(std::slice::from_ref(&before));
        bytes.push(kind);
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&body);
        encode(&after, &mut bytes);
        prop_assert_eq!(decode(&bytes), Ok(vec![before, after]));
    }
}

#[test]
fn a_list_cannot_claim_more_than_there_is() {
    let mut bytes = vec![BATCH_VERSION, kind::BEAT_ACK, 29, 0, 0, 0];
    bytes.extend_from_slice(&[0; 24]);
    bytes.push(1);
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    let why = "a list is longer than its message";
    assert_eq!(decode(&bytes), Err(Malformed::Body { kind: kind::BEAT_ACK, why }));
}

#[test]
fn another_version_is_refused() {
    assert_eq!(decode(&[2, 20, 0, 0, 0, 0]), Err(Malformed::Version(2)));
    assert_eq!(decode(&[]), Err(Malformed::Cut));
    assert_eq!(decode(&[1]), Ok(Vec::new()));
}

fn at(epoch: u64, seq: u64) -> LogPosition {
    LogPosition::new(epoch, seq)
}

fn replica(message: Message) -> LinkMessage {
    LinkMessage::Replica { partition: PartitionId(0x0102), to: Incarnation(3), message }
}

/// One message of each kind with recognisable numbers.
fn samples() -> Vec<LinkMessage> {
    let mut samples = replication_samples();
    samples.extend(copy_samples());
    samples.extend(control_samples());
    samples
}

fn replication_samples() -> Vec<LinkMessage> {
    let (epoch, sent_at, stamp) = (Epoch(4), Ticks(8), Ticks(9));
    let append = Append {
        epoch,
        prev: at(5, 6),
        entries: b"entries".to_vec(),
        commit: 7,
        sent_at,
        echo: stamp,
        leads: true,
        round: 10,
        loss_generation: 11,
        digest: Some(DigestAt { seq: 12, data: 13, sessions: Some(14) }),
    };
    let (matched, applied, round, complete) = (at(5, 6), 7, 10, true);
    let ack = Ack { epoch, matched, applied, sent_at, stamp, round, complete };
    let mismatch = Mismatch { epoch, tail: at(5, 6), commit: at(5, 7), sent_at, stamp };
    vec![
        replica(Message::Append(append)),
        replica(Message::Ack(ack)),
        replica(Message::Mismatch(mismatch)),
        replica(Message::Refused { promised: epoch }),
    ]
}

fn copy_samples() -> Vec<LinkMessage> {
    let (epoch, loss_generation, as_of) = (Epoch(4), 11, at(5, 6));
    let (runs, last) = (vec![at(5, 7)], at(5, 8));
    let offer = Offer { epoch, loss_generation, base: as_of, runs, last };
    let keys = Piece::Keys(vec![(MapId(15), b"key".to_vec())]);
    let cursor = WalkCursor { map: 18, hash: 19 };
    let records = Content::Records { records: b"records".to_vec(), next: Some(cursor) };
    let start = Content::Start { sessions: b"sessions".to_vec(), hlc: Hlc(20) };
    let chunk = |piece, content| {
        let chunk = Chunk { epoch, loss_generation, piece, as_of, content, total: (16, 17) };
        replica(Message::Chunk(Box::new(chunk)))
    };
    vec![
        replica(Message::Offer(offer)),
        replica(Message::Pull { epoch, piece: keys }),
        chunk(Piece::Records(cursor), records),
        chunk(Piece::Start, start),
        chunk(Piece::Bucket(21, cursor), Content::Buckets(vec![22])),
        replica(Message::Differs { epoch, at: as_of }),
    ]
}

fn control_samples() -> Vec<LinkMessage> {
    let (to, partition, sent_at) = (Incarnation(3), PartitionId(24), Ticks(8));
    let beat = Beat { number: 23, claims: Some(vec![(partition, Epoch(4))]), sent_at };
    let excluded = vec![partition];
    let ack = BeatAck { number: 23, has_claims: true, excluded, sent_at };
    let context = TraceContext::new([25; 16], [26; 8]).expect("numbers").with_state("a=b");
    let node = NodeId::new("n");
    let directive = Directive::HandOver { partition, primary: node.clone(), to: node };
    vec![
        LinkMessage::Beat { to, beat },
        LinkMessage::BeatAck { to, ack },
        LinkMessage::Directive(directive),
        LinkMessage::Ping,
        LinkMessage::Traced { partition, to, mark: Mark { position: at(5, 6), context } },
    ]
}

/// These bytes are sent between nodes of different builds: a change of them is a new version or a new kind.
#[test]
fn version_1_is_frozen() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: Vec<String> = samples()
        .iter()
        .map(|sample| {
            let mut bytes = Vec::new();
            encode(sample, &mut bytes);
            hex(&bytes)
        })
        .collect();
    let golden = include_str!("codec/version_1.txt");
    assert_eq!(lines, golden.lines().collect::<Vec<_>>());
    for (sample, line) in samples().into_iter().zip(golden.lines()) {
        let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("two digits");
        let mut bytes = vec![BATCH_VERSION];
        bytes.extend((0..line.len()).step_by(2).map(byte));
        assert_eq!(decode(&bytes), Ok(vec![sample]));
    }
}
