//! What a developer does to the cluster: by a key of the live view, or by a line on standard input.

use crate::output::tell;

use super::fleet::Fleet;
use super::keeper::Order;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Something happens to one node.
    To(String, Order),
    /// One node more.
    Add,
    /// The end.
    Quit,
}

/// The words of standard input.
pub(super) const WORDS: &str =
    "kill NODE, restart NODE, pause NODE, cut NODE (each again to go on), add, quit";

impl Action {
    /// Reads a line; an error is what to tell.
    pub(super) fn parse(line: &str) -> Result<Action, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let to = |node: &str, order| Ok(Action::To(node.to_owned(), order));
        match words[..] {
            ["kill", node] => to(node, Order::Kill),
            ["restart", node] => to(node, Order::Restart),
            ["pause" | "continue", node] => to(node, Order::PauseOrContinue),
            ["cut" | "connect", node] => to(node, Order::CutOffOrConnect),
            ["add"] => Ok(Action::Add),
            ["quit"] => Ok(Action::Quit),
            _ => Err(format!("{line:?}: known are {WORDS}")),
        }
    }

    /// Does it, unless it is the end; returns what to tell, if anything.
    pub(super) fn perform(&self, fleet: &mut Fleet) -> Option<String> {
        match self {
            Action::To(name, order) => match fleet.find(name) {
                Some(keeper) => {
                    keeper.order(*order);
                    None
                }
                None => Some(format!("there is no {name}")),
            },
            Action::Add => match fleet.add() {
                Ok(name) => Some(format!("{name} starts")),
                Err(failure) => failure.text(),
            },
            Action::Quit => None,
        }
    }

    /// Does it and tells what is to be told; says whether it goes on.
    pub(super) fn perform_aloud(&self, fleet: &mut Fleet) -> bool {
        if let Some(text) = self.perform(fleet) {
            tell(text);
        }
        *self != Action::Quit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_actions() {
        assert_eq!(Action::parse(" kill  node-1 "), Ok(Action::To("node-1".into(), Order::Kill)));
        let cut = Action::To("node-1".into(), Order::CutOffOrConnect);
        assert_eq!(Action::parse("cut node-1"), Ok(cut));
        assert_eq!(Action::parse("add"), Ok(Action::Add));
        for wrong in ["", "kill", "kill a b", "burn node-1"] {
            assert!(Action::parse(wrong).is_err_and(|text| text.contains(WORDS)), "{wrong}");
        }
    }
}
