//! `isogrid top`: the members, their load, what moves and which keys are hot, again and again. It goes on with the others when the
//! node dies that it asked.
//!
//! | module | what lives there |
//! |---|---|
//! | [`model`] | what is shown, from one look to the next: pure |
//! | [`draw`] | how |
//! | [`columns`] | the columns of the members, as many as there is room for |
//! | [`poll`] | asks the cluster |
//! | [`terminal`] | the terminal's other screen |

mod columns;
mod draw;
mod model;
mod poll;
mod terminal;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use clap::Args;
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::mpsc;

use self::model::{Model, Turn};
use self::poll::{Looked, Poll};
use self::terminal::Screen;
use super::stop::StopSignals;
use crate::cli::Global;
use crate::connect::in_runtime;
use crate::duration;
use crate::exit::{CommandResult, Exit, Failure, wrong_argument};
use crate::keys;
use crate::output::{Format, print};

/// The size of a frame that is printed.
const SIZE_DEFAULT: (u16, u16) = (80, 24);

/// What is shown.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// How long between two looks
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1s")]
    interval: Duration,

    /// Print one frame as text, after two looks, and end
    #[arg(long)]
    once: bool,

    /// With --once: how large the frame is
    #[arg(long, value_name = "WIDTHxHEIGHT", requires = "once", value_parser = frame_size)]
    size: Option<(u16, u16)>,
}

fn frame_size(text: &str) -> Result<(u16, u16), String> {
    let size = text.split_once('x').and_then(|(width, height)| {
        Some((width.parse::<u16>().ok()?, height.parse::<u16>().ok()?))
    });
    match size {
        Some((width @ 40..=1_000, height @ 10..=1_000)) => Ok((width, height)),
        _ => Err("a size is WIDTHxHEIGHT, from 40x10 to 1000x1000".into()),
    }
}

pub(crate) fn run(args: &TopArgs, global: &Global) -> CommandResult {
    if global.output == Format::Json {
        return Err(wrong_argument("top has no JSON; `isogrid status -o json` has its figures"));
    }
    in_runtime(async || {
        let mut poll = Poll::new(&global.endpoint);
        if args.once {
            return once(args, &mut poll).await;
        }
        if !std::io::stdout().is_terminal() {
            return Err(wrong_argument("top needs a terminal; --once prints one frame as text"));
        }
        // Whoever mistypes an address is told so in a line, not on another screen.
        let model = begin(&mut poll).await?;
        attend(model, poll, args.interval).await
    })
}

/// The first look, and what was before it.
async fn begin(poll: &mut Poll) -> Result<Model, Failure> {
    let mut model = Model::default();
    model.take(poll.look().await?, Instant::now());
    model.begin_with(&poll.history().await);
    Ok(model)
}

/// One frame as text.
async fn once(args: &TopArgs, poll: &mut Poll) -> CommandResult {
    let mut model = begin(poll).await?;
    tokio::time::sleep(args.interval).await;
    model.take(poll.look().await?, Instant::now());
    print(&text(&model, args.size.unwrap_or(SIZE_DEFAULT)))?;
    Ok(Exit::Ok)
}

/// A frame as lines of text.
fn text(model: &Model, (width, height): (u16, u16)) -> String {
    let backend = TestBackend::new(width, height);
    let Ok(mut terminal) = Terminal::new(backend);
    let Ok(_) = terminal.draw(|frame| draw::draw(frame, model));
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in 0..height {
        let line: String = (0..width).map(|column| buffer[(column, row)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Shows the cluster until it is told to end.
async fn attend(mut model: Model, poll: Poll, interval: Duration) -> CommandResult {
    let mut signals = StopSignals::listen(false)?;
    let mut screen = Screen::open()?;
    let mut pressed = keys::events()?;
    // One look may wait: the next is asked for when it was taken.
    let (found, mut looks) = mpsc::channel(1);
    let poller = tokio::spawn(poll.run(interval, found));
    let outcome = loop {
        screen.draw(&model)?;
        tokio::select! {
            _ = signals.next_signal() => break Ok(Exit::Ok),
            Some(looked) = looks.recv() => match looked {
                Looked::Seen(look, at) => model.take(*look, at),
                Looked::Failed(why) => model.fail(why),
            },
            event = pressed.recv() => match event.as_ref().map(meaning) {
                // Without keys nobody could end it.
                None | Some(Pressed::Quit) => break Ok(Exit::Ok),
                Some(Pressed::Turn(turn)) => model.turn(turn),
                Some(Pressed::Nothing) => {}
            },
        }
    };
    poller.abort();
    outcome
}

/// What a key does.
enum Pressed {
    Quit,
    Turn(Turn),
    Nothing,
}

fn meaning(event: &Event) -> Pressed {
    let Event::Key(key) = event else { return Pressed::Nothing };
    if key.kind == KeyEventKind::Release {
        return Pressed::Nothing;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Pressed::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Pressed::Quit,
        KeyCode::Char('s') => Pressed::Turn(Turn::Reverse),
        KeyCode::Up => Pressed::Turn(Turn::Up),
        KeyCode::Down => Pressed::Turn(Turn::Down),
        KeyCode::Left => Pressed::Turn(Turn::Left),
        KeyCode::Right => Pressed::Turn(Turn::Right),
        _ => Pressed::Nothing,
    }
}

impl From<Failure> for Looked {
    fn from(failure: Failure) -> Self {
        let text = failure.text().unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        Looked::Failed(line.trim_start_matches("error: ").to_owned())
    }
}
