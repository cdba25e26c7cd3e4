//! Gossip that was forged: noise, another secret, what was recorded and is played again, and damaged copies of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use crate::cluster::{Cluster, Setup};
use crate::load::Load;
use crate::middleman::Middleman;
use crate::{ONE, from_environment, load_average, probe, say, topology};

/// How long each kind of forgery goes on.
const ATTACK: Duration = Duration::from_millis(1_500);
/// How long what it did may take to show.
const AFTER: Duration = Duration::from_millis(700);
/// How many datagrams each node gets at once, each other millisecond.
const BURST: usize = 2;
const BREATH: Duration = Duration::from_millis(2);
/// How much of the nodes' talk is recorded.
const RECORDED: usize = 30;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap_or(0) % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// The versions of datagrams that there are: plain and sealed.
const VERSIONS: [u8; 2] = [1, 2];

/// A kind of forgery.
#[derive(Clone, Copy, Debug)]
enum Forgery {
    /// Bytes without a meaning; half of them begin as real datagrams do.
    Noise,
    /// Real datagrams with one to eight bits flipped, or cut short.
    Damaged,
    /// Real datagrams as they were.
    Replayed,
}

impl Forgery {
    fn datagram(self, dice: &mut Dice, record: &[Vec<u8>]) -> Vec<u8> {
        let mut datagram = record[dice.below(record.len())].clone();
        match self {
            Forgery::Noise => {
                // A real head is a byte of version and, without a key, eight for the cluster's name.
                let head = [0, 1, 9][dice.below(3)].min(datagram.len());
                let length = dice.below(1_400);
                datagram.truncate(head);
                datagram.extend(dice.bytes(length));
                // Of bytes at random one in 256 is a version that there is.
                let claims_version = dice.below(4) == 0;
                if let Some(version) = datagram.first_mut().filter(|_| claims_version) {
                    *version = VERSIONS[dice.below(VERSIONS.len())];
                }
            }
            Forgery::Damaged if dice.below(8) == 0 => {
                let length = dice.below(datagram.len());
                datagram.truncate(length);
            }
            Forgery::Damaged => {
                for _ in 0..=dice.below(8) {
                    let (byte, bit) = (dice.below(datagram.len()), dice.below(8));
                    datagram[byte] ^= 1 << bit;
                }
            }
            Forgery::Replayed => {}
        }
        datagram
    }
}

/// Sends forgeries to all nodes for a while; tells how many.
async fn attack(
    targets: Vec<SocketAddr>,
    record: Arc<Vec<Vec<u8>>>,
    forgery: Forgery,
    lasting: Duration,
) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let mut dice = Dice(0x5eed_0000_0000_0001 ^ targets[0].port() as u64);
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < lasting {
        for target in &targets {
            for _ in 0..BURST {
                let datagram = forgery.datagram(&mut dice, &record);
                // A full buffer loses some, and a node that is down refuses: both are fine.
                sent += usize::from(socket.send_to(&datagram, target).await.is_ok());
            }
        }
        tokio::time::sleep(BREATH).await;
    }
    sent
}

/// What forgeries must not change: version and losses, members, and what each leads, backs up and learns.
type Picture = ([u64; 2], BTreeMap<String, (String, u64)>, BTreeMap<String, [u32; 3]>);

async fn picture(cluster: &Cluster) -> Picture {
    let told = topology::ask(&cluster.endpoint(0), 2).await.expect("the first node answers");
    ([told.version, told.losses], told.members, told.roles)
}

fn targets(cluster: &Cluster) -> Vec<SocketAddr> {
    (0..3).map(|node| cluster.gossip(node)).collect()
}

/// Lets forgeries loose on a cluster that has nothing else to do than its load; nothing may change.
async fn unshaken(cluster: &Cluster, record: &Arc<Vec<Vec<u8>>>, forgery: Forgery) {
    let before = picture(cluster).await;
    let sent = attack(targets(cluster), Arc::clone(record), forgery, ATTACK).await;
    tokio::time::sleep(AFTER).await;
    say(&format!("{forgery:?}: {sent} datagrams; load average {}", load_average()));
    assert!(sent > 300, "only {sent} were sent");
    assert_eq!(picture(cluster).await, before, "{forgery:?} changed something");
}

/// A node that knows another secret calls; nobody hears it.
async fn stranger(cluster: &mut Cluster) {
    let before = picture(cluster).await;
    cluster.set_secret(3, "another secret of the same length");
    cluster.run(3);
    tokio::time::sleep(ATTACK + AFTER).await;
    assert_eq!(picture(cluster).await, before, "a node with another secret changed something");
    cluster.kill(3);
    let from = cluster.gossip(3).to_string();
    let reason = "sealed with another key, or forged";
    for node in 0..3 {
        let log = plain(&cluster.log(node));
        let warned = log.lines().any(|line| line.contains(reason) && line.contains(&from));
        assert!(warned, "node {node} warned of nothing from {from}");
    }
}

/// A log without colours.
fn plain(log: &str) -> String {
    let mut parts = log.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, text)| text));
    }
    plain
}

/// A node is killed while somebody plays what it once said: its death is noticed all the same.
async fn a_death_is_noticed(cluster: &mut Cluster, record: &Arc<Vec<Vec<u8>>>) {
    let grid = cluster.grid().await;
    let playing =
        attack(targets(cluster), Arc::clone(record), Forgery::Replayed, Duration::from_secs(4));
    let playing = tokio::spawn(playing);
    cluster.kill(2);
    let since = Instant::now();
    let mut figures = probe::Figures::default();
    let worst = figures.add(probe::writable(&grid, cluster.partitions(), since).await);
    cluster.run(2);
    let sent = playing.await.expect("it does not panic");
    let whole = cluster.until_whole().await;
    say(&format!(
        "killed under {sent} replayed datagrams: writable after {worst:?}, whole {whole:?} later"
    ));
    assert_eq!(figures.failed(), 0, "every partition became writable");
    let bound = Duration::from_millis(from_environment("ISOGRID_TEST_WRITABLE_MS", 5_000).into());
    assert!(worst <= bound, "{figures}");
}

async fn listening_cluster(setup: Setup) -> (Cluster, Arc<Vec<Vec<u8>>>, Middleman) {
    let mut middleman = Middleman::new().await;
    let cluster = Cluster::start(Setup { seed: Some(middleman.address()), ..setup }).await;
    let record = middleman.listen(&targets(&cluster), RECORDED, Duration::from_secs(6)).await;
    let sizes: Vec<usize> = record.iter().map(Vec::len).collect();
    say(&format!("recorded {} datagrams: {sizes:?}", record.len()));
    assert!(record.len() >= RECORDED / 2, "the nodes call their seeds");
    (cluster, Arc::new(record), middleman)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_gossip_changes_nothing() {
    let _one = ONE.lock().await;
    let secret = Some("a secret of sixteen bytes or more");
    let setup = Setup { spare: 1, secret, ..Setup::default() };
    let (mut cluster, record, _middleman) = listening_cluster(setup).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    stranger(&mut cluster).await;
    for forgery in [Forgery::Noise, Forgery::Damaged, Forgery::Replayed] {
        unshaken(&cluster, &record, forgery).await;
    }
    a_death_is_noticed(&mut cluster, &record).await;
    // Now all that was recorded of it was said by a life that is over.
    unshaken(&cluster, &record, Forgery::Replayed).await;
    let log = plain(&cluster.log(0));
    for reason in ["of an unknown version", "plain, and this node has a key"] {
        assert!(log.contains(reason), "nothing was refused as {reason}");
    }
    let outcomes = load.judge(&grid).await;
    assert_eq!(outcomes.failed, 0, "{:#?}", outcomes.failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_gossip_without_a_key_kills_nothing() {
    let _one = ONE.lock().await;
    let (cluster, record, _middleman) = listening_cluster(Setup::default()).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    let load = Load::start(&grid);
    unshaken(&cluster, &record, Forgery::Noise).await;
    unshaken(&cluster, &record, Forgery::Replayed).await;
    // Whoever has no key believes what it can read; it may say strange things, and nothing is decided by it alone.
    let (before, members, _) = picture(&cluster).await;
    let sent = attack(targets(&cluster), Arc::clone(&record), Forgery::Damaged, ATTACK).await;
    let whole = cluster.until_whole().await;
    let (after, members_after, _) = picture(&cluster).await;
    let restarts = (0..3).map(|node| cluster.log(node).matches("gossip died").count());
    say(&format!(
        "Damaged: {sent} datagrams; whole {whole:?} later, table {before:?} then {after:?}; gossip died {} times",
        restarts.sum::<usize>()
    ));
    assert_eq!(members_after, members, "the same members, in the same lives");
    let outcomes = load.judge(&grid).await;
    assert_eq!(outcomes.failed, 0, "{:#?}", outcomes.failures);
}
