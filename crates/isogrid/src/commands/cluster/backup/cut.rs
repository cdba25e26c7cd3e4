//! The cut: a clock behind everything that was told so far, and the fence that no later entry comes before.

use std::collections::BTreeMap;
use std::time::Instant;

use isogrid_core::{ErrorCode, Hlc};

use super::rounds::{Aim, Rounds};
use crate::exit::Failure;

impl Rounds<'_> {
    /// Everything that was told so far is before the cut: its clock is behind all that any node has.
    pub(super) async fn choose_cut(&mut self) -> Result<(), Failure> {
        self.hold(true);
        let begun = Instant::now();
        let (mut clock, mut apart_ms) = (Hlc(0), (i64::MAX, i64::MIN));
        for node in self.leaders() {
            let asked = begun.elapsed().as_millis() as i64;
            let Ok(told) = self.cluster.fence(&node, 0, &[]).await else {
                // It is found lost soon.
                self.hold(false);
                return Ok(());
            };
            clock = clock.max(Hlc(told.hybrid));
            let wall_ms = told.wall_ms.cast_signed() - asked;
            apart_ms = (apart_ms.0.min(wall_ms), apart_ms.1.max(wall_ms));
        }
        let clocks_apart_ms = apart_ms.1.saturating_sub(apart_ms.0).max(0).cast_unsigned();
        self.aim = Some(Aim { clock, clocks_apart_ms, since: Instant::now() });
        self.fence(clock).await
    }

    /// Who leads partitions of this backup.
    fn leaders(&self) -> Vec<String> {
        let streams = self.partitions.values().filter_map(|one| one.stream);
        let mut leaders: Vec<String> =
            streams.filter_map(|stream| self.nodes.get(&stream).cloned()).collect();
        leaders.sort_unstable();
        leaders.dedup();
        leaders
    }

    /// Puts up the fence where it is not seen yet.
    pub(super) async fn fence(&mut self, clock: Hlc) -> Result<(), Failure> {
        let mut unseen: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for (partition, one) in &self.partitions {
            let reaches = one.collector.as_ref().is_some_and(|collector| collector.reaches(clock));
            let node = one.stream.and_then(|stream| self.nodes.get(&stream));
            if let Some(node) = node.filter(|_| !reaches) {
                unseen.entry(node.clone()).or_default().push(*partition);
            }
        }
        for (node, partitions) in unseen {
            match self.cluster.fence(&node, clock.0, &partitions).await {
                Err(error) if error.code() == ErrorCode::ClocksApart => return Err(error.into()),
                // It is found lost soon, or asked again.
                Err(error) => self.last_error = Some(error.into()),
                Ok(_) => {}
            }
        }
        Ok(())
    }
}
