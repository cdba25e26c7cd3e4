//! From a key to its slot and its partition: the Redis Cluster rule, so that every cluster-aware Redis client and every
//! Isogrid client agree on where a key lives.

use crate::id::{PartitionId, SlotId};

/// How many slots there are. Fixed by the Redis Cluster rule.
pub const SLOTS: u32 = 16_384;

/// The number of partitions of a cluster that does not say otherwise.
pub const PARTITIONS_DEFAULT: u16 = 256;

/// The part of a key that decides where it lives: the text between the first `{` and the next `}` if it is not empty,
/// else the whole key.
pub fn partition_key(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|&byte| byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|&byte| byte == b'}') {
        Some(close) if close > 0 => &rest[..close],
        _ => key,
    }
}

/// The slot of a key: CRC16 (XMODEM) of its partition key, modulo 16,384.
pub fn slot_of(key: &[u8]) -> SlotId {
    slot_of_partition_key(partition_key(key))
}

/// The slot of all keys whose [partition key](partition_key) is this.
pub fn slot_of_partition_key(partition_key: &[u8]) -> SlotId {
    SlotId(crc16(partition_key) & (SLOTS as u16 - 1))
}

/// How many partitions a cluster has: a power of two from 1 to 16,384, fixed when the cluster is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionCount {
    partitions: u16,
    shift: u8,
}

impl PartitionCount {
    /// A partition count, or `None` when it is not a power of two from 1 to 16,384.
    pub fn new(partitions: u16) -> Option<Self> {
        if !partitions.is_power_of_two() || u32::from(partitions) > SLOTS {
            return None;
        }
        let shift = SLOTS.ilog2() - u32::from(partitions).ilog2();
        Some(Self { partitions, shift: shift as u8 })
    }

    /// The number of partitions.
    pub fn get(self) -> u16 {
        self.partitions
    }

    /// The partition a slot belongs to: `slot * P / 16384`.
    pub fn partition_of(self, slot: SlotId) -> PartitionId {
        PartitionId(slot.0 >> self.shift)
    }

    /// The partition a key belongs to.
    pub fn partition_of_key(self, key: &[u8]) -> PartitionId {
        self.partition_of(slot_of(key))
    }

    /// The slots of a partition, first and last.
    pub fn slots_of(self, partition: PartitionId) -> (SlotId, SlotId) {
        let width = 1u16 << self.shift;
        let first = partition.0 << self.shift;
        (SlotId(first), SlotId(first + (width - 1)))
    }

    /// All partitions, in order.
    pub fn iter(self) -> impl Iterator<Item = PartitionId> {
        (0..self.partitions).map(PartitionId)
    }
}

impl Default for PartitionCount {
    fn default() -> Self {
        PartitionCount::new(PARTITIONS_DEFAULT).expect("the default is a power of two")
    }
}

/// CRC16 with polynomial 0x1021 and zero initial value (XMODEM), eight bytes per step.
pub fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        crc = CRC16[7][usize::from(chunk[0] ^ (crc >> 8) as u8)]
            ^ CRC16[6][usize::from(chunk[1] ^ crc as u8)]
            ^ CRC16[5][usize::from(chunk[2])]
            ^ CRC16[4][usize::from(chunk[3])]
            ^ CRC16[3][usize::from(chunk[4])]
            ^ CRC16[2][usize::from(chunk[5])]
            ^ CRC16[1][usize::from(chunk[6])]
            ^ CRC16[0][usize::from(chunk[7])];
    }
    for &byte in chunks.remainder() {
        crc = (crc << 8) ^ CRC16[0][usize::from((crc >> 8) as u8 ^ byte)];
    }
    crc
}

/// `CRC16[k][b]` is the CRC of byte `b` followed by `k` zero bytes.
static CRC16: [[u16; 256]; 8] = crc16_tables();

const fn crc16_tables() -> [[u16; 256]; 8] {
    let mut tables = [[0u16; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 8 {
        let mut byte = 0;
        while byte < 256 {
            let previous = tables[zeros - 1][byte];
            tables[zeros][byte] = (previous << 8) ^ tables[0][(previous >> 8) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// One bit at a time: slow and obviously right.
    fn crc16_bitwise(bytes: &[u8]) -> u16 {
        bytes.iter().fold(0, |crc, &byte| {
            (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
                if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 }
            })
        })
    }

    #[test]
    fn slots_agree_with_redis() {
        // CLUSTER KEYSLOT of redis-server 7.0.
        let known: [(&str, u16); 9] = [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("bar", 5_061),
            ("hello", 866),
            ("somekey", 11_058),
            ("foo{hash_tag}", 2_515),
            ("bar{hash_tag}", 2_515),
            ("", 0),
            ("user:1000", 1_649),
        ];
        for (key, slot) in known {
            assert_eq!(slot_of(key.as_bytes()), SlotId(slot), "slot of {key:?}");
        }
        assert_eq!(crc16(b"123456789"), 0x31c3, "the check value of CRC-16/XMODEM");
    }

    #[test]
    fn the_hash_tag_decides() {
        assert_eq!(partition_key(b"{user1000}.following"), b"user1000");
        assert_eq!(
            partition_key(b"foo{}{bar}"),
            b"foo{}{bar}",
            "an empty first tag counts as none"
        );
        assert_eq!(partition_key(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(partition_key(b"foo{bar}{zap}"), b"bar");
        assert_eq!(partition_key(b"foo{bar"), b"foo{bar", "an open tag is no tag");
        assert_eq!(partition_key(b"a}b{c}"), b"c");
    }

    #[test]
    fn partition_counts_are_powers_of_two() {
        assert!(PartitionCount::new(0).is_none());
        assert!(PartitionCount::new(100).is_none());
        assert!(PartitionCount::new(32_768).is_none());
        for count in (0..=14).map(|bits| 1u16 << bits) {
            let partitions = PartitionCount::new(count).expect("a power of two");
            for slot in 0..SLOTS as u16 {
                let expected = u32::from(slot) * u32::from(count) / SLOTS;
                assert_eq!(u32::from(partitions.partition_of(SlotId(slot)).0), expected);
            }
            let (first, last) = partitions.slots_of(PartitionId(count - 1));
            assert_eq!(partitions.partition_of(first), PartitionId(count - 1));
            assert_eq!(u32::from(last.0), SLOTS - 1);
        }
    }

    proptest! {
        #[test]
        fn crc16_by_eight_agrees_with_bit_by_bit(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(crc16(&bytes), crc16_bitwise(&bytes));
        }

        #[test]
        fn keys_with_one_tag_share_a_slot(tag in "[a-z]{1,8}", left in "[a-z]{0,8}", right in "[a-z{}]{0,8}") {
            let key = format!("{left}{{{tag}}}{right}");
            prop_assert_eq!(slot_of(key.as_bytes()), slot_of(tag.as_bytes()));
        }
    }
}
