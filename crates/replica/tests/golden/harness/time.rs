//! Time, the table, and entries that are changed on their way.

use isogrid_core::Effect;
use isogrid_replica::entry::{Entries, Entry};
use isogrid_replica::{Event, Message};

use super::show;
use super::world::{Way, World};

impl World {
    /// Time passes, and these replicas notice it, or all.
    pub(super) fn pass(&mut self, ms: u64, names: &[&str]) {
        self.now_ms += ms;
        for name in self.named(names) {
            self.step(&name, Event::Tick);
        }
    }

    /// Time passes as it does in life. Only what is notable is printed.
    pub(super) fn run(&mut self, ms: u64) {
        const STEP_MS: u64 = 20;
        self.hides_messages = true;
        for _ in 0..ms / STEP_MS {
            self.pass(STEP_MS, &[]);
            self.deliver_all();
        }
        self.hides_messages = false;
        self.out = without_repeats(&self.out);
    }

    /// The committed table reaches these nodes, or all.
    pub(super) fn tell_table(&mut self, names: &[&str]) {
        let entry = self.council.entry.clone();
        for name in self.named(names) {
            self.step(&name, Event::Table(&entry));
        }
    }

    pub(super) fn named(&self, names: &[&str]) -> Vec<String> {
        if names.is_empty() {
            return self.nodes.keys().cloned().collect();
        }
        names.iter().filter(|name| **name != "none").map(|name| (*name).to_owned()).collect()
    }

    /// Prints what the replicas are and hold.
    pub(super) fn show_state(&mut self, names: &[&str]) {
        for name in self.named(names) {
            let line = match &self.nodes[&name].replica {
                Some(replica) => show::state(replica, self.settings.maps.len().max(1) as u32),
                None => "down".to_owned(),
            };
            self.out.push_str(&format!("{name}: {line}\n"));
        }
    }

    /// Changes a value in the entries on some ways.
    pub(super) fn tamper(&mut self, ways: &[Way], from: &str, to: &str) -> Result<(), String> {
        for way in ways {
            for parcel in self.ways.get_mut(way).into_iter().flatten() {
                let Message::Append(append) = &mut parcel.message else { continue };
                let mut changed = Vec::new();
                for encoded in Entries::new(&append.entries) {
                    let entry = encoded.map_err(|error| error.to_string())?.entry;
                    let effect = match entry.effect {
                        Effect::Put { map, key, value, expires_at } if value == from.as_bytes() => {
                            Effect::Put { map, key, value: to.as_bytes(), expires_at }
                        }
                        other => other,
                    };
                    Entry { effect, ..entry }.encode(&mut changed);
                }
                append.entries = changed;
            }
        }
        Ok(())
    }
}

/// Lines that come again and again are printed once, with how often they came.
fn without_repeats(text: &str) -> String {
    let mut lines: Vec<(&str, u32)> = Vec::new();
    for line in text.lines() {
        match lines.iter_mut().find(|(other, _)| *other == line) {
            Some((_, times)) => *times += 1,
            None => lines.push((line, 1)),
        }
    }
    let print = |(line, times): (&str, u32)| match times {
        1 => format!("{line}\n"),
        _ => format!("{line} (again and again)\n"),
    };
    lines.into_iter().map(print).collect()
}
