//! When the council's leader says that a node can be stopped, it is so: of every partition that the node holds somebody else
//! who lives has every acknowledged write, and everything up to the position in the proof.

use isogrid_cluster::steward::{CanStop, Proof};
use isogrid_core::{LogPosition, NodeId};
use isogrid_replica::log::Match;

use crate::grid::world::World;
use crate::invariant::{Invariant, Violation};

/// The name of the rule in violations.
pub(in crate::grid) const RULE: &str = "can_stop tells the truth";

pub(super) struct CanStopIsTrue;

impl Invariant<World> for CanStopIsTrue {
    fn name(&self) -> &'static str {
        RULE
    }

    fn check(&mut self, world: &World) -> Result<(), Violation> {
        let Some((node, CanStop::Yes { proof })) = &world.asked_to_stop else { return Ok(()) };
        let wrong = |what: String| {
            Violation::new(RULE, format!("{node} may stop, but {what}")).at(world.now())
        };
        for (partition, entry) in world.council.council.table().iter() {
            if !entry.in_sync.iter().any(|member| member.node == *node) {
                continue;
            }
            let proof = proof.iter().find(|proof| proof.partition == partition);
            let Some(proof) = proof else {
                return Err(wrong(format!("nothing is proven of partition {}", partition.0)));
            };
            check_proof(world, node, proof).map_err(wrong)?;
        }
        Ok(())
    }
}

fn check_proof(world: &World, node: &NodeId, proof: &Proof) -> Result<(), String> {
    let (partition, council) = (proof.partition, &world.council.council);
    let acked = world.acked.get(&partition).copied();
    let mut promised = acked.into_iter().chain(proof.up_to);
    if proof.held_by.is_empty() {
        return Err(format!("nobody else has partition {}", partition.0));
    }
    for holder in &proof.held_by {
        let member = council.entry(partition).and_then(|entry| {
            entry.in_sync.iter().find(|member| member.node == *holder && holder != node)
        });
        let Some(member) = member.filter(|member| council.can_lead(partition, member)) else {
            return Err(format!("{holder} cannot lead partition {}", partition.0));
        };
        let index = world.names.get(holder);
        let replica = index.and_then(|index| world.replica(*index, partition));
        // Whose process has just ended has it nonetheless, as far as anybody can know.
        let Some(replica) = replica.filter(|replica| replica.me() == member) else { continue };
        let lacks = |position: &LogPosition| replica.log().matches(*position) == Match::No;
        if let Some(position) = promised.find(lacks) {
            let last = replica.log().last();
            return Err(format!(
                "{holder} has partition {} up to {last}, not {position}",
                partition.0
            ));
        }
    }
    Ok(())
}
