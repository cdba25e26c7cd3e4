//! One command, one outcome: the door to the council.

use isogrid_core::{MemberState, PartitionCount, Table};

use super::apply_register::check_member;
use super::command::{Command, CreateCluster};
use super::limits::NODES_MAX;
use super::node::{Intent, NodeRecord};
use super::outcome::{Outcome, Refusal};
use super::state::{Cluster, Council};

impl Council {
    /// Applies a command. The same commands in the same order make the same council everywhere. A command that is
    /// stale, doubled or nonsense changes nothing but the count of applied commands.
    pub fn apply(&mut self, command: &Command) -> Outcome {
        let before = self.table.version();
        self.applied += 1;
        let outcome = self.dispatch(command).unwrap_or_else(|why| Outcome::Refused { why });
        assert!(self.table.version() >= before, "the table never goes back");
        outcome
    }

    fn dispatch(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        if let Command::CreateCluster(create) = command {
            return self.create_cluster(create);
        }
        if self.cluster.is_none() {
            return Err(Refusal::NoCluster);
        }
        match command {
            Command::CreateCluster(_) => Err(Refusal::ClusterExists),
            Command::Register { member, storage } => self.register(member, storage),
            Command::NodeDown { node, incarnation } => self.node_down(node, *incarnation),
            Command::Changes(changes) => self.change(changes),
            Command::PromoteSuspect { partition, epoch, ver, authority } => {
                self.promote_suspect(*partition, (*epoch, *ver), *authority)
            }
            Command::Reset { partition, epoch, ver, to, known, operator } => {
                self.reset(*partition, (*epoch, *ver), to, *known, *operator)
            }
            Command::ReportPositions { node, incarnation, positions } => {
                self.report_positions(node, *incarnation, positions)
            }
            Command::SetIntent { node, intent } => self.set_intent(node, *intent),
            Command::RemoveNode { node, incarnation } => self.remove_node(node, *incarnation),
            Command::PutMap { name, settings, mode, schema } => {
                self.put_map(name, settings, mode, schema.as_ref())
            }
            Command::DropMap { name, id } => self.drop_map(name, *id),
            Command::SetLossPolicy(policy) => self.set_loss_policy(*policy),
            Command::RaiseFeatureLevel(level) => self.raise_feature_level(*level),
            Command::OpenSessions { count } => self.open_sessions(*count),
            Command::EndSessions { numbers } => Ok(self.end_sessions(numbers)),
            Command::EnsureMap { name, settings, mode } => self.ensure_map(name, settings, mode),
        }
    }

    fn create_cluster(&mut self, create: &CreateCluster) -> Result<Outcome, Refusal> {
        if let Some(cluster) = &self.cluster {
            let again = cluster.id == create.id;
            return if again { Ok(Outcome::Unchanged) } else { Err(Refusal::ClusterExists) };
        }
        let partitions = PartitionCount::new(create.partitions).ok_or(Refusal::OutOfBounds)?;
        if create.copies == 0 || create.members.len() > NODES_MAX {
            return Err(Refusal::OutOfBounds);
        }
        create.members.iter().try_for_each(check_member)?;
        self.cluster = Some(Cluster {
            id: create.id,
            format: Council::FORMAT,
            feature_level: 1,
            copies: create.copies,
            loss_policy: create.loss_policy,
        });
        self.table = Table::unassigned(partitions);
        for member in &create.members {
            let mut member = member.clone();
            member.state = MemberState::Joining;
            let record = NodeRecord { member, storage: None, intent: Intent::Stay };
            self.nodes.insert(record.member.id.clone(), record);
        }
        self.nodes_version += 1;
        Ok(Outcome::Applied)
    }
}
