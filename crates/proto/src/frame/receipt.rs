//! How a receipt stands in a reply frame.

use bytes::{BufMut, BytesMut};
use isogrid_core::{Durability, LogPosition, PartitionId, Receipt, Result};

use super::reader::Reader;

/// The flags of a receipt whose write is on disk, and stays there without power.
const WRITTEN: u8 = 1;
const SYNCED: u8 = 1 << 1;

#[inline]
fn durability_flags(durability: Durability) -> u8 {
    match durability {
        Durability::Memory => 0,
        Durability::Os => WRITTEN,
        Durability::Fsync => WRITTEN | SYNCED,
    }
}

fn durability_of(flags: u8) -> Durability {
    match (flags & WRITTEN != 0, flags & SYNCED != 0) {
        (false, _) => Durability::Memory,
        (true, false) => Durability::Os,
        (true, true) => Durability::Fsync,
    }
}

/// Writes a receipt.
#[inline]
pub(super) fn put_receipt(receipt: &Receipt, out: &mut BytesMut) {
    out.reserve(26);
    out.put_u64_le(receipt.position.epoch.0);
    out.put_u64_le(receipt.position.seq);
    out.put_u32_le(receipt.loss_generation);
    out.put_slice(&[receipt.replicas, durability_flags(receipt.durability)]);
    out.put_u32_le(u32::try_from(receipt.lag_ops).unwrap_or(u32::MAX));
}

/// A receipt as it stands in a frame. Its partition is that of the operation, which is not known here.
pub(super) fn read_receipt(reader: &mut Reader<'_>) -> Result<Receipt> {
    Ok(Receipt {
        partition: PartitionId(0),
        position: LogPosition::new(reader.u64()?, reader.u64()?),
        loss_generation: reader.u32()?,
        replicas: reader.u8()?,
        durability: durability_of(reader.u8()?),
        lag_ops: u64::from(reader.u32()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_write_survives_is_read_as_it_was_written() {
        for durability in [Durability::Memory, Durability::Os, Durability::Fsync] {
            assert_eq!(durability_of(durability_flags(durability)), durability);
        }
        assert_eq!(durability_of(SYNCED), Durability::Memory, "no node says so: it promises least");
    }
}
