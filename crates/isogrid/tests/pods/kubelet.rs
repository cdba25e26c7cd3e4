//! What Kubernetes does with the pods of a StatefulSet, done with processes on one machine. Command, variables, configuration,
//! probes and end are those that the chart renders. Each pod has an address of its own on loopback, as it would have in a
//! network of its own; names that DNS would answer are replaced.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{command, http_get, signal};

const BINARY: &str = "/usr/local/bin/isogrid";
const NODES_SERVICE: &str = "\"isogrid-nodes.isogrid.svc.cluster.local:7700\"";
const CLIENTS_SERVICE: &str = "isogrid.isogrid.svc.cluster.local:7700";

/// How long a pod may take to start, and any wait for the cluster.
const PATIENCE: Duration = Duration::from_secs(120);

/// A kubelet waits for seconds where a test only needs the order.
const SLEEP_MAX: Duration = Duration::from_millis(300);

/// No two tests have the same addresses, whichever processes they run in.
static SETS: AtomicU32 = AtomicU32::new(0);

/// A StatefulSet and its pods.
pub(crate) struct StatefulSet {
    documents: Vec<Value>,
    folder: TempDir,
    network: String,
    /// Set for every pod beside what the chart says.
    extra: Vec<(&'static str, &'static str)>,
    pods: Vec<Option<Pod>>,
}

/// A pod with its process.
struct Pod {
    process: Child,
    has_started: bool,
}

impl Drop for Pod {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl StatefulSet {
    /// No pod runs yet. There may be so many.
    pub(crate) fn rendered(golden: &str, pods: usize) -> StatefulSet {
        let path = format!("{}/../../helm/golden/{golden}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("a rendered file");
        let documents = serde_yaml_ng::Deserializer::from_str(&text);
        let documents = documents.map(|one| Value::deserialize(one).expect("YAML")).collect();
        let (number, set) = (std::process::id(), SETS.fetch_add(1, Ordering::Relaxed));
        let network = format!("127.{}.{}", 100 + number % 100, (number / 100 + 50 * set) % 250);
        StatefulSet {
            documents,
            folder: tempfile::tempdir().expect("a folder"),
            network,
            extra: vec![("ISOGRID__NODE__PARTITIONS", "32"), ("ISOGRID__LOG__FORMAT", "text")],
            pods: (0..pods).map(|_| None).collect(),
        }
    }

    /// Sets a variable for every pod (extraEnv).
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> StatefulSet {
        self.extra.push((name, value));
        self
    }

    fn document(&self, kind: &str, name: &str) -> &Value {
        let is_it = |one: &&Value| one["kind"] == kind && one["metadata"]["name"] == name;
        self.documents.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    fn pod_spec(&self) -> &Value {
        &self.document("StatefulSet", "isogrid")["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        &self.pod_spec()["containers"][0]
    }

    fn address(&self, pod: usize) -> String {
        format!("{}.{}", self.network, pod + 1)
    }

    /// Where clients reach a pod.
    pub(crate) fn grpc(&self, pod: usize) -> String {
        format!("{}:7700", self.address(pod))
    }

    /// Where a pod serves HTTP.
    pub(crate) fn http(&self, pod: usize) -> String {
        format!("{}:7780", self.address(pod))
    }

    fn text_of(&self, text: &str, pod: usize) -> String {
        let pods = (0..self.pods.len()).map(|pod| format!("\"{}\"", self.grpc(pod)));
        let seeds = pods.collect::<Vec<_>>().join(", ");
        let folder = self.folder.path().join(format!("isogrid-{pod}"));
        let is_wanted = |line: &&str| cfg!(feature = "sql") || !line.trim().starts_with("pg_addr");
        let lines: Vec<&str> = text.lines().filter(is_wanted).collect();
        let address = self.address(pod);
        lines
            .join("\n")
            .replace(NODES_SERVICE, &seeds)
            .replace("0.0.0.0", &address)
            .replace("127.0.0.1", &address)
            .replace("$(POD_IP)", &address)
            .replace("/etc/isogrid/", &format!("{}/", folder.display()))
            .replace("/var/lib/isogrid/", &format!("{}/", folder.display()))
    }

    /// A command of the chart, as it runs in a pod.
    fn command(&self, words: &Value, pod: usize) -> Command {
        let words = words.as_array().expect("a command");
        let text = |word: &Value| self.text_of(word.as_str().expect("text"), pod);
        let words: Vec<String> = words.iter().map(text).collect();
        assert_eq!(words[0], BINARY);
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let mut command = command(&words);
        for variable in self.container()["env"].as_array().expect("variables") {
            let from = &variable["valueFrom"];
            let value = match from["fieldRef"]["fieldPath"].as_str() {
                Some("metadata.name") => format!("isogrid-{pod}"),
                Some("status.podIP") => self.address(pod),
                Some(other) => panic!("{other}"),
                None if from["resourceFieldRef"].is_object() => "1".to_owned(),
                None => self.text_of(variable["value"].as_str().expect("a value"), pod),
            };
            command.env(variable["name"].as_str().expect("a name"), value);
        }
        command.envs(self.extra.iter().copied());
        command
    }

    /// Runs a command in a pod (`kubectl exec`), and returns its exit code.
    pub(crate) fn exec(&self, pod: usize, words: &[&str]) -> Option<i32> {
        let words: Value = [&[BINARY][..], words].concat().into();
        self.command(&words, pod).output().expect("it runs").status.code()
    }

    fn log(&self, pod: usize) -> std::path::PathBuf {
        self.folder.path().join(format!("isogrid-{pod}.log"))
    }

    /// Starts a pod's process.
    pub(crate) fn start(&mut self, pod: usize) {
        let folder = self.folder.path().join(format!("isogrid-{pod}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let map = &self.document("ConfigMap", "isogrid")["data"]["isogrid.toml"];
        let config = self.text_of(map.as_str().expect("a file"), pod);
        std::fs::write(folder.join("isogrid.toml"), config).expect("written");
        let log = File::options().create(true).append(true).open(self.log(pod)).expect("a log");
        let mut command = self.command(&self.container()["command"], pod);
        command.stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("the binary runs");
        self.pods[pod] = Some(Pod { process, has_started: false });
    }

    /// What a probe says: nothing when it is content.
    pub(crate) fn probe(&self, pod: usize, probe: &str) -> Option<String> {
        let probe = &self.container()[probe];
        if probe["exec"].is_object() {
            let ran = self.command(&probe["exec"]["command"], pod).output().expect("it runs");
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            return (!ran.status.success()).then_some(said);
        }
        let path = probe["httpGet"]["path"].as_str().expect("a path");
        assert_eq!(probe["httpGet"]["port"], "http");
        let answer = http_get(&self.http(pod), path);
        let is_good = answer.as_ref().is_some_and(|answer| answer.starts_with("HTTP/1.1 200"));
        (!is_good).then(|| answer.unwrap_or_else(|| "nobody listens".to_owned()))
    }

    /// Waits until a pod has started and is ready, and would not be killed meanwhile for being dead.
    pub(crate) fn await_ready(&mut self, pod: usize) {
        let begun = Instant::now();
        while let Some(why) = self.probe(pod, "startupProbe") {
            self.check_in_time(pod, begun, &why);
        }
        self.pod(pod).has_started = true;
        while let Some(why) = self.probe(pod, "readinessProbe") {
            self.check_in_time(pod, begun, &why);
        }
        assert_eq!(self.probe(pod, "livenessProbe"), None);
    }

    fn check_in_time(&mut self, pod: usize, begun: Instant, why: &str) {
        let ended = self.pod(pod).process.try_wait().expect("our child");
        if ended.is_some() || begun.elapsed() > PATIENCE {
            let log = std::fs::read_to_string(self.log(pod)).unwrap_or_default();
            panic!("pod {pod} is not ready ({ended:?}): {why}\n{log}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }

    fn pod(&mut self, pod: usize) -> &mut Pod {
        self.pods[pod].as_mut().expect("it runs")
    }

    /// Ends these pods as Kubernetes does when they are deleted together: preStop, SIGTERM, and the grace period.
    pub(crate) fn delete(&mut self, pods: &[usize]) {
        let grace = self.pod_spec()["terminationGracePeriodSeconds"].as_u64().expect("a number");
        let sleep = &self.container()["lifecycle"]["preStop"]["sleep"]["seconds"];
        let sleep = Duration::from_secs(sleep.as_u64().expect("the hook sleeps"));
        assert!(sleep.as_secs() < grace);
        std::thread::sleep(sleep.min(SLEEP_MAX));
        for pod in pods {
            let id = self.pod(*pod).process.id();
            self.pod(*pod).has_started = false;
            signal(id, "TERM");
        }
        for pod in pods {
            let begun = Instant::now();
            let status = loop {
                if let Some(status) = self.pod(*pod).process.try_wait().expect("our child") {
                    break status;
                }
                let log = || std::fs::read_to_string(self.log(*pod)).unwrap_or_default();
                assert!(begun.elapsed() < PATIENCE, "pod {pod} does not end: {}", log());
                std::thread::sleep(Duration::from_millis(20));
            };
            let log = std::fs::read_to_string(self.log(*pod)).unwrap_or_default();
            assert_eq!(status.code(), Some(0), "pod {pod}: {log}");
            self.pods[*pod] = None;
        }
    }

    /// Sends a signal to a pod's process.
    pub(crate) fn signal(&mut self, pod: usize, name: &str) {
        let id = self.pod(pod).process.id();
        signal(id, name);
    }

    /// The pods to which the clients' service leads.
    pub(crate) fn ready(&self) -> Vec<usize> {
        let is_ready = |pod: &usize| {
            let has_started = self.pods[*pod].as_ref().is_some_and(|pod| pod.has_started);
            has_started && self.probe(*pod, "readinessProbe").is_none()
        };
        (0..self.pods.len()).filter(is_ready).collect()
    }

    /// Runs what a job of the chart runs, one container after the other.
    pub(crate) fn job(&self, name: &str) {
        let spec = &self.document("Job", name)["spec"]["template"]["spec"];
        let all = ["initContainers", "containers"].map(|key| spec[key].as_array());
        let endpoint = self.grpc(*self.ready().first().expect("a pod is ready"));
        for container in all.into_iter().flatten().flatten() {
            let words = container["command"].as_array().expect("a command");
            let text =
                |word: &Value| word.as_str().expect("text").replace(CLIENTS_SERVICE, &endpoint);
            let words: Vec<String> = words.iter().map(text).collect();
            assert_eq!(words[0], BINARY);
            let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            let ran = command(&words).output().expect("the binary runs");
            let said = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{words:?}: {said}");
        }
    }
}
