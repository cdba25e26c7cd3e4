//! Five nodes and a network that is cut between two of them, the council's leader one of the two, and three; and heals.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use isogrid_client::{Grid, Outcome};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, Setup};
use crate::load::Load;
use crate::network::{self, Network};
use crate::{ONE, from_environment, load_average, probe, say};

/// How long the network stays cut.
const CUT: Duration = Duration::from_secs(7);
/// How long it may take until the small side refuses everything.
const REFUSED_MAX: Duration = Duration::from_secs(30);
/// How many vote in the council.
const VOTERS: usize = 5;
/// How many nodes are cut off.
const SMALL: usize = 2;
/// From when on nobody on the small side may acknowledge anything: leases have ended.
const LEASES_MAX: Duration = Duration::from_secs(3);
/// How long a client of the small side waits.
const SMALL_PATIENCE: Duration = Duration::from_secs(2);

/// What became of the writes that were sent to the small side.
#[derive(Debug, Default)]
struct Refused {
    not_applied: Vec<String>,
    acknowledged: Vec<String>,
    /// Each kind of error, with how often it was given.
    errors: std::collections::BTreeMap<String, usize>,
}

/// One write to each partition through nodes of the small side only, of keys that only this round writes.
async fn write_to(endpoints: Vec<String>, partitions: u16, round: usize) -> Refused {
    let built = Grid::builder()
        .seeds(endpoints)
        .gateway(true)
        .request_timeout(SMALL_PATIENCE)
        .build()
        .await;
    let grid = built.expect("the small side answers");
    let map = grid.map::<String, u64>("refused");
    let mut puts = JoinSet::new();
    for key in probe::keys(partitions) {
        let key = format!("{{{key}}}{round}");
        let map = map.clone();
        puts.spawn(async move {
            let put = map.put(key.as_str(), &1).await.map(|_| ());
            (key, put)
        });
    }
    let mut refused = Refused::default();
    for (key, put) in puts.join_all().await {
        match put {
            Ok(()) => refused.acknowledged.push(key),
            Err(error) => {
                let kind = format!("{} {:?}", error.code(), error.outcome());
                *refused.errors.entry(kind).or_default() += 1;
                if error.outcome() == Outcome::NotApplied {
                    refused.not_applied.push(key);
                }
            }
        }
    }
    refused
}

/// Writes through the small side until for each partition somebody was told that nothing changed: of a write that is on its way
/// when its client stops waiting nobody can say so. Nothing may be acknowledged meanwhile.
async fn until_all_refused(endpoints: &[String], partitions: u16, since: Instant) -> Refused {
    let mut all = Refused::default();
    let mut told = BTreeSet::new();
    for round in 0.. {
        let refused = write_to(endpoints.to_vec(), partitions, round).await;
        say(&format!("the small side, round {round}: {:?}", refused.errors));
        told.extend(
            refused.not_applied.iter().filter_map(|key| key.split('}').next()).map(str::to_owned),
        );
        all.not_applied.extend(refused.not_applied);
        all.acknowledged.extend(refused.acknowledged);
        for (kind, times) in refused.errors {
            *all.errors.entry(kind).or_default() += times;
        }
        if told.len() == usize::from(partitions) || !all.acknowledged.is_empty() {
            return all;
        }
        assert!(since.elapsed() < REFUSED_MAX, "each is told by now: {:?}", all.errors);
    }
    unreachable!("there are rounds enough")
}

/// What the command line says that runs on a host of the small side, and reaches no other.
async fn write_by_hand(cluster: &Cluster, node: usize, key: &str) -> (bool, String) {
    let mut command = cluster.command_at(node);
    command.args(["map", "put", "refused", key, "1", "--endpoint", &cluster.endpoint(node)]);
    let ran = tokio::process::Command::from(command).output();
    let ran = tokio::time::timeout(Duration::from_secs(15), ran).await;
    let ran = ran.expect("it gives up by itself").expect("the binary runs");
    (ran.status.success(), String::from_utf8_lossy(&ran.stderr).trim().to_owned())
}

async fn split_cycle(cluster: &Cluster, network: &mut Network, grid: &Grid, load: &Load) {
    cluster.until_whole().await;
    let nodes = cluster.endpoints().len();
    // All of five vote, so whoever they are: the leader is one of them.
    let mut small = cluster.until_voters(VOTERS).await;
    small.truncate(SMALL);
    let large: Vec<usize> = (0..nodes).filter(|node| !small.contains(node)).collect();
    load.oracle.latency();
    network.cut(&small, &large);
    let since = Instant::now();
    let mut figures = probe::Figures::default();
    let worst = figures.add(probe::writable(grid, cluster.partitions(), since).await);
    tokio::time::sleep(LEASES_MAX.saturating_sub(since.elapsed())).await;
    let endpoints: Vec<String> = small.iter().map(|node| cluster.endpoint(*node)).collect();
    let (by_hand, said) = write_by_hand(cluster, small[0], "by-hand").await;
    let refused = until_all_refused(&endpoints, cluster.partitions(), since).await;
    let (p99, slowest, operations) = load.oracle.latency();
    say(&format!(
        "split {small:?} | {large:?}: writable after {worst:?}, {figures}; p99 {p99:?} slowest {slowest:?} of {operations} operations; the small side: {:?}; by hand there: {said}; load average {}",
        refused.errors,
        load_average()
    ));
    tokio::time::sleep(CUT.saturating_sub(since.elapsed())).await;
    network.heal();
    let whole = cluster.until_whole().await;
    let (p99, slowest, operations) = load.oracle.latency();
    let losses = cluster.losses().await;
    say(&format!(
        "healed: whole {whole:?} later; p99 {p99:?} slowest {slowest:?} of {operations} operations; {losses} declared losses; load average {}",
        load_average()
    ));
    assert_eq!(losses, 0, "three copies: one was always on the large side");
    assert_eq!(figures.failed(), 0, "every partition became writable");
    let most = Duration::from_millis(from_environment("ISOGRID_TEST_WRITABLE_MS", 5_000).into());
    assert!(worst <= most, "both of the small side are declared down at once: {figures}");
    assert!(refused.acknowledged.is_empty(), "acknowledged by few: {:?}", refused.acknowledged);
    let is_clear = |kind: &&String| kind.contains("NotApplied");
    let clear: Vec<_> = refused.errors.keys().filter(is_clear).collect();
    // A write that never got through to a node in its time is as clear.
    let is_known = |kind: &&String| kind.contains("IG-0220") || kind.contains("IG-0401");
    assert!(clear.iter().all(is_known) && !clear.is_empty(), "{:?}", refused.errors);
    assert!(!by_hand && said.contains("IG-0220"), "it says that it is cut off: {said}");
    let map = grid.map::<String, u64>("refused");
    for key in refused.not_applied {
        let found = map.get(key.as_str()).await.expect("the cluster is whole");
        assert_eq!(found, None, "{key} was said not to be applied");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_cluster_goes_on_with_its_larger_side_and_heals() {
    let _one = ONE.lock().await;
    let own = "split::a_split_cluster_goes_on_with_its_larger_side_and_heals";
    if !tokio::task::block_in_place(|| network::enter(own)) {
        return;
    }
    let nodes = from_environment("ISOGRID_TEST_SPLIT_NODES", 5) as usize;
    let mut network = Network::new(nodes);
    // Two of three copies can be on the small side, never all.
    let setup = Setup { nodes, backups: SMALL as u8, ..Setup::default() };
    let cluster = Cluster::start_at(setup, network.hosts()).await;
    let grid = cluster.grid().await;
    probe::writable(&grid, cluster.partitions(), Instant::now()).await;
    // The map is there before the network is cut.
    grid.map::<String, u64>("refused").put("first", &1).await.map(|_| ()).expect("all is well");
    let load = Load::start(&grid);
    load.under_way().await;
    split_cycle(&cluster, &mut network, &grid, &load).await;
    let outcomes = load.judge(&grid).await;
    assert!(outcomes.unique > 0 && outcomes.increments > 0);
    assert_eq!(outcomes.failed, 0, "the client rode it out: {:#?}", outcomes.failures);
}
