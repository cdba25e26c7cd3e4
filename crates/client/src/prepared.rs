//! [`Prepared`]: an operation that holds its key and value until it has been answered, since it may be sent more than
//! once.

use std::borrow::Cow;

use isogrid_core::{
    Condition, ErrorCode, Expiry, Limits, NumberFormat, Op, PartitionCount, PartitionId, Receipt,
    Scan, View,
};
use isogrid_proto::frame::{AtLeast, OpOptions, ReadMode};

use crate::error::{Error, Result};
use crate::key::KeyBytes;
use crate::numbers::Tag;

/// About the bytes an operation takes in a frame besides its key and values.
pub(crate) const OP_BYTES_OVERHEAD: usize = 64;

/// What to do with the key; partition operations have none.
#[derive(Clone, Debug)]
pub(crate) enum Action<'a> {
    Get,
    Exists,
    Touch,
    Put { condition: Condition, expiry: Expiry, return_old: bool },
    Delete { condition: Condition, return_old: bool },
    CompareAndSet { expected: Option<Cow<'a, [u8]>>, expiry: Expiry },
    Expire { expiry: Expiry },
    Increment { delta: i64, format: NumberFormat, expiry: Expiry },
    IncrementFloat { delta: f64, format: NumberFormat, expiry: Expiry },
    Append,
    Rename { to: KeyBytes<'a>, if_absent: bool },
    Scan(Box<ScanAction>),
    Len { partition: PartitionId },
    Clear { partition: PartitionId },
}

/// One page of a scan.
#[derive(Clone, Debug)]
pub(crate) struct ScanAction {
    pub(crate) partition: PartitionId,
    pub(crate) cursor: u64,
    pub(crate) entries_max: u32,
    pub(crate) prefix: Box<[u8]>,
    pub(crate) glob: Box<[u8]>,
    /// Encoded; empty: none.
    pub(crate) filter: bytes::Bytes,
    pub(crate) with_values: bool,
}

/// How a read chooses among replicas; only reads that say something about it have one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadChoice {
    pub(crate) mode: Option<ReadMode>,
    pub(crate) at_least: Option<Receipt>,
}

/// An operation, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Prepared<'a> {
    key: KeyBytes<'a>,
    value: Cow<'a, [u8]>,
    pub(crate) action: Action<'a>,
    read: Option<Box<ReadChoice>>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(key: KeyBytes<'a>, action: Action<'a>) -> Self {
        Self { key, value: Cow::Borrowed(&[]), action, read: None }
    }

    pub(crate) fn with_value(mut self, value: Cow<'a, [u8]>) -> Self {
        self.value = value;
        self
    }

    pub(crate) fn on_partition(action: Action<'a>) -> Self {
        Self::new(KeyBytes::borrowed(&[]), action)
    }

    /// The same operation, borrowing nothing.
    pub(crate) fn into_owned(self) -> Prepared<'static> {
        let owned = |bytes: Cow<'a, [u8]>| Cow::<'static, [u8]>::Owned(bytes.into_owned());
        let action = match self.action {
            Action::Get => Action::Get,
            Action::Exists => Action::Exists,
            Action::Touch => Action::Touch,
            Action::Put { condition, expiry, return_old } => {
                Action::Put { condition, expiry, return_old }
            }
            Action::Delete { condition, return_old } => Action::Delete { condition, return_old },
            Action::CompareAndSet { expected, expiry } => {
                Action::CompareAndSet { expected: expected.map(owned), expiry }
            }
            Action::Expire { expiry } => Action::Expire { expiry },
            Action::Increment { delta, format, expiry } => {
                Action::Increment { delta, format, expiry }
            }
            Action::IncrementFloat { delta, format, expiry } => {
                Action::IncrementFloat { delta, format, expiry }
            }
            Action::Append => Action::Append,
            Action::Rename { to, if_absent } => Action::Rename { to: to.into_owned(), if_absent },
            Action::Scan(scan) => Action::Scan(scan),
            Action::Len { partition } => Action::Len { partition },
            Action::Clear { partition } => Action::Clear { partition },
        };
        let (key, value) = (self.key.into_owned(), owned(self.value));
        Prepared { key, value, action, read: self.read }
    }

    /// How a read chooses among replicas, to be set.
    pub(crate) fn read_choice(&mut self) -> &mut ReadChoice {
        self.read.get_or_insert_default()
    }

    /// Whether any replica may answer, so that the nearest one is asked.
    #[inline]
    pub(crate) fn may_read_anywhere(&self) -> bool {
        self.read
            .as_ref()
            .is_some_and(|read| matches!(read.mode, Some(ReadMode::Backup { .. } | ReadMode::Any)))
    }

    /// Whether the operation leaves the data as it is.
    #[inline]
    pub(crate) fn is_read(&self) -> bool {
        matches!(
            self.action,
            Action::Get | Action::Exists | Action::Touch | Action::Scan(_) | Action::Len { .. }
        )
    }

    /// What goes into the frame beside the operation.
    #[inline]
    pub(crate) fn options(&self, tag: Option<&Tag>) -> OpOptions {
        let mut options = OpOptions { tag: tag.map(|tag| tag.wire()), ..OpOptions::NONE };
        if let Some(read) = &self.read {
            options.mode = read.mode;
            options.at_least = read.at_least.as_ref().map(AtLeast::from);
        }
        options
    }

    /// Refuses a receipt that says nothing about this operation's partition.
    #[inline]
    pub(crate) fn check_receipt(&self, partition: PartitionId) -> Result<()> {
        let Some(receipt) = self.read.as_ref().and_then(|read| read.at_least.as_ref()) else {
            return Ok(());
        };
        if receipt.partition == partition {
            return Ok(());
        }
        let detail = format!(
            "the receipt is of partition {}, the key is in {}",
            receipt.partition.0, partition.0
        );
        Err(Error::new(ErrorCode::ArgumentInvalid, detail))
    }

    /// The operation in the words of the core.
    #[inline]
    pub(crate) fn op(&self) -> Op<'_> {
        let key = self.key.as_ref();
        let value = &*self.value;
        match &self.action {
            Action::Get => Op::Get { key },
            Action::Exists => Op::Exists { key },
            Action::Touch => Op::Touch { key },
            Action::Put { condition, expiry, return_old } => Op::Put {
                key,
                value,
                condition: *condition,
                expiry: *expiry,
                return_old: *return_old,
            },
            Action::Delete { condition, return_old } => {
                Op::Delete { key, condition: *condition, return_old: *return_old }
            }
            Action::CompareAndSet { expected, expiry } => {
                Op::CompareAndSet { key, expected: expected.as_deref(), value, expiry: *expiry }
            }
            Action::Expire { expiry } => Op::Expire { key, expiry: *expiry },
            Action::Increment { delta, format, expiry } => {
                Op::Increment { key, delta: *delta, format: *format, expiry: *expiry }
            }
            Action::IncrementFloat { delta, format, expiry } => {
                Op::IncrementFloat { key, delta: *delta, format: *format, expiry: *expiry }
            }
            Action::Append => Op::Append { key, value },
            Action::Rename { to, if_absent } => {
                Op::Rename { from: key, to: to.as_ref(), if_absent: *if_absent }
            }
            Action::Scan(scan) => Op::Scan(Scan {
                partition: scan.partition,
                cursor: scan.cursor,
                entries_max: scan.entries_max,
                prefix: &scan.prefix,
                glob: &scan.glob,
                filter: &scan.filter,
                with_values: scan.with_values,
                view: View::Latest,
            }),
            Action::Len { partition } => Op::Len { partition: *partition },
            Action::Clear { partition } => Op::Clear { partition: *partition },
        }
    }

    /// Where the operation belongs.
    #[inline]
    pub(crate) fn partition(&self, partitions: PartitionCount) -> PartitionId {
        match &self.action {
            Action::Scan(scan) => scan.partition,
            Action::Len { partition } | Action::Clear { partition } => *partition,
            _ => partitions.partition_of_key(self.key.as_ref()),
        }
    }

    /// About how many bytes the operation takes in a frame.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        let more = match &self.action {
            Action::CompareAndSet { expected: Some(expected), .. } => expected.len(),
            Action::Rename { to, .. } => to.as_ref().len(),
            Action::Scan(scan) => scan.prefix.len() + scan.glob.len() + scan.filter.len(),
            _ => 0,
        };
        OP_BYTES_OVERHEAD + self.key.as_ref().len() + self.value.len() + more
    }

    /// Refuses what the node would refuse, before it is sent.
    #[inline]
    pub(crate) fn check(&self, limits: &Limits, partitions: PartitionCount) -> Result<()> {
        if matches!(self.action, Action::Rename { .. }) {
            self.op().check_together(partitions)?;
        }
        limits.check_key(self.key.as_ref())?;
        limits.check_value(&self.value)?;
        match &self.action {
            Action::CompareAndSet { expected: Some(expected), .. } => {
                limits.check_value(expected)?;
            }
            Action::Rename { to, .. } => limits.check_key(to.as_ref())?,
            Action::Scan(scan) => {
                limits.check_key(&scan.prefix)?;
                if scan.glob.len() > limits.key_bytes_max {
                    let detail = format!("{} bytes, longer than any key", scan.glob.len());
                    return Err(Error::new(ErrorCode::PatternInvalid, detail));
                }
            }
            _ => {}
        }
        if self.bytes() > limits.frame_bytes_max {
            let detail = format!("{} bytes, at most {}", self.bytes(), limits.frame_bytes_max);
            return Err(Error::new(ErrorCode::FrameTooLarge, detail));
        }
        Ok(())
    }

    /// The name of the operation in traces.
    pub(crate) fn name(&self) -> &'static str {
        match &self.action {
            Action::Get => "get",
            Action::Exists => "contains",
            Action::Touch => "touch",
            Action::Put { .. } => "put",
            Action::Delete { .. } => "delete",
            Action::CompareAndSet { .. } => "compare_and_set",
            Action::Expire { .. } => "expire",
            Action::Increment { .. } => "incr",
            Action::IncrementFloat { .. } => "incr_float",
            Action::Append => "append",
            Action::Rename { .. } => "rename",
            Action::Scan(_) => "scan",
            Action::Len { .. } => "len",
            Action::Clear { .. } => "clear",
        }
    }
}
