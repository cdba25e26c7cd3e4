//! A council that decides what the script says: the committed entry, and the proposals that reached it.

use isogrid_core::{Epoch, NodeId, PartitionEntry, Replica as Name};
use isogrid_replica::{Proposal, ProposedChange};

use super::show;
use super::world::World;

/// The committed entry, and what was proposed.
#[derive(Default)]
pub(super) struct Council {
    pub(super) entry: PartitionEntry,
    proposals: Vec<Proposal>,
}

impl Council {
    /// The first leads, all are in sync.
    pub(super) fn begin(in_sync: Vec<Name>) -> Self {
        let entry = PartitionEntry {
            epoch: Epoch(1),
            ver: 1,
            loss_generation: 0,
            primary: Some(in_sync[0].node.clone()),
            in_sync,
            learners: Vec::new(),
        };
        Council { entry, proposals: Vec::new() }
    }

    pub(super) fn hear(&mut self, proposals: Vec<Proposal>) {
        for proposal in proposals {
            if !self.proposals.contains(&proposal) {
                self.proposals.push(proposal);
            }
        }
    }

    fn promote(&mut self, node: NodeId) -> Result<(), String> {
        if !self.entry.in_sync.iter().any(|replica| replica.node == node) {
            return Err(format!("{node} is not in sync (R2)"));
        }
        self.entry.epoch.0 += 1;
        self.entry.primary = Some(node);
        Ok(())
    }

    fn forget(&mut self, node: &NodeId) {
        self.entry.in_sync.retain(|replica| replica.node != *node);
        self.entry.learners.retain(|replica| replica.node != *node);
    }

    /// Compare and set.
    fn decide(&mut self, proposal: Proposal) -> Result<(), String> {
        let entry = &mut self.entry;
        if (proposal.epoch, proposal.ver) != (entry.epoch, entry.ver) {
            return Err(format!("epoch {} ver {} has passed", proposal.epoch.0, proposal.ver));
        }
        match proposal.change {
            ProposedChange::Add(replica) => {
                if !entry.learners.contains(&replica) {
                    return Err(format!("{} is no learner (R5)", show::name(&replica)));
                }
                self.forget(&replica.node);
                self.entry.in_sync.push(replica);
            }
            ProposedChange::Remove(replica) => {
                entry.in_sync.retain(|other| *other != replica);
            }
            ProposedChange::HandOver(node) => self.promote(node)?,
        }
        Ok(())
    }
}

impl World {
    pub(super) fn ask_council(&mut self, words: &[&str]) -> Result<(), String> {
        let council = &mut self.council;
        match words {
            ["show"] => {}
            ["lose"] => {
                for proposal in std::mem::take(&mut council.proposals) {
                    self.out.push_str(&format!(
                        "council: never hears of {}\n",
                        show::proposal(&proposal)
                    ));
                }
                return Ok(());
            }
            ["decide"] => return self.decide(),
            ["promote", node] => council.promote(NodeId::new(node))?,
            ["remove" | "drop", node] => council.forget(&NodeId::new(node)),
            ["learner", node] => {
                let replica = self.nodes[*node].name.clone();
                council.forget(&replica.node);
                council.entry.learners.push(replica);
            }
            // The node came back and proved its storage: its entry is bound to its new life (R4).
            ["register", node] => {
                let replica = self.nodes[*node].name.clone();
                let entry = &mut council.entry;
                let places = entry.in_sync.iter_mut().chain(&mut entry.learners);
                let place = places.into_iter().find(|old| old.node == replica.node);
                *place.ok_or("it has no place")? = replica.clone();
                if entry.primary.as_ref() == Some(&replica.node) {
                    entry.epoch.0 += 1;
                }
            }
            // All in-sync replicas are lost, and the operator goes on with what this one has.
            ["reset", node] => {
                let replica = self.nodes[*node].name.clone();
                council.forget(&replica.node);
                let entry = &mut council.entry;
                entry.in_sync = vec![replica.clone()];
                entry.primary = Some(replica.node);
                entry.epoch.0 += 1;
                entry.loss_generation += 1;
            }
            _ => return Err("the council does not know that".to_owned()),
        }
        if *words != ["show"] {
            self.council.entry.ver += 1;
        }
        self.out.push_str(&format!("council: {}\n", show::entry(&self.council.entry)));
        Ok(())
    }

    fn decide(&mut self) -> Result<(), String> {
        for proposal in std::mem::take(&mut self.council.proposals) {
            let what = show::proposal(&proposal);
            match self.council.decide(proposal) {
                Ok(()) => {
                    self.council.entry.ver += 1;
                    let line = show::entry(&self.council.entry);
                    self.out.push_str(&format!("council: {what}: {line}\n"));
                }
                Err(why) => self.out.push_str(&format!("council: refuses {what}: {why}\n")),
            }
        }
        Ok(())
    }
}
