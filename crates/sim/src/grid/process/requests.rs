//! Requests of clients on their way to a replica.

use isogrid_core::{Condition, Expiry, NumberFormat, Op, PartitionId};
use isogrid_replica::{Event, Now, Request, Ticket};
use isogrid_store::hash_key;

use super::{InFlight, Process, Wishes};
use crate::grid::packet::{Ask, What};
use crate::network::NodeIndex;

impl Process {
    /// A client's request.
    pub(crate) fn ask(
        &mut self,
        client: NodeIndex,
        ask: Ask,
        now: Now,
        wishes: &mut Wishes,
    ) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.kept_alive.insert(ask.session);
        self.in_flight.insert(ticket, InFlight { client, ask: ask.clone() });
        self.present(ticket, ask.partition, &ask, now, wishes);
        ticket
    }

    pub(super) fn present(
        &mut self,
        ticket: Ticket,
        partition: PartitionId,
        ask: &Ask,
        now: Now,
        wishes: &mut Wishes,
    ) {
        let Some((key, op)) = op_of(&ask.what) else { return };
        let hash = hash_key(self.settings.hash_seed, key);
        let mut request = Request::new(ticket, ask.map, hash, op);
        request.tag = ask.tag;
        request.deadline = Some(ask.deadline);
        if let What::Get(_, mode, at_least) = &ask.what {
            request.mode = *mode;
            request.at_least = *at_least;
        }
        self.step(partition, Event::Request(request), now, wishes);
        self.step(partition, Event::Flush, now, wishes);
    }
}

/// The operation of a request, and its key.
fn op_of(what: &What) -> Option<(&[u8], Op<'_>)> {
    Some(match what {
        What::Get(key, ..) => (key, Op::Get { key }),
        What::Put(key, value, ttl) => {
            let expiry = ttl.map_or(Expiry::Never, Expiry::AfterMs);
            let condition = Condition::Always;
            (key, Op::Put { key, value, condition, expiry, return_old: false })
        }
        What::Delete(key) => (key, Op::delete(key)),
        What::Increment(key) => {
            let (format, expiry) = (NumberFormat::Text, Expiry::Keep);
            (key, Op::Increment { key, delta: 1, format, expiry })
        }
        What::CompareAndSet(key, expected, value) => {
            let expected = expected.as_deref();
            (key, Op::CompareAndSet { key, expected, value, expiry: Expiry::Never })
        }
        What::Rename(from, to, if_absent) => (from, Op::Rename { from, to, if_absent: *if_absent }),
        What::Open => return None,
    })
}
