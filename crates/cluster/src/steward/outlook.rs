//! The way from a table to the one that placement wants: what the steward would do step by step, told at once. A forecast
//! for people; the steward itself decides anew at each step.

use isogrid_core::{Members, NodeId, PartitionId, Table, placement};

/// What would happen to a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// A whole copy is made.
    Copy {
        /// Who has the data; `None` when nobody leads the partition.
        from: Option<NodeId>,
        /// Who makes a copy.
        to: NodeId,
    },
    /// Another holder leads.
    Primary {
        /// Who leads now, if anybody does.
        from: Option<NodeId>,
        /// Who is to lead.
        to: NodeId,
    },
    /// A copy is given up.
    Retire {
        /// By whom.
        from: NodeId,
    },
}

/// What would happen, and what could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The steps, in the order of the partitions.
    pub steps: Vec<(PartitionId, Planned)>,
    /// Partitions that would have fewer copies than wanted: there are too few nodes.
    pub short: usize,
}

/// What would happen if these were the nodes that have a place. `copies`: how many of each partition are wanted.
pub fn outlook(table: &Table, placed: &Members, copies: usize) -> Outlook {
    let desired = placement::desired(table.partitions(), placed, copies);
    let mut outlook = Outlook::default();
    for ((partition, entry), desired) in table.iter().zip(&desired) {
        outlook.short += usize::from(desired.len() < copies);
        // What nobody holds is not moved.
        if entry.in_sync.is_empty() {
            continue;
        }
        let holds = |node: &NodeId| entry.in_sync.iter().any(|member| member.node == *node);
        let from = entry.primary.clone();
        let copied = desired.iter().filter(|node| !holds(node));
        let copied = copied.map(|to| Planned::Copy { from: from.clone(), to: to.clone() });
        let leader = desired.first().filter(|node| entry.primary.as_ref() != Some(node));
        let leader = leader.map(|to| Planned::Primary { from: from.clone(), to: to.clone() });
        let surplus = entry.in_sync.iter().filter(|member| !desired.contains(&member.node));
        // With nobody to take them, copies stay where they are.
        let surplus = surplus.filter(|_| !desired.is_empty());
        let retired = surplus.map(|member| Planned::Retire { from: member.node.clone() });
        let steps = copied.chain(leader).chain(retired);
        outlook.steps.extend(steps.map(|step| (partition, step)));
    }
    outlook
}

#[cfg(test)]
mod tests {
    use isogrid_core::{Member, PartitionCount};

    use super::*;

    fn members(names: &[&str]) -> Members {
        names.iter().map(Member::new).collect()
    }

    fn table() -> Table {
        let partitions = PartitionCount::new(16).expect("a power of two");
        Table::single_node(&Member::new("a"), partitions)
    }

    #[test]
    fn nothing_moves_where_all_is_as_it_should_be() {
        assert_eq!(outlook(&table(), &members(&["a"]), 1), Outlook::default());
        let alone = outlook(&table(), &members(&["a"]), 2);
        assert_eq!((alone.steps.len(), alone.short), (0, 16), "a second copy has no place");
    }

    #[test]
    fn a_second_node_gets_a_copy_of_all_and_leads_half() {
        let plan = outlook(&table(), &members(&["a", "b"]), 2);
        let count = |is: fn(&Planned) -> bool| plan.steps.iter().filter(|(_, s)| is(s)).count();
        assert_eq!(count(|step| matches!(step, Planned::Copy { .. })), 16);
        assert_eq!(count(|step| matches!(step, Planned::Primary { .. })), 8);
        assert_eq!((plan.steps.len(), plan.short), (24, 0));
    }

    #[test]
    fn who_has_no_place_gives_everything_up() {
        let plan = outlook(&table(), &members(&["b"]), 1);
        let retired = Planned::Retire { from: NodeId::new("a") };
        assert_eq!(plan.steps.iter().filter(|(_, step)| *step == retired).count(), 16);
        assert_eq!(outlook(&table(), &members(&[]), 1).steps, [], "there is nobody to take it");
    }
}
