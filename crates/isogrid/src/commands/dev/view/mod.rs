//! The live view: the nodes and how the cluster is, twice a second, and keys to do things to nodes.

mod frame;
mod poll;
mod screen;

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use isogrid_client::ClusterStatus;
use tokio::sync::watch;

use crate::exit::{CommandResult, Exit};
use crate::keys;
use crate::output::tell;

use super::action::Action;
use super::fleet::{Changes, Fleet};
use super::keeper::{Change, Order, Phase};

use super::super::stop::StopSignals;

use self::frame::{Frame, NodeRow};
use self::poll::{Rates, poll};
use self::screen::Screen;

/// How many events are kept.
const EVENTS_MAX: usize = 50;

/// How often it is drawn when nothing happens.
const DRAW_INTERVAL: Duration = Duration::from_secs(1);

/// What a key does.
enum Pressed {
    Up,
    Down,
    Do(Action),
    Nothing,
}

/// All that is shown.
struct View {
    fleet: Fleet,
    chosen: usize,
    status: Option<ClusterStatus>,
    rates: Rates,
    events: Vec<String>,
}

/// Shows the cluster until it is told to end.
pub(super) async fn run(
    fleet: Fleet,
    changes: &mut Changes,
    signals: &mut StopSignals,
) -> CommandResult {
    let mut view =
        View { fleet, chosen: 0, status: None, rates: Rates::default(), events: Vec::new() };
    let outcome = view.attend(changes, signals).await;
    tell("stopping");
    view.fleet.stop().await;
    outcome
}

impl View {
    async fn attend(&mut self, changes: &mut Changes, signals: &mut StopSignals) -> CommandResult {
        let mut screen = Screen::open()?;
        let mut pressed = keys::events()?;
        let (asked, whom) = watch::channel(self.addresses());
        let (found, mut status) = watch::channel(None);
        let poller = tokio::spawn(poll(whom, found));
        let outcome = loop {
            screen.draw(&self.frame())?;
            tokio::select! {
                _ = signals.next() => break Ok(Exit::Ok),
                change = changes.next() => self.note(change),
                Ok(()) = status.changed() => {
                    self.status = status.borrow_and_update().clone();
                    self.rates.take(self.status.as_ref());
                }
                Some(event) = pressed.recv() => if !self.press(&event) {
                    break Ok(Exit::Ok);
                },
                () = tokio::time::sleep(DRAW_INTERVAL) => {}
            }
            asked.send_replace(self.addresses());
        };
        poller.abort();
        outcome
    }

    fn addresses(&self) -> Vec<String> {
        self.fleet.reachable().into_iter().map(|node| node.grpc).collect()
    }

    fn note(&mut self, change: Change) {
        let keeper = &self.fleet.keepers[usize::from(change.index)];
        let text = match change.phase {
            Phase::Running(node) => format!("{} runs, pid {}", keeper.name, node.pid),
            phase => {
                // Why a node has ended stands at the end of its log.
                if matches!(phase, Phase::Ended { was_told: false, .. }) {
                    let log = keeper.log();
                    let last = log.iter().rev().take(3).rev().cloned().collect::<Vec<_>>();
                    self.events.extend(last);
                }
                format!("{}: {}", keeper.name, phase.word())
            }
        };
        self.say(text);
    }

    fn say(&mut self, text: String) {
        self.events.push(text);
        let surplus = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..surplus);
    }

    /// Does what a key says; says whether it goes on.
    fn press(&mut self, event: &Event) -> bool {
        let last = self.fleet.keepers.len().saturating_sub(1);
        match self.meaning(event) {
            Pressed::Up => self.chosen = self.chosen.saturating_sub(1),
            Pressed::Down => self.chosen = (self.chosen + 1).min(last),
            Pressed::Do(Action::Quit) => return false,
            Pressed::Do(action) => {
                if let Some(text) = action.perform(&mut self.fleet) {
                    self.say(text);
                }
            }
            Pressed::Nothing => {}
        }
        true
    }

    fn meaning(&self, event: &Event) -> Pressed {
        let Event::Key(key) = event else { return Pressed::Nothing };
        if key.kind == KeyEventKind::Release {
            return Pressed::Nothing;
        }
        let chosen = self.fleet.keepers.get(self.chosen).map(|keeper| keeper.name.clone());
        let to =
            |order| chosen.map_or(Pressed::Nothing, |name| Pressed::Do(Action::To(name, order)));
        match key.code {
            KeyCode::Up => Pressed::Up,
            KeyCode::Down => Pressed::Down,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                Pressed::Do(Action::Quit)
            }
            KeyCode::Char('q') => Pressed::Do(Action::Quit),
            KeyCode::Char('a') => Pressed::Do(Action::Add),
            KeyCode::Char('k') => to(Order::Kill),
            KeyCode::Char('r') => to(Order::Restart),
            KeyCode::Char('p') => to(Order::PauseOrContinue),
            KeyCode::Char('c') => to(Order::CutOffOrConnect),
            _ => Pressed::Nothing,
        }
    }

    fn frame(&self) -> Frame<'_> {
        let row = |(index, keeper): (usize, &super::keeper::Keeper)| {
            let phase = keeper.phase();
            NodeRow {
                name: keeper.name.clone(),
                process: phase.word().to_owned(),
                pid: phase.node().map(|node| node.pid),
                is_chosen: index == self.chosen,
                ops_per_second: self.rates.of(&keeper.name),
            }
        };
        Frame {
            founders: self.fleet.founders(),
            status: self.status.as_ref(),
            rows: self.fleet.keepers.iter().enumerate().map(row).collect(),
            events: &self.events,
            endpoint: self.addresses().into_iter().next(),
        }
    }
}
