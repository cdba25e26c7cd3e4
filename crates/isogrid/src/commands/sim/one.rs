//! One seed: its plan, its trace if wanted, what it was worth, and whether it passed.

use isogrid_sim::runner::Plan;
use isogrid_sim::{Keep, SeedRun};
use serde_json::{Map, Value, json};

use super::args::{SimArgs, loss_policy_word, storage_word};
use super::course::Course;
use super::failure::Failed;
use super::schedule;
use crate::exit::{CommandResult, Exit};
use crate::output::{Format, print, print_json};

pub(super) fn run(seed: u64, args: &SimArgs, course: &Course, format: Format) -> CommandResult {
    Course::silence_panics();
    let plan = course.plan(seed);
    let keep = args.trace.unwrap_or(Keep::Nothing);
    let mut done = course.run(seed, keep);
    if args.trace.is_some() && course.runs_twice {
        done.trace = course.run_with(seed, &plan.schedule, keep).trace;
    }
    if format == Format::Table {
        if args.trace.is_some() {
            print(&format!("{}\n", done.trace))?;
        }
        print(&format!("{}\n{}\n", heading(seed, args, &plan), done.summary.to_text()))?;
        print(&verdict(seed, course, &done))?;
    }
    // Shrinking takes a while: what is known already is printed before.
    let failed = (!done.summary.is_good())
        .then(|| Failed::explain(seed, args, course, &done.summary, &plan.schedule));
    match (format, &failed) {
        (Format::Json, _) => print_json(&object(args, &plan, &done, failed.as_ref()))?,
        (Format::Table, Some(failed)) => print(&failed.to_text())?,
        (Format::Table, None) => {}
    }
    Ok(if failed.is_some() { Exit::Violation } else { Exit::Ok })
}

fn heading(seed: u64, args: &SimArgs, plan: &Plan) -> String {
    let options = args.cluster.options();
    format!(
        "seed {seed}: {} nodes, {} partitions, {} copies, storage {}, loss policy {}, {} faults\n",
        options.nodes,
        options.partitions,
        plan.copies,
        storage_word(plan.storage),
        loss_policy_word(plan.loss_policy),
        plan.schedule.len(),
    )
}

fn verdict(seed: u64, course: &Course, done: &SeedRun) -> String {
    let verdict = match (done.summary.is_good(), course.runs_twice) {
        (true, false) => "passes",
        (true, true) => "passes twice, and does the same twice",
        (false, _) => "fails",
    };
    format!("seed {seed} {verdict}; the hash of all that happened is {:016x}\n", done.trace_hash)
}

fn object(args: &SimArgs, plan: &Plan, done: &SeedRun, failed: Option<&Failed>) -> Value {
    let options = args.cluster.options();
    let mut object = summary_object(&done.summary);
    object.insert("seed".into(), args.seed.into());
    object.insert("trace_hash".into(), format!("{:016x}", done.trace_hash).into());
    let plan = json!({
        "nodes": options.nodes,
        "partitions": options.partitions,
        "copies": plan.copies,
        "storage": storage_word(plan.storage),
        "loss_policy": loss_policy_word(plan.loss_policy),
        "schedule": schedule::lines(&plan.schedule),
    });
    object.insert("plan".into(), plan);
    if args.trace.is_some() {
        object.insert("trace".into(), done.trace.lines().collect());
    }
    if let Some(failed) = failed {
        object.insert("failure".into(), failed.to_object());
    }
    Value::Object(object)
}

/// A summary as an object, with a word for whether it is good.
pub(super) fn summary_object(summary: &isogrid_sim::Summary) -> Map<String, Value> {
    let mut object = match serde_json::from_str(&summary.to_json()) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    object.insert("good".into(), summary.is_good().into());
    object
}
