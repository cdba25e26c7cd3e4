//! A node is down: one command, and every partition it leads gets another primary.

use isogrid_core::{Incarnation, MemberState, NodeId, PartitionId};

use super::choose::Loads;
use super::draft::Draft;
use super::outcome::{Fenced, Outcome, Refusal};
use super::state::Council;

impl Council {
    pub(super) fn node_down(
        &mut self,
        node: &NodeId,
        incarnation: Incarnation,
    ) -> Result<Outcome, Refusal> {
        let record = self.nodes.get_mut(node).ok_or(Refusal::Unknown)?;
        if record.incarnation() != incarnation {
            return Err(Refusal::NotCurrent);
        }
        if record.member.state == MemberState::Down {
            return Ok(Outcome::Unchanged);
        }
        let state = std::mem::replace(&mut record.member.state, MemberState::Down);
        if state == MemberState::Joining {
            self.nodes_version += 1;
            return Ok(Outcome::Fenced(Fenced::default()));
        }
        // Who has the fewest primaries is asked again after each choice, so that they spread.
        let mut loads = Loads::of_table(&self.table);
        let mut fenced = Fenced::default();
        let led: Vec<PartitionId> = self.table.owned_by(node).collect();
        let mut draft = Draft::new(self);
        for partition in led {
            match draft.leader_but(partition, node, &loads) {
                Some(leader) => {
                    loads.add(&leader.node);
                    draft.lead(partition, &leader);
                    fenced.promoted.push(partition);
                }
                None => fenced.blocked.push(partition),
            }
        }
        match draft.finish() {
            Ok(drafted) => {
                self.accept(drafted);
                self.nodes_version += 1;
            }
            Err(why) => {
                if let Some(record) = self.nodes.get_mut(node) {
                    record.member.state = state;
                }
                return Err(why);
            }
        }
        Ok(Outcome::Fenced(fenced))
    }
}
