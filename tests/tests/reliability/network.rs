//! A network that can be cut: each node in a network namespace of its own, the test's namespace the router between them.
//!
//! The test runs itself again in a namespace of its own, so nothing of the machine's network is touched, everything is gone
//! with the last process, and no root is needed where users may make namespaces.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::Host;

/// Set in the process that runs inside.
const INSIDE: &str = "ISOGRID_TEST_INSIDE";
/// How long the process inside may take.
const INSIDE_MAX: Duration = Duration::from_secs(240);
/// The router's address, the same towards all hosts.
const ROUTER: &str = "10.77.0.254";

/// Runs this test again inside a namespace; `true` when this already is inside.
///
/// Where the machine makes no namespaces the test is skipped, and says so.
pub(crate) fn enter(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // As a user who is root inside only, or as root where users may not.
    let ways = [["-r", "-n"].as_slice(), ["-n"].as_slice()];
    let can = |way: &&&[&str]| {
        let script = format!(
            "ip link set lo up && {FORWARD} && ip link add v0 type veth peer name v1 && unshare -n true"
        );
        let tried = Command::new("unshare").args(**way).args(["sh", "-c", &script]).output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let Some(way) = ways.iter().find(can) else {
        crate::say(
            "SKIPPED: this machine makes no network namespaces (unshare -rn, ip link, ip rule)",
        );
        return false;
    };
    let own = std::env::current_exe().expect("a test is a program");
    let mut command = Command::new("unshare");
    command.args(*way).arg(own).args([test, "--exact", "--include-ignored", "--nocapture"]);
    let mut inside = command.env(INSIDE, "1").spawn().expect("it was tried");
    let begun = Instant::now();
    loop {
        if let Some(status) = inside.try_wait().expect("it is our child") {
            assert!(status.success(), "inside: {status}");
            return false;
        }
        if begun.elapsed() > INSIDE_MAX {
            let _ = inside.kill();
            let _ = inside.wait();
            panic!("inside: no end after {INSIDE_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Lets the kernel pass packets between the hosts.
const FORWARD: &str = "echo 1 > /proc/sys/net/ipv4/ip_forward";

/// Hosts, and the router between them.
pub(crate) struct Network {
    /// Processes that do nothing but keep a namespace alive.
    holders: Vec<Child>,
    /// Who does not reach whom.
    cuts: Vec<(usize, usize)>,
}

impl Network {
    pub(crate) fn new(hosts: usize) -> Network {
        run("sh", &["-c", &format!("ip link set lo up && {FORWARD}")]);
        let mut network = Network { holders: Vec::new(), cuts: Vec::new() };
        for host in 0..hosts {
            // It ends when its standard input does: with this process at the latest.
            let mut holder = Command::new("unshare");
            holder.args(["-n", "sh", "-c", "echo here; exec cat"]);
            let mut holder =
                holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was tried");
            let mut ready = [0; 5];
            let said = holder.stdout.as_mut().expect("it is piped");
            std::io::Read::read_exact(said, &mut ready).expect("it is there");
            network.holders.push(holder);
            network.connect(host);
        }
        network
    }

    fn connect(&self, host: usize) {
        let (pid, address) = (self.holders[host].id(), address(host));
        let outside = format!(
            "ip link add v{host} type veth peer name eth netns {pid} && \
             ip addr add {ROUTER} peer {address} dev v{host} && ip link set v{host} up"
        );
        run("sh", &["-c", &outside]);
        let inside = format!(
            "ip link set lo up && ip addr add {address} peer {ROUTER} dev eth && \
             ip link set eth up && ip route add default via {ROUTER}"
        );
        run("nsenter", &["-t", &pid.to_string(), "-n", "sh", "-c", &inside]);
    }

    pub(crate) fn hosts(&self) -> Vec<Host> {
        let hosts = self.holders.iter().enumerate().map(|(host, holder)| Host {
            grpc: format!("{}:7700", address(host)),
            gossip: format!("{}:7700", address(host)),
            http: format!("{}:7780", address(host)),
            started_by: ["nsenter", "-t", &holder.id().to_string(), "-n"].map(str::to_owned).into(),
            data_dir: None,
        });
        hosts.collect()
    }

    /// From now on nothing passes between these and those: packets vanish, and nobody is told.
    pub(crate) fn cut(&mut self, these: &[usize], those: &[usize]) {
        for this in these {
            for that in those {
                self.cuts.extend([(*this, *that), (*that, *this)]);
            }
        }
        self.rules("add");
    }

    /// Everybody reaches everybody again.
    pub(crate) fn heal(&mut self) {
        self.rules("del");
        self.cuts.clear();
    }

    fn rules(&self, what: &str) {
        let rule = |(from, to): &(usize, usize)| {
            format!("rule {what} from {} to {} blackhole\n", address(*from), address(*to))
        };
        let rules: String = self.cuts.iter().map(rule).collect();
        let mut batch = Command::new("ip");
        let mut batch = batch.args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
        let mut input = batch.stdin.take().expect("it is piped");
        input.write_all(rules.as_bytes()).expect("it reads");
        drop(input);
        assert!(batch.wait().expect("it is our child").success(), "{rules}");
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

fn address(host: usize) -> String {
    format!("10.77.0.{}", host + 1)
}

fn run(program: &str, arguments: &[&str]) {
    let ran = Command::new(program).args(arguments).output().expect("it was tried");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {arguments:?}: {said}");
}
