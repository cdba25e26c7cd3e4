//! A node registers a new life (R4): entries follow it when it proves that it still has what it acknowledged.

use isogrid_core::{Member, MemberState, NodeId, PartitionId, Replica};

use super::choose::Loads;
use super::draft::Draft;
use super::limits::{NODES_MAX, TEXT_BYTES_MAX};
use super::node::{Intent, NodeRecord, StorageProof, StorageRecord};
use super::outcome::{Outcome, Refusal, Registered};
use super::partition::PartitionFacts;
use super::state::Council;

/// A node that comes back in a new life.
struct Return<'a> {
    life: Replica,
    proof: &'a StorageProof,
    /// What its last life stored on.
    last: StorageRecord,
}

/// What becomes of the node's membership in one partition.
enum Fate {
    /// It goes on, and so does its log.
    Sound,
    /// It goes on, and the end of its log may be missing.
    Suspect,
    /// The storage is another one.
    Lost {
        /// On what the log was.
        storage: StorageRecord,
    },
}

impl Council {
    pub(super) fn register(
        &mut self,
        member: &Member,
        proof: &StorageProof,
    ) -> Result<Outcome, Refusal> {
        let before = self.nodes.get(&member.id).cloned();
        check_member(member)?;
        if before.is_none() && self.nodes.len() >= NODES_MAX {
            return Err(Refusal::OutOfBounds);
        }
        let Some((known, last)) = before.as_ref().and_then(|known| Some((known, known.storage?)))
        else {
            if let Some(&registered) = self.forgotten.get(&member.id)
                && member.incarnation < registered
            {
                return Err(Refusal::OldIncarnation { registered });
            }
            self.forgotten.remove(&member.id);
            self.put_node(member, proof);
            let table = self.table.version();
            return Ok(Outcome::Registered(Registered { table, ..Registered::default() }));
        };
        let registered = known.incarnation();
        if member.incarnation < registered {
            return Err(Refusal::OldIncarnation { registered });
        }
        if member.incarnation == registered {
            return self.register_again(&member.id, proof);
        }
        let nodes_version = self.nodes_version;
        self.put_node(member, proof);
        let life = Replica { node: member.id.clone(), incarnation: member.incarnation };
        let registered = self.follow(&Return { life, proof, last });
        if let (Err(_), Some(known)) = (&registered, before) {
            self.nodes.insert(member.id.clone(), known);
            self.nodes_version = nodes_version;
        }
        Ok(Outcome::Registered(registered?))
    }

    /// The same life once more: a duplicate, or a node that was declared down and never was. What the first answer said of
    /// its logs is said again, because that answer may have been lost.
    fn register_again(&mut self, node: &NodeId, proof: &StorageProof) -> Result<Outcome, Refusal> {
        let known = self.nodes.get_mut(node).ok_or(Refusal::Unknown)?;
        if known.storage.map(|storage| storage.storage_id) != Some(proof.storage_id) {
            return Err(Refusal::OtherStorage);
        }
        if known.member.state == MemberState::Down {
            known.member.state = known.state_when_up();
            self.nodes_version += 1;
        }
        let of_node = |is_meant: fn(&PartitionFacts, &NodeId) -> bool| {
            let facts = self.facts.iter().filter(|(_, facts)| is_meant(facts, node));
            facts.map(|(partition, _)| *partition).collect()
        };
        let suspect = of_node(|facts, node| facts.suspects.contains(node));
        let stranded = of_node(|facts, node| facts.stranded.contains_key(node));
        let table = self.table.version();
        Ok(Outcome::Registered(Registered { table, suspect, stranded, ..Registered::default() }))
    }

    fn put_node(&mut self, member: &Member, proof: &StorageProof) {
        let intent = match self.nodes.get(&member.id).map(|known| known.intent) {
            Some(intent @ (Intent::Drain | Intent::Leave)) => intent,
            // It has come back.
            Some(Intent::Stay | Intent::Restart | Intent::Stop) | None => Intent::Stay,
        };
        let storage = Some(proof.record());
        let mut record = NodeRecord { member: member.clone(), storage, intent };
        record.member.state = record.state_when_up();
        self.nodes.insert(member.id.clone(), record);
        self.nodes_version += 1;
    }

    /// The node's entries follow it to its new life, or stay behind.
    fn follow(&mut self, back: &Return<'_>) -> Result<Registered, Refusal> {
        let node = &back.life.node;
        let mut loads = Loads::of_table(&self.table);
        let mut registered = Registered::default();
        let mut draft = Draft::new(self);
        for (partition, entry) in self.table.iter() {
            let is_node = |replica: &&Replica| replica.node == *node;
            if let Some(member) = entry.in_sync.iter().find(is_node) {
                let leads = entry.primary.as_ref() == Some(node);
                let others = entry.in_sync.len() > 1;
                match draft.fate(back, partition, member) {
                    Fate::Lost { .. } if others => {
                        draft.leave_behind(back, partition);
                        registered.removed.push(partition);
                    }
                    Fate::Lost { storage } if self.rules.never_empty => {
                        draft.edit_facts(partition).stranded.insert(node.clone(), storage);
                        registered.stranded.push(partition);
                    }
                    Fate::Suspect if others && !self.rules.suspects_stay_required => {
                        draft.leave_behind(back, partition);
                        registered.removed.push(partition);
                    }
                    Fate::Suspect => {
                        draft.rebind(back, partition);
                        draft.edit_facts(partition).suspects.insert(node.clone());
                        registered.rebound += 1;
                        registered.suspect.push(partition);
                    }
                    Fate::Sound | Fate::Lost { .. } => {
                        draft.rebind(back, partition);
                        registered.rebound += 1;
                    }
                }
                if leads {
                    draft.lead_on(back, partition, &mut loads);
                }
            } else if entry.learners.iter().any(|learner| is_node(&learner)) {
                draft.rebind(back, partition);
                registered.rebound += 1;
            }
        }
        let drafted = draft.finish()?;
        self.accept(drafted);
        registered.table = self.table.version();
        Ok(registered)
    }
}

/// Refuses a node of which more would have to be kept than is reasonable.
pub(super) fn check_member(member: &Member) -> Result<(), Refusal> {
    let Member { id, grpc_addr, gossip_addr, http_addr, zone, .. } = member;
    let texts = [grpc_addr, gossip_addr, http_addr].map(String::as_str);
    let mut texts = texts.into_iter().chain(zone.as_deref()).chain([id.as_str()]);
    let fits = !id.as_str().is_empty() && texts.all(|text| text.len() <= TEXT_BYTES_MAX);
    if fits { Ok(()) } else { Err(Refusal::OutOfBounds) }
}

impl Draft<'_> {
    /// What becomes of a membership of the node that comes back.
    fn fate(&self, back: &Return<'_>, partition: PartitionId, member: &Replica) -> Fate {
        let rules = self.council().rules;
        let facts = self.facts(partition);
        let stranded = facts.and_then(|facts| facts.stranded.get(&member.node)).copied();
        let storage = stranded.unwrap_or(back.last);
        if !back.proof.proves(storage, member.incarnation) {
            return if rules.rebind_requires_proof { Fate::Lost { storage } } else { Fate::Sound };
        }
        let suspect = back.proof.is_suspect(storage) || self.is_suspect(partition, &member.node);
        if suspect && rules.suspects_wait { Fate::Suspect } else { Fate::Sound }
    }

    /// The entry follows the node to its new life.
    fn rebind(&mut self, back: &Return<'_>, partition: PartitionId) {
        let entry = self.edit(partition);
        let replicas = entry.in_sync.iter_mut().chain(&mut entry.learners);
        for replica in replicas.filter(|replica| replica.node == back.life.node) {
            replica.incarnation = back.life.incarnation;
        }
        if let Some(facts) = self.facts(partition) {
            let suspect = facts.suspects.contains(&back.life.node);
            self.forget(partition, &back.life.node);
            if suspect && self.council().rules.suspects_wait {
                self.edit_facts(partition).suspects.insert(back.life.node.clone());
            }
        }
    }

    /// The node is a member no more: others are.
    fn leave_behind(&mut self, back: &Return<'_>, partition: PartitionId) {
        let node = &back.life.node;
        let entry = self.edit(partition);
        entry.in_sync.retain(|member| member.node != *node);
        if entry.primary.as_ref() == Some(node) {
            entry.primary = None;
        }
        self.forget(partition, node);
    }

    /// The node led the partition: it leads again in a new epoch if it can, or another one does, or nobody.
    fn lead_on(&mut self, back: &Return<'_>, partition: PartitionId, loads: &mut Loads) {
        let is_member = self.entry(partition).is_some_and(|e| e.in_sync.contains(&back.life));
        if is_member && self.can_lead(partition, &back.life) {
            if self.council().rules.new_epoch_on_primary_restart {
                self.renew(partition);
            }
            return;
        }
        match self.leader_but(partition, &back.life.node, loads) {
            Some(leader) => {
                loads.add(&leader.node);
                self.lead(partition, &leader);
            }
            None => self.behead(partition),
        }
    }
}
