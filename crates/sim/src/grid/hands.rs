//! [`Hands`]: the effects of a replica's steps, collected until the node acts on them.

use isogrid_core::{Entry, Replica, Reply};
use isogrid_replica::{Effects, Message, Notice, Proposal, Receipt, Response, Ticket};

use super::packet::Answered;

/// A write that was acknowledged: for the invariants, not for the client.
pub(crate) type Acknowledged = Receipt;

/// Effects, collected.
#[derive(Default)]
pub(crate) struct Hands {
    pub(crate) answers: Vec<(Ticket, Answered, Option<Acknowledged>)>,
    pub(crate) deferred: Vec<Ticket>,
    pub(crate) resumed: bool,
    pub(crate) messages: Vec<(Replica, Message)>,
    pub(crate) proposals: Vec<Proposal>,
    pub(crate) notices: Vec<Notice>,
}

impl Effects for Hands {
    fn respond(&mut self, ticket: Ticket, response: Response<'_>) {
        let (answered, receipt) = match response {
            Response::Refused(refusal) => (Answered::Refused(refusal), None),
            Response::Read { reply, newest } => {
                (answered(&reply, newest.map_or(0, |version| version.0), None), None)
            }
            Response::Written { reply, receipt } => {
                (answered(&reply, receipt.position.seq, Some(&receipt)), Some(receipt))
            }
        };
        self.answers.push((ticket, answered, receipt));
    }

    fn defer(&mut self, ticket: Ticket) {
        self.deferred.push(ticket);
    }

    fn resume(&mut self) {
        self.resumed = true;
    }

    fn send(&mut self, to: &Replica, message: Message) {
        self.messages.push((to.clone(), message));
    }

    fn propose(&mut self, proposal: Proposal) {
        self.proposals.push(proposal);
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

/// A reply as the client sees it.
fn answered(reply: &Reply<'_>, newest: u64, receipt: Option<&Receipt>) -> Answered {
    let seen = |version: u64, value: Option<&[u8]>| Answered::Seen {
        version,
        value: value.map(<[u8]>::to_vec),
        position: receipt.map(|receipt| receipt.position),
    };
    let of = |entry: &Entry<'_>| (entry.version.0, entry.value.to_vec());
    match reply {
        // A write that found nothing has a version all the same, and so has the read of a removed record.
        Reply::Missing => {
            let position = receipt.map(|receipt| receipt.position);
            Answered::Missing { version: position.map_or(0, |_| newest), position }
        }
        Reply::Found(entry) => seen(entry.version.0, Some(entry.value)),
        Reply::Written { .. } | Reply::Deleted { .. } => seen(newest, None),
        Reply::Integer { value, .. } => Answered::Number { version: newest, value: *value },
        Reply::Conflict { current } => Answered::Conflict(current.as_ref().map(of)),
        Reply::Failed(_) => Answered::Failed,
        _ => Answered::Failed,
    }
}
