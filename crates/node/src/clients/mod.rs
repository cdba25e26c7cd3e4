//! Who is connected to this node, through which door, and what it does: the list of clients. A connection counts for itself, in a
//! piece of memory of its own; the list is looked at when a connection opens and when somebody asks.
//!
//! | module | what it holds |
//! |---|---|
//! | `did` | [`Did`]: the names of what clients do |
//! | `metered` | [`Metered`]: a socket that counts its bytes |
//! | `report` | a client as it is told, and the question to other nodes |

mod did;
mod metered;
mod report;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use futures::task::AtomicWaker;
use isogrid_core::Timestamp;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) use did::Did;
pub(crate) use metered::Metered;
pub(crate) use report::ClientReport;

use crate::clock;

/// The longest name that is kept of what a client says of itself.
const NAME_CHARS_MAX: usize = 128;

/// How many entries the list has before it is looked through for the first time.
const LIST_LEN_MIN: usize = 64;

/// Through which door a client came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Sessions, calls and links of other nodes.
    Grpc,
    /// HTTP: requests and streams.
    Http,
    /// PostgreSQL's protocol.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "that door is SQL's"))]
    Postgres,
}

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    /// What its user calls it.
    pub(crate) name: String,
    pub(crate) library: String,
    pub(crate) version: String,
}

impl Who {
    /// Of a library that tells `name/version`, and whatever behind it.
    pub(crate) fn of_library(name: &str, library: &str) -> Who {
        let first = library.split_whitespace().next().unwrap_or_default();
        let (library, version) = first.split_once('/').unwrap_or((first, ""));
        let short = |text: &str| text.chars().take(NAME_CHARS_MAX).collect();
        Who { name: short(name), library: short(library), version: short(version) }
    }
}

/// Operations of a client that wait for their answers.
pub(crate) trait InFlight: Send + Sync {
    /// How many there are.
    fn waiting(&self) -> i64;
}

/// A connection, as the list of clients knows it.
pub(crate) struct Client {
    number: u64,
    pub(crate) door: Door,
    /// Where its other end is.
    pub(crate) address: SocketAddr,
    opened_at: Timestamp,
    who: Mutex<Who>,
    /// Whether it has said who it is: asked for each call, which must not take the lock.
    is_known: AtomicBool,
    is_node: AtomicBool,
    counts: Counts,
    /// What else has operations waiting: its sessions. Looked at when somebody asks.
    sessions: Mutex<Vec<Weak<dyn InFlight>>>,
    /// Whether somebody has ended it from outside: asked at every read and write.
    ended: AtomicBool,
    /// Wakes what reads from its socket.
    waker: AtomicWaker,
    /// Wakes whatever else is done for it.
    ending: CancellationToken,
}

/// What a connection counts. No other connection writes to the same piece of memory.
#[repr(align(128))]
#[derive(Default)]
struct Counts {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// When it last asked for something.
    active_at_ms: AtomicU64,
    calls: AtomicI64,
    did: AtomicU8,
}

impl Client {
    /// It asks for something now.
    pub(crate) fn does(&self, did: Did) {
        self.did(did);
        self.is_active(clock::now());
    }

    /// What it asked for last.
    #[inline]
    pub(crate) fn did(&self, did: Did) {
        self.counts.did.store(did as u8, Ordering::Relaxed);
    }

    /// When it last asked for something.
    #[inline]
    pub(crate) fn is_active(&self, now: Timestamp) {
        self.counts.active_at_ms.store(now.0, Ordering::Relaxed);
    }

    /// A call begins; it ends when what is returned is dropped.
    pub(crate) fn begins(self: &Arc<Self>, did: Did) -> Call {
        self.does(did);
        self.counts.calls.fetch_add(1, Ordering::Relaxed);
        Call(Arc::clone(self))
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.counts.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.counts.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// It says who it is.
    pub(crate) fn introduces(&self, who: Who) {
        *self.who.lock() = who;
        self.is_known.store(true, Ordering::Release);
    }

    /// The same, unless it has said more before.
    pub(crate) fn introduces_once(&self, who: impl FnOnce() -> Option<Who>) {
        if !self.is_known.load(Ordering::Acquire)
            && let Some(who) = who()
        {
            self.introduces(who);
        }
    }

    /// Its user calls it so.
    pub(crate) fn is_called(&self, name: &str) {
        self.who.lock().name = name.chars().take(NAME_CHARS_MAX).collect();
    }

    /// Another node is at the other end.
    pub(crate) fn is_another_node(&self, name: &str) {
        if !self.is_node.swap(true, Ordering::Relaxed) {
            self.introduces(Who { name: name.to_owned(), ..Who::of_library("", "isogrid-node") });
        }
    }

    /// A session begins, whose operations count as this client's while it lives.
    pub(crate) fn add_session(&self, session: Weak<dyn InFlight>) {
        let mut sessions = self.sessions.lock();
        sessions.retain(|session| session.strong_count() > 0);
        sessions.push(session);
    }

    /// Ends the connection from outside.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.waker.wake();
        self.ending.cancel();
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// This reads from its socket, and is to be woken when somebody ends it.
    #[inline]
    pub(crate) fn reads(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Until somebody ends it from outside.
    pub(crate) async fn until_ended(&self) {
        self.ending.cancelled().await;
    }

    fn in_flight(&self) -> u64 {
        let sessions = self.sessions.lock();
        let waiting = sessions.iter().filter_map(Weak::upgrade).map(|session| session.waiting());
        let calls = self.counts.calls.load(Ordering::Relaxed);
        u64::try_from(waiting.sum::<i64>() + calls).unwrap_or(0)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (number, address) = (self.number, self.address);
        f.debug_struct("Client").field("number", &number).field("address", &address).finish()
    }
}

/// A call under way.
pub(crate) struct Call(Arc<Client>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.counts.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All connections of this node.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    opened: u64,
    /// In the order in which they came. Those that have gone are left out now and then.
    clients: Vec<Weak<Client>>,
    /// How long the list may be before it is looked through.
    len_max: usize,
}

impl Clients {
    /// A connection comes. It is in the list as long as it lives.
    pub(crate) fn open(&self, door: Door, address: SocketAddr) -> Arc<Client> {
        let mut list = self.list.lock();
        list.opened += 1;
        let now = clock::now();
        let client = Arc::new(Client {
            number: list.opened,
            door,
            address,
            opened_at: now,
            who: Mutex::default(),
            is_known: AtomicBool::new(false),
            is_node: AtomicBool::new(false),
            counts: Counts { active_at_ms: AtomicU64::new(now.0), ..Counts::default() },
            sessions: Mutex::default(),
            ended: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            ending: CancellationToken::new(),
        });
        if list.clients.len() >= list.len_max {
            list.clients.retain(|client| client.strong_count() > 0);
            list.len_max = LIST_LEN_MIN.max(2 * list.clients.len());
        }
        list.clients.push(Arc::downgrade(&client));
        client
    }

    /// Those that are connected, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        self.list.lock().clients.iter().filter_map(Weak::upgrade).collect()
    }

    /// Ends a connection. Says whether it was there.
    pub(crate) fn end(&self, number: u64) -> bool {
        let client = self.all().into_iter().find(|client| client.number == number);
        client.inspect(|client| client.end()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 1))
    }

    #[test]
    fn the_list_has_who_is_connected_and_forgets_who_has_gone() {
        let clients = Clients::default();
        let kept = clients.open(Door::Http, address());
        for _ in 0..10 * LIST_LEN_MIN {
            drop(clients.open(Door::Grpc, address()));
        }
        assert_eq!(clients.all().len(), 1);
        assert!(clients.list.lock().clients.len() <= 2 * LIST_LEN_MIN);
        assert!(!clients.end(2), "it has gone");
        assert!(clients.end(kept.number) && kept.has_ended());
    }

    #[test]
    fn operations_in_flight_are_those_of_calls_and_sessions() {
        struct Three;
        impl InFlight for Three {
            fn waiting(&self) -> i64 {
                3
            }
        }
        let client = Clients::default().open(Door::Grpc, address());
        let session: Arc<dyn InFlight> = Arc::new(Three);
        client.add_session(Arc::downgrade(&session));
        let call = client.begins(Did::Get);
        assert_eq!(client.in_flight(), 4);
        drop((call, session));
        assert_eq!(client.in_flight(), 0);
    }

    #[test]
    fn who_says_more_is_believed() {
        let client = Clients::default().open(Door::Grpc, address());
        client.introduces_once(|| Some(Who::of_library("", "grpc-python/1.60 grpc-c/38")));
        assert_eq!(*client.who.lock(), Who::of_library("", "grpc-python/1.60"));
        client.introduces(Who::of_library("billing", "isogrid-client/0.1.0"));
        client.introduces_once(|| Some(Who::of_library("", "tonic/0.14")));
        let who = client.who.lock().clone();
        assert_eq!((who.name.as_str(), who.version.as_str()), ("billing", "0.1.0"));
    }
}
