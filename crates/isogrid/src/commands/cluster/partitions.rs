//! `isogrid cluster partitions`: who holds which partition, as a table or drawn as a map.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use isogrid_client::{Operator, PartitionList, PartitionStatus};
use serde_json::{Value, json};

use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json, print_table, table, table_text, tell};
use crate::text::{percent, size, thousands};

/// How many partitions stand in one line of the map.
const MAP_LINE_PARTITIONS: usize = 64;

/// Which partitions, and how they are shown.
#[derive(Debug, Args)]
pub(crate) struct PartitionsArgs {
    /// Only these
    partitions: Vec<u32>,

    /// Draw one sign for each partition, by who leads it
    #[arg(long)]
    map: bool,

    /// Only those that are not as they should be
    #[arg(long, conflicts_with = "map")]
    bad: bool,

    /// Those first that are asked most, or are largest; with what each has and does
    #[arg(long, value_name = "FIGURE", conflicts_with = "map")]
    by: Option<Figure>,

    /// With --by: only so many
    #[arg(long, value_name = "N", requires = "by")]
    limit: Option<usize>,
}

/// What partitions are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    /// Operations per second, of the last ten seconds
    Ops,
    /// Bytes of the primary
    Bytes,
}

pub(super) async fn run(
    operator: &Operator,
    args: &PartitionsArgs,
    format: Format,
) -> CommandResult {
    let mut list = match args.by {
        Some(_) => operator.partition_sizes().await?,
        None => operator.partitions(&args.partitions).await?,
    };
    let is_wanted = |one: &PartitionStatus| {
        (args.partitions.is_empty() || args.partitions.contains(&one.partition))
            && (!args.bad || one.state != "ok")
    };
    list.partitions.retain(is_wanted);
    let all = list.partitions.iter().filter_map(|one| one.operations_per_second).sum();
    let is_unknown = |one: &&PartitionStatus| one.operations_per_second.is_none();
    let unknown = list.partitions.iter().filter(is_unknown).count();
    if args.by == Some(Figure::Ops) && unknown > 0 {
        tell(format!(
            "nothing is known yet of {unknown} partitions: they were taken over less than twenty seconds ago, or their node does not answer"
        ));
    }
    if let Some(figure) = args.by {
        sort(&mut list.partitions, figure);
        list.partitions.truncate(args.limit.unwrap_or(usize::MAX));
    }
    match format {
        Format::Json => print_json(&json!({
            "table_version": list.table_version,
            "partitions_total": list.partitions_total,
            "partitions": list.partitions.iter().map(object).collect::<Vec<Value>>(),
        }))?,
        Format::Table if args.map => print(&map(&list))?,
        Format::Table if args.by.is_some() => print(&loads(&list, all))?,
        Format::Table => rows(&list)?,
    }
    Ok(Exit::Ok)
}

/// A partition as JSON.
pub(crate) fn object(partition: &PartitionStatus) -> Value {
    let primary = (!partition.primary.is_empty()).then_some(&partition.primary);
    json!({
        "partition": partition.partition,
        "state": partition.state,
        "epoch": partition.epoch,
        "ver": partition.ver,
        "loss_generation": partition.loss_generation,
        "primary": primary,
        "in_sync": partition.in_sync,
        "learners": partition.learners,
        "bytes": partition.bytes,
        "operations_per_second": partition.operations_per_second,
    })
}

fn rows(list: &PartitionList) -> Result<(), crate::exit::Failure> {
    let names = |nodes: &mut dyn Iterator<Item = &str>| match nodes.collect::<Vec<_>>().join(" ") {
        none if none.is_empty() => "-".to_owned(),
        names => names,
    };
    let mut rows =
        table(&["partition", "state", "primary", "backups", "learners", "epoch", "ver", "losses"]);
    for partition in &list.partitions {
        rows.add_row([
            partition.partition.to_string(),
            partition.state.clone(),
            names(&mut Some(partition.primary.as_str()).into_iter()),
            names(&mut partition.backups()),
            names(&mut partition.learners.iter().map(String::as_str)),
            partition.epoch.to_string(),
            partition.ver.to_string(),
            partition.loss_generation.to_string(),
        ]);
    }
    print_table(&rows)
}

/// The most first; what is not known is last.
fn sort(partitions: &mut [PartitionStatus], figure: Figure) {
    partitions.sort_by_key(|one| {
        let figure = match figure {
            Figure::Ops => one.operations_per_second,
            Figure::Bytes => one.bytes,
        };
        (Reverse(figure), one.partition)
    });
}

/// What each partition has and does, and its share of all operations.
fn loads(list: &PartitionList, all_operations: u64) -> String {
    let mut rows = table(&["partition", "primary", "ops/s", "share", "bytes"]);
    for one in &list.partitions {
        let operations = one.operations_per_second;
        rows.add_row([
            one.partition.to_string(),
            if one.primary.is_empty() { "-".into() } else { one.primary.clone() },
            operations.map_or_else(|| "-".into(), thousands),
            operations.map_or_else(|| "-".into(), |count| percent(count, all_operations)),
            one.bytes.map_or_else(|| "-".into(), size),
        ]);
    }
    table_text(&rows)
}

/// One sign for each partition: a letter for who leads it, small where copies are missing, `!` where nobody leads.
fn map(list: &PartitionList) -> String {
    let mut letters: BTreeMap<&str, char> = BTreeMap::new();
    for partition in list.partitions.iter().filter(|partition| !partition.primary.is_empty()) {
        letters.insert(&partition.primary, ' ');
    }
    for (letter, (_, sign)) in ('A'..='Z').chain(std::iter::repeat('#')).zip(letters.iter_mut()) {
        *sign = letter;
    }
    let sign = |partition: &PartitionStatus| match partition.state.as_str() {
        "ok" => letters.get(partition.primary.as_str()).copied().unwrap_or('!'),
        "under_replicated" => {
            letters.get(partition.primary.as_str()).map_or('!', char::to_ascii_lowercase)
        }
        "unassigned" => '.',
        _ => '!',
    };
    let mut text = String::new();
    for line in list.partitions.chunks(MAP_LINE_PARTITIONS) {
        let signs: String = line.iter().map(sign).collect();
        let first = line.first().map_or(0, |partition| partition.partition);
        text.push_str(&format!("{first:>5}  {signs}\n"));
    }
    text.push('\n');
    for (node, letter) in &letters {
        let led = list.partitions.iter().filter(|partition| partition.primary == **node).count();
        text.push_str(&format!("    {letter}  {node} leads {led}\n"));
    }
    text.push_str("small: copies are missing   !: nobody leads   .: never assigned\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_comes_first_and_what_is_not_known_last() {
        let partition = |number, rate, bytes| {
            let mut one = PartitionStatus::default();
            (one.partition, one.primary) = (number, "node-1".into());
            (one.operations_per_second, one.bytes) = (rate, bytes);
            one
        };
        let mut list = PartitionList::default();
        list.partitions = vec![
            partition(0, None, None),
            partition(1, Some(100), Some(4_096)),
            partition(2, Some(300), Some(1_024)),
        ];
        let numbers = |list: &PartitionList| -> Vec<u32> {
            list.partitions.iter().map(|one| one.partition).collect()
        };
        sort(&mut list.partitions, Figure::Bytes);
        assert_eq!(numbers(&list), [1, 2, 0]);
        sort(&mut list.partitions, Figure::Ops);
        assert_eq!(numbers(&list), [2, 1, 0]);
        let text = loads(&list, 400);
        let second = text.lines().nth(1).unwrap_or_default();
        assert_eq!(
            second.split_whitespace().collect::<Vec<_>>(),
            ["2", "node-1", "300", "75.0", "%", "1.0", "KiB"]
        );
    }

    #[test]
    fn a_map_has_a_sign_for_each_partition() {
        let partition = |number, primary: &str, state: &str| {
            let mut partition = PartitionStatus::default();
            partition.partition = number;
            (partition.primary, partition.state) = (primary.into(), state.into());
            partition
        };
        let mut list = PartitionList::default();
        list.partitions = vec![
            partition(0, "node-1", "ok"),
            partition(1, "node-0", "under_replicated"),
            partition(2, "", "no_primary"),
            partition(3, "", "unassigned"),
            partition(4, "node-1", "ok"),
        ];
        let map = map(&list);
        assert!(map.starts_with("    0  Ba!.B\n"), "{map}");
        assert!(
            map.contains("A  node-0 leads 1\n") && map.contains("B  node-1 leads 2\n"),
            "{map}"
        );
    }
}
