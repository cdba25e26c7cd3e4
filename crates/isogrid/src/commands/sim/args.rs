//! The options of `isogrid sim`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, value_parser};
use isogrid_sim::grid::{Options, Storage};
use isogrid_sim::runner::LossPolicy;
use isogrid_sim::{Keep, Profile};

use super::breaking;
use crate::duration;
use crate::exit::{Failure, wrong_argument};

/// No run is longer: an hour of virtual time takes minutes.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(3_600);

/// The most partitions. More find nothing that these do not.
const PARTITIONS_MAX: u16 = 256;

/// Which seeds, and what is printed.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["seed", "seeds"]))]
pub(crate) struct SimArgs {
    /// Run this seed
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    pub(super) seed: Option<u64>,

    /// Run so many seeds, and add up what they were worth
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=100_000_000))]
    pub(super) seeds: Option<u64>,

    /// The first of the seeds
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "seed", value_parser = parse_seed)]
    pub(super) first: u64,

    /// How many threads run the seeds; all cores unless set
    #[arg(long, value_name = "N", conflicts_with = "seed", value_parser = value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,

    /// After so many failed seeds no new one is begun
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "seed", value_parser = value_parser!(u64).range(1..))]
    pub(super) failures_max: u64,

    /// Print what happened: every line, or the last LINES
    #[arg(long, value_name = "LINES", num_args = 0..=1, default_missing_value = "all", conflicts_with = "seeds", value_parser = parse_lines)]
    pub(super) trace: Option<Keep>,

    /// Run this schedule of faults instead of the seed's; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) schedule: Option<PathBuf>,

    /// Print the seed's schedule of faults, and run nothing
    #[arg(long, conflicts_with_all = ["seeds", "schedule", "trace", "check_replay"])]
    pub(super) print_schedule: bool,

    /// Run each seed twice: everything must happen again, byte for byte
    #[arg(long)]
    pub(super) check_replay: bool,

    /// How often a failed seed is run again to find the smallest schedule that still fails; 0: not at all
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u32).range(0..=100_000))]
    pub(super) shrink_tries: u32,

    /// What the cluster is like.
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
}

/// What the cluster is like.
#[derive(Debug, Args)]
#[command(next_help_heading = "The cluster")]
pub(super) struct ClusterArgs {
    /// How many nodes there are at the beginning
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u16).range(2..=9))]
    nodes: u16,

    /// How many partitions: a power of two
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = parse_partitions)]
    partitions: u16,

    /// How many copies of each partition; drawn from the seed unless set
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=5))]
    copies: Option<u8>,

    /// What the nodes have besides memory; drawn from the seed unless set
    #[arg(long, value_name = "KIND", value_parser = storage_parser())]
    storage: Option<Storage>,

    /// What happens to a partition when nobody who holds it comes back; drawn from the seed unless set
    #[arg(long, value_name = "POLICY", value_parser = loss_policy_parser())]
    loss_policy: Option<LossPolicy>,

    /// Which kinds of faults
    #[arg(long, value_name = "KINDS", default_value = "all", value_parser = profile_parser())]
    faults: Profile,

    /// How many faults
    #[arg(long, value_name = "N", default_value_t = 36, value_parser = value_parser!(u16).range(0..=1_000))]
    fault_count: u16,

    /// For how long faults go on, in virtual time
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_run_duration)]
    duration: Duration,

    /// About how many operations the clients begin
    #[arg(long, value_name = "N", default_value_t = 2_200, value_parser = value_parser!(u32).range(1..=1_000_000))]
    operations: u32,

    /// Switch a rule of the protocol off, to see that the simulation notices
    #[arg(long, value_name = "NAME", hide = true, value_parser = PossibleValuesParser::new(breaking::names()))]
    break_rule: Vec<String>,
}

impl ClusterArgs {
    /// What no single option can know.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.copies {
            Some(copies) if u16::from(copies) > self.nodes => Err(wrong_argument(format!(
                "--copies {copies} --nodes {}; a node holds one copy of a partition: take fewer copies or more nodes",
                self.nodes
            ))),
            _ => Ok(()),
        }
    }

    /// As the simulation wants them.
    pub(super) fn options(&self) -> Options {
        let usual = Options::default();
        let mut options = Options {
            nodes: self.nodes,
            partitions: self.partitions,
            copies: self.copies,
            profile: self.faults,
            faults: usize::from(self.fault_count),
            duration: self.duration,
            // Each client begins the same number.
            clients: usual.clients.min(self.operations),
            operations: self.operations,
            storage: self.storage,
            loss_policy: self.loss_policy,
            ..usual
        };
        for name in &self.break_rule {
            breaking::switch_off(name, &mut options);
        }
        options
    }

    /// The words that make the same cluster again: those that differ from the defaults.
    pub(super) fn words(&self) -> String {
        let usual = Options::default();
        let mut words = String::new();
        let mut push = |name: &str, value: String| words.push_str(&format!(" --{name} {value}"));
        if self.nodes != usual.nodes {
            push("nodes", self.nodes.to_string());
        }
        if self.partitions != usual.partitions {
            push("partitions", self.partitions.to_string());
        }
        if let Some(copies) = self.copies {
            push("copies", copies.to_string());
        }
        if let Some(storage) = self.storage {
            push("storage", storage_word(storage).to_owned());
        }
        if let Some(policy) = self.loss_policy {
            push("loss-policy", loss_policy_word(policy).to_owned());
        }
        if self.faults != usual.profile {
            push("faults", self.faults.to_string());
        }
        if usize::from(self.fault_count) != usual.faults {
            push("fault-count", self.fault_count.to_string());
        }
        if self.duration != usual.duration {
            push("duration", format!("{}ms", self.duration.as_millis()));
        }
        if self.operations != usual.operations {
            push("operations", self.operations.to_string());
        }
        for name in &self.break_rule {
            push("break-rule", name.clone());
        }
        words
    }
}

fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

fn parse_lines(text: &str) -> Result<Keep, String> {
    match text.parse() {
        _ if text == "all" => Ok(Keep::Everything),
        Ok(lines) if lines > 0 => Ok(Keep::Last(lines)),
        _ => Err("a number of lines above zero, or nothing for all of them".into()),
    }
}

fn parse_partitions(text: &str) -> Result<u16, String> {
    let count = text.parse().ok().filter(|count: &u16| count.is_power_of_two());
    count
        .filter(|count| *count <= PARTITIONS_MAX)
        .ok_or_else(|| format!("a power of two from 1 to {PARTITIONS_MAX}: 1, 2, 4, 8 and so on"))
}

fn parse_run_duration(text: &str) -> Result<Duration, String> {
    let duration = duration::parse(text)?;
    if !(Duration::from_secs(1)..=DURATION_MAX).contains(&duration) {
        return Err("a run has from 1s to 1h of virtual time".into());
    }
    Ok(duration)
}

const STORAGES: [Storage; 4] = [Storage::Memory, Storage::Files, Storage::Mixed, Storage::Synced];

/// The word of a kind of storage.
pub(super) fn storage_word(storage: Storage) -> &'static str {
    match storage {
        Storage::Memory => "memory",
        Storage::Files => "files",
        Storage::Mixed => "mixed",
        Storage::Synced => "synced",
    }
}

fn storage_parser() -> impl TypedValueParser<Value = Storage> {
    PossibleValuesParser::new(STORAGES.map(storage_word)).map(|word| {
        let found = STORAGES.into_iter().find(|storage| storage_word(*storage) == word);
        found.expect("only these words are possible")
    })
}

const POLICIES: [LossPolicy; 3] = [LossPolicy::Block, LossPolicy::Reset, LossPolicy::Available];

/// The word of a policy.
pub(super) fn loss_policy_word(policy: LossPolicy) -> &'static str {
    match policy {
        LossPolicy::Block => "block",
        LossPolicy::Reset => "reset",
        LossPolicy::Available => "available",
    }
}

fn loss_policy_parser() -> impl TypedValueParser<Value = LossPolicy> {
    PossibleValuesParser::new(POLICIES.map(loss_policy_word)).map(|word| {
        let found = POLICIES.into_iter().find(|policy| loss_policy_word(*policy) == word);
        found.expect("only these words are possible")
    })
}

fn profile_parser() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::EVERY.map(Profile::name)).map(|word| {
        let found = Profile::EVERY.into_iter().find(|profile| profile.name() == word);
        found.expect("only these words are possible")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn cluster(arguments: &str) -> ClusterArgs {
        let words = format!("isogrid sim --seed 1{arguments}");
        let cli = Cli::try_parse_from(words.split(' ')).expect("these are options");
        let Command::Sim(args) = cli.command else { panic!("another command") };
        args.cluster
    }

    #[test]
    fn the_defaults_are_those_of_the_simulation() {
        let (given, usual) = (cluster("").options(), Options::default());
        assert_eq!(format!("{given:?}"), format!("{usual:?}"));
        assert_eq!(cluster("").words(), "");
    }

    #[test]
    fn the_words_of_a_cluster_make_it_again() {
        let words = " --nodes 3 --partitions 16 --copies 2 --storage synced --loss-policy reset \
                     --faults clocks --fault-count 9 --duration 2500ms --operations 77 --break-rule fence";
        assert_eq!(cluster(words).words(), words);
    }
}
