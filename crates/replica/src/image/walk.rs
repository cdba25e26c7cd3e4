//! [`ImageWalk`]: an image is taken page by page while the replica goes on, so that nobody waits for more than a page.
//!
//! A page shows the records as they are then, so later pages show later data than earlier ones. That does no harm: with the log's
//! entries from where the walk began to where it ended, applied to what is older than they are, the data are exactly those of the
//! end, removals included, whatever the pages caught of them. So an image is worth something when
//!
//! - all that a page may have shown is committed, and no page showed something that was taken back later: a primary's data run
//!   ahead of its commit index;
//! - the log on disk reaches from its beginning to its end.

use isogrid_core::{Hlc, LogPosition};
use isogrid_store::WalkCursor;

use super::{Image, put_record};
use crate::replica::{Replica, RoleName};
use crate::state::State;

/// How many bytes of records are looked at in one go when nobody waits.
const WALK_BYTES: usize = 1 << 20;

/// What an image begins with: all but its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageHead {
    /// Where the walk began.
    pub position: LogPosition,
    /// The hybrid clock then.
    pub hlc: Hlc,
    /// How often the history was declared lost.
    pub loss_generation: u32,
    /// Encoded sessions at the position.
    pub sessions: Vec<u8>,
}

/// What an image is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All that its pages showed is committed.
    Settled,
    /// Not all of it is committed yet.
    Waits,
    /// Nothing, and it never will be: a page may have shown what is not so.
    Void,
}

/// A walk through a replica's data that goes on, page by page.
#[derive(Clone, Debug)]
pub struct ImageWalk {
    cursor: Option<WalkCursor>,
    /// The last entry whose change a page may show.
    shown: LogPosition,
    /// What changes when data are taken back or replaced.
    history: History,
}

/// As long as this stays the same, data only go forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct History {
    disk_voided: u32,
    undone: u64,
    loss_generation: u32,
}

impl ImageWalk {
    /// Adds the records of the next page, about so many bytes, and says how many there are. `None` when the image is void:
    /// there is no next page then.
    pub fn page(
        &mut self,
        replica: &Replica,
        bytes_max: usize,
        records: &mut Vec<u8>,
    ) -> Option<u32> {
        if self.standing(replica) == Standing::Void {
            return None;
        }
        self.shown = replica.data_position();
        let Some(cursor) = self.cursor else { return Some(0) };
        let page = replica.store().walk(cursor, bytes_max);
        for record in &page.records {
            put_record(records, record.map, record.key, &record.entry);
        }
        self.cursor = page.next;
        Some(page.records.len() as u32)
    }

    /// Whether all pages were taken.
    pub fn is_done(&self) -> bool {
        self.cursor.is_none()
    }

    /// Where the walk ended: the log must reach to there.
    pub fn end(&self) -> LogPosition {
        self.shown
    }

    /// What the pages so far are worth.
    pub fn standing(&self, replica: &Replica) -> Standing {
        let state = replica.state();
        if History::of(state) != self.history || !replica.is_complete() {
            Standing::Void
        } else if state.commit >= self.shown.seq || replica.commits_by_image() {
            Standing::Settled
        } else {
            Standing::Waits
        }
    }
}

impl History {
    fn of(state: &State) -> Self {
        let State { disk_voided, undone, loss_generation, .. } = *state;
        History { disk_voided, undone, loss_generation }
    }
}

impl Replica {
    /// Begins an image; `None` while the data are not whole, or may not be.
    pub fn begin_image(&self) -> Option<(ImageWalk, ImageHead)> {
        let state = self.state();
        if !self.is_complete() || state.is_doubted {
            return None;
        }
        let position = self.data_position();
        let mut sessions = state.sessions.clone();
        sessions.settle(position.seq);
        let mut encoded = Vec::new();
        sessions.encode(&mut encoded);
        let head = ImageHead {
            position,
            hlc: state.hlc,
            loss_generation: state.loss_generation,
            sessions: encoded,
        };
        let history = History::of(state);
        Some((ImageWalk { cursor: Some(WalkCursor::default()), shown: position, history }, head))
    }

    /// An image of the data as they are now, in one go; `None` while they are not those of a committed position.
    pub fn image(&self) -> Option<Image> {
        let (mut walk, head) = self.begin_image()?;
        if walk.standing(self) != Standing::Settled {
            return None;
        }
        let mut records = Vec::new();
        while !walk.is_done() {
            walk.page(self, WALK_BYTES, &mut records)?;
        }
        Some(Image::new(head, walk.end(), records))
    }

    /// Of which position the data are: a primary's are those of its whole log, committed or not.
    fn data_position(&self) -> LogPosition {
        match self.role() {
            RoleName::Primary => self.log().last(),
            RoleName::Backup | RoleName::Learner => self.state().commit_position(),
        }
    }

    /// A primary that is the only member commits by being on disk. When it leads without a whole copy, because data were
    /// declared lost, it has nothing on disk that entries could follow: all it has is committed by an image.
    fn commits_by_image(&self) -> bool {
        let state = self.state();
        let is_alone = state.view.in_sync == [state.me.clone()];
        self.role() == RoleName::Primary && is_alone && self.lacks_image()
    }
}

#[cfg(test)]
#[path = "walk_test.rs"]
mod tests;
