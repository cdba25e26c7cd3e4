//! The terminal's other screen. Whatever happens, it is given back as it was.

use std::io::{self, Stdout, Write};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{execute, queue};

use super::frame::{Frame, Look};

/// The size of a terminal that does not say.
const SIZE_DEFAULT: (u16, u16) = (80, 24);

/// The terminal's other screen, until it is dropped.
pub(super) struct Screen {
    out: Stdout,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> io::Result<Screen> {
        enable_raw_mode()?;
        // From here on it is given back, also if the rest fails.
        let mut screen = Screen { out: io::stdout() };
        execute!(screen.out, EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Draws a frame over the one before.
    pub(super) fn draw(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let (width, height) = size().unwrap_or(SIZE_DEFAULT);
        for (row, (look, line)) in (0..).zip(frame.lines(width.into(), height.into())) {
            queue!(self.out, MoveTo(0, row))?;
            match look {
                Look::Plain => {}
                Look::Good => queue!(self.out, SetForegroundColor(Color::Green))?,
                Look::Bad => queue!(self.out, SetForegroundColor(Color::Red))?,
                Look::Chosen => queue!(self.out, SetAttribute(Attribute::Reverse))?,
                Look::Dim => queue!(self.out, SetAttribute(Attribute::Dim))?,
            }
            queue!(
                self.out,
                Print(line),
                SetAttribute(Attribute::Reset),
                ResetColor,
                Clear(ClearType::UntilNewLine)
            )?;
        }
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to tell that the terminal does not listen.
        let _ = execute!(self.out, Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}
