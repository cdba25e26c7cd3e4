//! A cluster of real processes on loopback: started, killed, paused, stopped and started again by name.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use isogrid_client::Grid;

use crate::ports::Held;
use crate::setup::PATIENCE;
pub(crate) use crate::setup::{Host, Setup};
use crate::topology::{self, Topology};

/// How long it may take until the council has the voters that it should have.
const VOTERS_MAX: Duration = Duration::from_secs(20);
/// How long a cluster may take to form, or to be whole again.
const WHOLE_MAX: Duration = Duration::from_secs(150);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long it must stay so: longer than a backup may lag before it is removed.
const STEADY: Duration = Duration::from_millis(1_500);

/// One node: its addresses stay, its processes come and go.
struct Member {
    name: String,
    grpc: String,
    gossip: String,
    http: String,
    /// What its process is started by, such as `nsenter` and its arguments; nothing for directly.
    started_by: Vec<String>,
    /// Where its data are, if they are on disk and not beside its log.
    data_dir: Option<PathBuf>,
    /// The secret of its gossip.
    secret: Option<&'static str>,
    process: Option<Child>,
    /// How often it was started: each life has a log of its own.
    lives: u32,
    /// When it was started last, in milliseconds of the wall clock: its incarnation is not smaller.
    started: u64,
}

/// A cluster; all its processes end with it, also when a test panics.
pub(crate) struct Cluster {
    setup: Setup,
    folder: PathBuf,
    members: Vec<Member>,
}

impl Member {
    /// The program, where this member runs, without what the environment says about clusters.
    fn command(&self) -> Command {
        let mut command = match self.started_by.split_first() {
            None => Command::new(binary()),
            Some((starter, its)) => {
                let mut command = Command::new(starter);
                command.args(its).arg(binary());
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ISOGRID") {
                command.env_remove(name);
            }
        }
        command
    }
}

impl Cluster {
    /// Starts the nodes on loopback and waits until they are whole.
    pub(crate) async fn start(setup: Setup) -> Cluster {
        let hosts = Cluster::hosts(setup.nodes + setup.spare);
        Cluster::start_at(setup, hosts).await
    }

    /// Places on loopback.
    pub(crate) fn hosts(count: usize) -> Vec<Host> {
        // All are held until all are chosen.
        let ports: Vec<[Held; 3]> =
            (0..count).map(|_| std::array::from_fn(|_| Held::next())).collect();
        let hosts = ports.iter().map(|[grpc, http, gossip]| Host {
            grpc: grpc.address().to_string(),
            http: http.address().to_string(),
            gossip: gossip.address().to_string(),
            started_by: Vec::new(),
            data_dir: None,
        });
        hosts.collect()
    }

    /// Starts the nodes where they are told to and waits until they are whole.
    pub(crate) async fn start_at(setup: Setup, hosts: Vec<Host>) -> Cluster {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let members = hosts.into_iter().enumerate().map(|(node, host)| Member {
            name: format!("n{node}"),
            grpc: host.grpc,
            http: host.http,
            gossip: host.gossip,
            started_by: host.started_by,
            data_dir: host.data_dir,
            secret: setup.secret,
            process: None,
            lives: 0,
            started: 0,
        });
        let mut cluster = Cluster { setup, folder, members: members.collect() };
        for node in 0..setup.nodes {
            cluster.run(node);
        }
        cluster.until_whole().await;
        cluster
    }

    /// Starts a node that is not running.
    pub(crate) fn run(&mut self, node: usize) {
        let seeds = self.members[..self.setup.nodes].iter().map(|m| m.gossip.clone());
        let seeds: Vec<String> = seeds.chain(self.setup.seed.map(|s| s.to_string())).collect();
        let seeds = seeds.join(",");
        let setup = self.setup;
        let folder = self.folder.clone();
        let member = &mut self.members[node];
        assert!(member.process.is_none(), "{} is running", member.name);
        member.lives += 1;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        member.started = since_1970.expect("after 1970").as_millis() as u64;
        let log = folder.join(format!("{}-{}.log", member.name, member.lives));
        let log = File::create(log).expect("a log");
        let level = std::env::var("ISOGRID_TEST_LOG");
        let mut command = member.command();
        if let Some(secret) = member.secret {
            let file = folder.join(format!("{}.key", member.name));
            std::fs::write(&file, secret).expect("a key file");
            command.env("ISOGRID__CLUSTER__KEY_FILE", &file);
        }
        if setup.on_disk {
            let beside = || folder.join(&member.name);
            let data = member.data_dir.clone().unwrap_or_else(beside);
            command.env("ISOGRID__NODE__DATA_DIR", data);
        }
        command
            .args(["start", "--stop-with-stdin", "--name", &member.name])
            .args(["--grpc-addr", &member.grpc, "--gossip-addr", &member.gossip])
            .args(["--http-addr", &member.http])
            .env("ISOGRID__CLUSTER__SEEDS", seeds)
            .env("ISOGRID__CLUSTER__EXPECT", setup.nodes.to_string())
            .env("ISOGRID__CLUSTER__BACKUPS", setup.backups.to_string())
            .env("ISOGRID__NODE__PARTITIONS", setup.partitions.to_string())
            .env("ISOGRID__NODE__CORES", "1")
            .env("ISOGRID__CLUSTER__FLAPPING_WAIT_MAX_MS", "1000")
            .env("ISOGRID__LOG__LEVEL", level.as_deref().unwrap_or("info,openraft=error"));
        let errors = log.try_clone().expect("a log");
        let child = command.stdin(Stdio::piped()).stdout(log).stderr(errors).spawn();
        member.process = Some(child.expect("the binary runs"));
    }

    /// Ends a node's process at once.
    pub(crate) fn kill(&mut self, node: usize) {
        let mut process = self.members[node].process.take().expect("it is running");
        process.kill().expect("it is our child");
        process.wait().expect("it is our child");
    }

    /// Pauses a node's process.
    pub(crate) fn pause(&self, node: usize) {
        self.signal(node, signal_name::STOP);
    }

    /// Lets a paused one go on.
    pub(crate) fn resume(&self, node: usize) {
        self.signal(node, signal_name::CONT);
    }

    /// Stops a node politely; tells how long it took.
    pub(crate) async fn stop(&mut self, node: usize) -> Duration {
        let begun = Instant::now();
        self.signal(node, signal_name::TERM);
        let mut process = self.members[node].process.take().expect("it is running");
        loop {
            if let Some(status) = process.try_wait().expect("it is our child") {
                assert!(status.success(), "{} ended with {status}", self.members[node].name);
                return begun.elapsed();
            }
            if begun.elapsed() > WHOLE_MAX {
                let _ = process.kill();
                let _ = process.wait();
                panic!("{} does not stop", self.members[node].name);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Empties a node, stops it and lets the cluster forget it.
    pub(crate) async fn leave(&mut self, name: &str) {
        let node = self.index(name).expect("a node");
        self.order(&["leave", name, "--yes", "--wait", "--timeout", "60s"]).await;
        self.stop(node).await;
    }

    /// Takes from a node what it leads.
    pub(crate) async fn drain(&self, name: &str) {
        self.order(&["drain", name, "--yes", "--wait", "--timeout", "60s"]).await;
    }

    /// Tells the cluster something, by the command line.
    async fn order(&self, order: &[&str]) {
        let mut command = tokio::process::Command::new(binary());
        command.arg("cluster").args(order).args(["--endpoint", &self.endpoint(0)]);
        let ran = command.output().await.expect("the binary runs");
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{order:?}: {said}");
    }

    fn signal(&self, node: usize, name: &str) {
        let process = self.members[node].process.as_ref().expect("it is running");
        let sent = Command::new("kill").args([name, &process.id().to_string()]).status();
        assert!(sent.expect("there is a kill").success(), "kill {name}");
    }

    /// Gives a node that is not running another secret.
    pub(crate) fn set_secret(&mut self, node: usize, secret: &'static str) {
        self.members[node].secret = Some(secret);
    }

    /// What a node's present life, or its last one, has logged.
    pub(crate) fn log(&self, node: usize) -> String {
        let member = &self.members[node];
        let log = self.folder.join(format!("{}-{}.log", member.name, member.lives));
        std::fs::read_to_string(log).expect("a log")
    }

    /// The program as it runs beside a node, to be given a command.
    pub(crate) fn command_at(&self, node: usize) -> Command {
        self.members[node].command()
    }

    pub(crate) fn gossip(&self, node: usize) -> SocketAddr {
        self.members[node].gossip.parse().expect("it was an address")
    }

    pub(crate) fn name(&self, node: usize) -> &str {
        &self.members[node].name
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name == name)
    }

    pub(crate) fn endpoint(&self, node: usize) -> String {
        self.members[node].grpc.clone()
    }

    /// Where clients find the cluster.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let running = self.members.iter().filter(|member| member.process.is_some());
        running.map(|member| member.grpc.clone()).collect()
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.setup.partitions
    }

    /// A client of the running nodes.
    pub(crate) async fn grid(&self) -> Grid {
        let begun = Instant::now();
        loop {
            let built = Grid::builder()
                .seeds(self.endpoints())
                .client_name("reliability")
                .request_timeout(PATIENCE)
                .build();
            match built.await {
                Ok(grid) => return grid,
                Err(error) => assert!(begun.elapsed() < WHOLE_MAX, "no client: {error:?}"),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What the running nodes say: the newest.
    pub(crate) async fn topology(&self) -> Option<Topology> {
        let copies = usize::from(self.setup.backups + 1).min(self.endpoints().len());
        let mut newest: Option<Topology> = None;
        for endpoint in self.endpoints() {
            let told = topology::ask(&endpoint, copies).await;
            if let Some(told) = told
                && newest.as_ref().is_none_or(|newest| newest.version < told.version)
            {
                newest = Some(told);
            }
        }
        newest
    }

    /// The node that leads the council.
    pub(crate) async fn council_leader(&self) -> Option<usize> {
        Some(self.council().await?.0)
    }

    /// The node that leads the council, and all that vote in it.
    pub(crate) async fn council(&self) -> Option<(usize, Vec<usize>)> {
        let grid = self.grid().await;
        let status = tokio::time::timeout(Duration::from_secs(2), grid.status()).await;
        let _ = grid.close().await;
        let council = status.ok()?.ok()?.council;
        let voters = council.voters.iter().filter_map(|voter| self.index(voter)).collect();
        Some((self.index(&council.leader)?, voters))
    }

    /// Waits until so many vote in the council, all of them nodes that run; tells which, the leader first.
    pub(crate) async fn until_voters(&self, wanted: usize) -> Vec<usize> {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < VOTERS_MAX {
            let council = self.council().await;
            if let Some((leader, voters)) = &council {
                let runs = |node: &usize| self.members[*node].process.is_some();
                if voters.len() == wanted && voters.iter().all(runs) {
                    let others = voters.iter().copied().filter(|node| node != leader);
                    return std::iter::once(*leader).chain(others).collect();
                }
            }
            last = council;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("{wanted} nodes should vote by now: {last:?}, logs in {}", self.folder.display());
    }

    /// How often the cluster has declared that it may have lost something.
    pub(crate) async fn losses(&self) -> u64 {
        self.topology().await.map_or(0, |topology| topology.losses)
    }

    /// The running nodes, and the least incarnation that each has now.
    fn running(&self) -> BTreeMap<String, u64> {
        let running = self.members.iter().filter(|member| member.process.is_some());
        running.map(|member| (member.name.clone(), member.started)).collect()
    }

    /// Waits until every running node is a member and every partition has all its copies; tells how long it took.
    pub(crate) async fn until_whole(&self) -> Duration {
        self.until("whole", Topology::is_whole).await
    }

    /// Waits until the topology is as wanted.
    pub(crate) async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&Topology, &BTreeMap<String, u64>) -> bool,
    ) -> Duration {
        let begun = Instant::now();
        let running = self.running();
        let mut last = None;
        let mut since = None;
        while begun.elapsed() < WHOLE_MAX {
            if let Some(topology) = self.topology().await {
                if !is_so(&topology, &running) {
                    since = None;
                } else if since.get_or_insert_with(Instant::now).elapsed() >= STEADY {
                    return begun.elapsed() - STEADY;
                }
                last = Some(topology);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("not {what} in time, logs in {}: {last:?}", self.folder.display());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(mut process) = member.process.take() {
                // It may have ended already; a paused one ends too.
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        if std::thread::panicking() || std::env::var_os("ISOGRID_TEST_KEEP").is_some() {
            crate::say(&format!("logs in {}", self.folder.display()));
        } else {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The program: the one that was built beside this test, unless another is named.
fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("ISOGRID_TEST_BINARY") {
        return named.into();
    }
    let own = std::env::current_exe().expect("a test is a program");
    let built = own.ancestors().nth(2).expect("target/PROFILE/deps/TEST").join("isogrid");
    assert!(built.exists(), "{} is missing: cargo build -p isogrid", built.display());
    built
}

/// The names that `kill` takes.
mod signal_name {
    pub(super) const STOP: &str = "-STOP";
    pub(super) const CONT: &str = "-CONT";
    pub(super) const TERM: &str = "-TERM";
}
