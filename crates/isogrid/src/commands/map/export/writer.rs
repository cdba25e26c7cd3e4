//! Pages into a file, on a thread of its own: slow disks must not keep the client from its connections. Now and then the
//! file is made safe, and then the checkpoint beside it; whatever happens, the file counts up to there.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::ProgressBar;
use isogrid_client::{ScanPage, ScanToken};
use tokio::sync::mpsc;

use crate::exit::{Failure, wrong_argument};

use super::super::files::checkpoint::{self, ExportPoint, Exported};
use super::super::files::{Encoder, Row, base64, encoder, of_file};

/// How many bytes are written at once.
const WRITE_BYTES: usize = 1 << 20;

/// How often a checkpoint is written.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// How many bytes may lie between two checkpoints; also about the size of a row group before compression.
const CHECKPOINT_BYTES: u64 = 32 << 20;

/// A page of a map of bytes.
pub(super) type Page = ScanPage<Bytes, Bytes>;

/// What the writer is given.
pub(super) enum Message {
    /// Entries to write.
    Page(Page),
    /// That was all.
    End,
}

/// What there is in the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// How many rows the file has.
    pub(super) rows: u64,
    /// How many bytes.
    pub(super) bytes: u64,
    /// Whether it has all of the map.
    pub(super) is_whole: bool,
}

enum Output {
    Standard(io::Stdout),
    File { file: File, path: PathBuf, of: Box<Exported> },
}

impl Output {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::Standard(out) => out.write_all(bytes).and_then(|()| out.flush()),
            Output::File { file, .. } => file.write_all(bytes),
        }
    }
}

/// Writes a file.
pub(super) struct Writer {
    encoder: Box<dyn Encoder>,
    output: Output,
    /// What is not written yet.
    buffer: Vec<u8>,
    /// How many bytes are written.
    bytes: u64,
    rows: u64,
    token: ScanToken,
    saved_at: Instant,
    saved_bytes: u64,
}

impl Writer {
    /// Writes to standard output.
    pub(super) fn standard(encoder: Box<dyn Encoder>) -> Writer {
        Writer::new(encoder, Output::Standard(io::stdout()))
    }

    fn new(mut encoder: Box<dyn Encoder>, output: Output) -> Writer {
        let mut buffer = Vec::new();
        encoder.head(&mut buffer);
        let (bytes, rows, saved_bytes, saved_at) = (0, 0, 0, Instant::now());
        let token = ScanToken::default();
        Writer { encoder, output, buffer, bytes, rows, token, saved_at, saved_bytes }
    }

    /// Begins a file.
    pub(super) fn create(file: &Path, of: Exported, force: bool) -> Result<Writer, Failure> {
        let shown = file.display();
        let path = checkpoint::of_export(file);
        if !force && path.exists() {
            return Err(wrong_argument(format!(
                "an export to {shown} was interrupted: --resume goes on, --force begins again"
            )));
        }
        if !force && file.exists() {
            return Err(wrong_argument(format!("{shown} is there already: --force replaces it")));
        }
        let in_file = |error| of_file(&shown, error);
        let begin = ExportPoint {
            version: checkpoint::VERSION,
            of: of.clone(),
            bytes: 0,
            rows: 0,
            token: String::new(),
            state: String::new(),
        };
        // First, so that there is never a part of a file that looks like a whole one.
        checkpoint::save(&path, &begin).map_err(in_file)?;
        let encoder = encoder(of.format, &[]).map_err(in_file)?;
        let file = File::create(file).map_err(in_file)?;
        Ok(Writer::new(encoder, Output::File { file, path, of: Box::new(of) }))
    }

    /// Goes on with a file where its checkpoint says; begins it if there is neither.
    pub(super) fn resume(file: &Path, of: Exported) -> Result<Writer, Failure> {
        let shown = file.display();
        let path = checkpoint::of_export(file);
        let point: Option<ExportPoint> = checkpoint::load(&path).map_err(|error| {
            let detail = format!("{}: {error}; --force begins again", path.display());
            wrong_argument(detail)
        })?;
        let Some(point) = point else {
            if file.exists() {
                let detail = format!("{shown} is whole: there is no {} beside it", path.display());
                return Err(wrong_argument(detail));
            }
            return Writer::create(file, of, false);
        };
        if let Some(differs) = difference(&point, &of) {
            return Err(wrong_argument(format!(
                "{shown} was begun with {differs}: only the same export can be gone on with"
            )));
        }
        if point.bytes == 0 {
            return Writer::create(file, of, true);
        }
        let in_file = |error| of_file(&shown, error);
        let kept = OpenOptions::new().read(true).write(true).open(file).map_err(in_file)?;
        let length = kept.metadata().map_err(in_file)?.len();
        if length < point.bytes {
            let (path, bytes) = (path.display(), point.bytes);
            return Err(wrong_argument(format!(
                "{shown} has {length} bytes, and {path} says {bytes}: --force begins again"
            )));
        }
        let part = |text: &str| base64::decode(text.as_bytes()).map_err(wrong_argument);
        let token = ScanToken::from_bytes(&part(&point.token)?)?;
        let encoder = encoder(of.format, &part(&point.state)?).map_err(in_file)?;
        let mut writer = Writer::new(encoder, Output::File { file: kept, path, of: Box::new(of) });
        writer.buffer.clear();
        (writer.bytes, writer.saved_bytes) = (point.bytes, point.bytes);
        (writer.rows, writer.token) = (point.rows, token);
        writer.cut().map_err(in_file)?;
        Ok(writer)
    }

    /// How many rows there are already.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Where the scan is to go on.
    pub(super) fn token(&self) -> ScanToken {
        self.token.clone()
    }

    /// Cuts off what is behind the checkpoint.
    fn cut(&mut self) -> io::Result<()> {
        if let Output::File { file, .. } = &mut self.output {
            file.set_len(self.bytes)?;
            file.seek(SeekFrom::Start(self.bytes))?;
        }
        Ok(())
    }

    /// Writes all that comes. Without an end, what has come is made safe.
    pub(super) fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        bar: &ProgressBar,
    ) -> io::Result<Written> {
        let is_whole = loop {
            match messages.blocking_recv() {
                Some(Message::Page(page)) => {
                    self.page(&page)?;
                    bar.set_position(self.rows);
                }
                Some(Message::End) => break true,
                None => break false,
            }
        };
        if is_whole {
            self.finish()?
        } else {
            self.save()?
        }
        Ok(Written { rows: self.rows, bytes: self.bytes, is_whole })
    }

    fn page(&mut self, page: &Page) -> io::Result<()> {
        for (key, entry) in &page.entries {
            let row = Row {
                key: key.clone(),
                value: entry.value.clone(),
                expires_at: entry.expires_at,
                version: Some(entry.version.0),
            };
            self.encoder.row(&row, &mut self.buffer)?;
            if self.buffer.len() >= WRITE_BYTES {
                self.write_out()?;
            }
        }
        self.token.note(page);
        self.rows += page.entries.len() as u64;
        let pending = self.encoder.pending_bytes() as u64;
        let unsaved = self.bytes - self.saved_bytes + self.buffer.len() as u64;
        // What waits in the encoder is cheap to write only when it is much.
        let is_time = pending == 0 && self.saved_at.elapsed() >= CHECKPOINT_INTERVAL;
        if is_time || pending.max(unsaved) >= CHECKPOINT_BYTES {
            self.save()?;
        }
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.output.write_all(&self.buffer)?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes safe what there is, and says so in the checkpoint.
    fn save(&mut self) -> io::Result<()> {
        let at = self.bytes + self.buffer.len() as u64;
        self.encoder.flush(at, &mut self.buffer)?;
        self.write_out()?;
        if let Output::File { file, path, of } = &mut self.output {
            file.sync_data()?;
            let point = ExportPoint {
                version: checkpoint::VERSION,
                of: (**of).clone(),
                bytes: self.bytes,
                rows: self.rows,
                token: base64::encode(&self.token.to_bytes()),
                state: base64::encode(&self.encoder.state()?),
            };
            checkpoint::save(path, &point)?;
        }
        (self.saved_at, self.saved_bytes) = (Instant::now(), self.bytes);
        Ok(())
    }

    /// Ends the file; the checkpoint goes last.
    fn finish(&mut self) -> io::Result<()> {
        let at = self.bytes + self.buffer.len() as u64;
        self.encoder.flush(at, &mut self.buffer)?;
        self.encoder.tail(&mut self.buffer)?;
        self.write_out()?;
        if let Output::File { file, path, .. } = &mut self.output {
            file.sync_all()?;
            checkpoint::remove(path)?;
        }
        Ok(())
    }
}

/// What the checkpoint's export has that this one has not.
fn difference(point: &ExportPoint, of: &Exported) -> Option<String> {
    let begun = &point.of;
    if point.version != checkpoint::VERSION {
        return Some(format!("version {} of the checkpoint", point.version));
    }
    if begun.map != of.map {
        return Some(format!("the map {:?}", begun.map));
    }
    if (&begun.cluster, begun.map_id) != (&of.cluster, of.map_id) {
        return Some("another cluster, or before the map was dropped and made again".into());
    }
    if begun.format != of.format {
        return Some(format!("--format {}", begun.format.name()));
    }
    if (&begun.prefix, &begun.glob) != (&of.prefix, &of.glob) {
        return Some(format!("--prefix {:?} --glob {:?}", begun.prefix, begun.glob));
    }
    None
}

/// Standard output cannot be cut and gone on with.
pub(super) fn no_resume_on_a_pipe() -> Failure {
    wrong_argument("--resume needs a file: standard output cannot be gone on with")
}
