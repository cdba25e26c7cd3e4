//! What clients and operators want of the cluster, and this node of it when it is asked to end: maps, sessions, intents,
//! stops. All of it goes to the council's leader, and ends when this node knows of it.

use std::time::Duration;

use isogrid_cluster::council::{Durability, Intent, MapMode, MapRecord, Refusal};
use isogrid_cluster::steward::CanStop;
use isogrid_cluster::{Command, Directive, Outcome};
use isogrid_core::{
    Error, ErrorCode, MapId, MapSettings, NodeId, PartitionId, Replica, Result, SessionId,
};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::question::{AskStop, FindMap, FoundMap, pack};
use super::shared::Control;
use super::view::View;
use crate::config::node::AtEnd;
use crate::identity::DataOnDisk;
use crate::peers::message::AskKind;

/// How often a stop looks whether it may go on.
const LOOK: Duration = Duration::from_millis(20);

/// How long an end of this node tells the council about it: without a leader it ends anyway.
const INTENT_PATIENCE: Duration = Duration::from_secs(2);

/// How long primaries get to let a node go that ends, and how soon they are asked again. A new primary first waits until the
/// leases of the old one have lapsed.
const LEAVE_MAX: Duration = Duration::from_secs(3);
const LEAVE_AGAIN: Duration = Duration::from_millis(200);

impl Control {
    /// Opens sessions; returns the first number.
    pub(crate) async fn open_sessions(&self, count: u32) -> Result<SessionId> {
        match self.decide_on(&Command::OpenSessions { count }).await? {
            Outcome::SessionsOpened { first, .. } => Ok(first),
            other => Err(unexpected(&other)),
        }
    }

    /// A map by its name; `None` when there certainly is none. What this node does not know it asks the leader, for a map
    /// may exist that it has not heard of, and its data may be anywhere.
    pub(crate) async fn find_map(&self, name: &str) -> Result<Option<MapRecord>> {
        if let Some(map) = self.now_known().map(name) {
            return Ok(Some(map.clone()));
        }
        let question = pack(&FindMap { name: name.to_owned() });
        let patience = self.settings.pace.patience;
        let found: FoundMap = self.ask_leader(AskKind::FindMap, question, patience).await?;
        if found.map.is_some() {
            self.know(|view| view.maps_version >= found.maps).await?;
        }
        Ok(found.map)
    }

    /// The map of this name; it is made if there is none, with the settings that are configured here.
    pub(crate) async fn ensure_map(&self, name: &str) -> Result<MapRecord> {
        if let Some(map) = self.now_known().map(name) {
            return Ok(map.clone());
        }
        let mode = MapMode { durability: self.durability_unset(), ..MapMode::default() };
        let settings = self.settings.map(name);
        let command = Command::EnsureMap { name: name.to_owned(), settings, mode };
        let id = self.decide_on_map(&command).await?;
        self.know(|view| view.map_id(name) == Some(id)).await?;
        let known = self.now_known().map(name).cloned();
        known.ok_or_else(|| Error::new(ErrorCode::MapUnknown, format!("{name}: it was dropped")))
    }

    /// What an acknowledged write survives of which nothing is said: where data are in memory alone, nobody promises more.
    pub(crate) fn durability_unset(&self) -> Durability {
        match self.settings.data_on_disk {
            DataOnDisk::Nothing => Durability::Memory,
            DataOnDisk::Whole | DataOnDisk::Damaged => Durability::Os,
        }
    }

    /// The settings of a map that is made here and of which nothing is said.
    pub(crate) fn default_settings(&self, name: &str) -> MapSettings {
        self.settings.map(name)
    }

    /// Creates a map or changes what it is.
    pub(crate) async fn put_map(&self, name: &str, map: MapRecord) -> Result<MapRecord> {
        let MapRecord { settings, mode, schema, .. } = map.clone();
        let command = Command::PutMap { name: name.to_owned(), settings, mode, schema };
        let id = self.decide_on_map(&command).await?;
        let record = MapRecord { id, ..map };
        // Somebody else may change it once more: then this node never sees exactly this.
        let version = self.now_known().maps_version;
        self.know(|view| view.map(name) == Some(&record) || view.maps_version > version).await?;
        Ok(record)
    }

    /// Drops a map with all its entries. Says whether there was one.
    pub(crate) async fn drop_map(&self, name: &str) -> Result<bool> {
        let Some(map) = self.find_map(name).await? else { return Ok(false) };
        let command = Command::DropMap { name: name.to_owned(), id: map.id };
        match self.propose_for_operator(&command).await? {
            Outcome::Refused { why: Refusal::Unknown } => Ok(false),
            Outcome::Applied => {
                self.know(|view| view.map_id(name) != Some(map.id)).await?;
                Ok(true)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Says what is wanted of a node. Says whether something else was wanted before.
    pub(crate) async fn set_intent(&self, node: &NodeId, intent: Intent) -> Result<bool> {
        let command = Command::SetIntent { node: node.clone(), intent };
        let outcome = self.decide_on(&command).await;
        let outcome = outcome.map_err(|error| of_node(error, node))?;
        let has = |view: &View| view.nodes.get(node).is_none_or(|news| news.intent == intent);
        self.know(has).await?;
        Ok(outcome == Outcome::Applied)
    }

    /// Forgets a node that is down and holds nothing.
    pub(crate) async fn remove_node(&self, node: &NodeId) -> Result<()> {
        let unknown = || Error::new(ErrorCode::NodeUnknown, node.as_str());
        let known = self.now_known().nodes.get(node).map(|news| news.member.incarnation);
        let incarnation = known.ok_or_else(unknown)?;
        let command = Command::RemoveNode { node: node.clone(), incarnation };
        self.decide_on(&command).await.map_err(|error| of_node(error, node))?;
        self.know(|view| !view.nodes.contains_key(node)).await
    }

    /// Whether a node can be stopped now without anybody missing it, as the leader sees it.
    pub(crate) async fn can_stop(&self, node: &NodeId) -> Result<CanStop> {
        let question = pack(&AskStop { node: node.clone() });
        self.ask_leader(AskKind::CanStop, question, self.settings.pace.patience).await
    }

    /// Makes this node ready to end, within the time that is set for it: what it leads is handed over to members that
    /// have everything, and the council has a majority without it. Returns also when that cannot be done.
    pub(crate) async fn prepare_stop(&self) {
        let view = self.now_known();
        if view.registered.is_none() {
            return;
        }
        let intent = intent_to_end(&view, self.node(), self.settings.at_end);
        let was_told = self.is_told_to_leave(&view);
        let command = Command::SetIntent { node: self.node().clone(), intent };
        if let Err(error) = self.propose(&command, INTENT_PATIENCE).await {
            return warn!(%error, "the cluster could not be told that this node ends");
        }
        let deadline = Instant::now() + self.settings.drain_timeout;
        let mut view = self.view();
        loop {
            let known = view.borrow_and_update().clone();
            let to_hand_over = left_to_do(&known, self.node(), intent);
            let vote_missed = self.is_vote_missed(&known);
            if intent == Intent::Leave && !was_told && !has_heir(&known, self.node()) {
                info!("nobody stays who could take what this node holds");
                break;
            }
            if intent == Intent::Stop || (to_hand_over == 0 && !vote_missed) {
                break;
            }
            if Instant::now() >= deadline {
                warn!(
                    partitions = to_hand_over,
                    vote_missed, "this node ends before all was handed over"
                );
                return;
            }
            tokio::select! { _ = view.changed() => {}, () = sleep(LOOK) => {} }
        }
        if intent != Intent::Stop {
            self.take_leave().await;
        }
        info!(?intent, "this node is ready to end");
    }

    fn is_told_to_leave(&self, view: &View) -> bool {
        view.nodes.get(self.node()).is_some_and(|news| news.intent == Intent::Leave)
    }

    /// Asks primaries to wait for this node no more: otherwise their writes would stand still until they notice its end.
    async fn take_leave(&self) {
        let deadline = Instant::now() + LEAVE_MAX;
        let mut view = self.view();
        loop {
            let known = view.borrow_and_update().clone();
            let waiting = waits_for(&known, &self.settings.me());
            if waiting.is_empty() || Instant::now() >= deadline {
                return;
            }
            for (partition, primary) in waiting {
                self.direct(Directive::Retire { partition, primary, member: self.settings.me() });
            }
            tokio::select! { _ = view.changed() => {}, () = sleep(LEAVE_AGAIN) => {} }
        }
    }

    async fn decide_on_map(&self, command: &Command) -> Result<MapId> {
        match self.decide_on(command).await? {
            Outcome::Map(id) => Ok(id),
            other => Err(unexpected(&other)),
        }
    }

    /// Proposes a command; a refusal is an error.
    async fn decide_on(&self, command: &Command) -> Result<Outcome> {
        match self.propose_for_operator(command).await? {
            Outcome::Refused { why } => Err(refused(why)),
            outcome => Ok(outcome),
        }
    }

    async fn propose_for_operator(&self, command: &Command) -> Result<Outcome> {
        self.propose(command, self.settings.pace.patience).await
    }

    /// Waits until this node knows of what was decided.
    async fn know(&self, is_known: impl Fn(&View) -> bool) -> Result<()> {
        if self.catch_up(is_known).await {
            return Ok(());
        }
        let why = "it was decided, and this node has not heard of it yet";
        Err(Error::new(ErrorCode::NoQuorum, why).with_outcome(isogrid_core::Outcome::Applied))
    }
}

/// The partitions whose primary, another node that serves, waits for a node's acknowledgements.
fn waits_for(view: &View, own: &Replica) -> Vec<(PartitionId, NodeId)> {
    let serves =
        |node: &NodeId| view.nodes.get(node).is_some_and(|news| news.member.state.is_serving());
    let others = view.table.iter().filter_map(|(partition, entry)| {
        let primary = entry.primary.as_ref().filter(|primary| **primary != own.node)?;
        (entry.in_sync.contains(own) && serves(primary)).then(|| (partition, primary.clone()))
    });
    others.collect()
}

/// With what intent a node ends: what its operator wants already, a stop of all if all others stop, or what is configured. Where
/// nobody stays who could take what it holds, it does not leave.
fn intent_to_end(view: &View, own: &NodeId, at_end: AtEnd) -> Intent {
    let wanted = view.nodes.get(own).map_or(Intent::Stay, |news| news.intent);
    let serving = view.nodes.values().filter(|news| news.member.state.is_serving());
    let mut others = serving.filter(|news| news.member.id != *own).peekable();
    let all_stop = others.peek().is_some() && others.all(|news| news.intent == Intent::Stop);
    match wanted {
        Intent::Stay if all_stop => Intent::Stop,
        Intent::Stay if at_end == AtEnd::Leave && has_heir(view, own) => Intent::Leave,
        Intent::Stay => Intent::Restart,
        Intent::Drain | Intent::Leave | Intent::Restart | Intent::Stop => wanted,
    }
}

/// Whether another node stays that takes data.
fn has_heir(view: &View, own: &NodeId) -> bool {
    view.nodes.iter().any(|(node, news)| {
        let takes = news.member.state.is_serving() && news.member.weight > 0;
        node != own && takes && news.intent == Intent::Stay
    })
}

/// How many partitions stand in the way of a node's end: those that it leads and another member could lead; when it leaves
/// for good, all of which it holds a copy.
fn left_to_do(view: &View, own: &NodeId, intent: Intent) -> usize {
    if intent != Intent::Leave {
        return to_hand_over(view, own);
    }
    view.table.iter().filter(|(_, entry)| entry.holders().any(|h| h.node == *own)).count()
}

/// How many partitions a node leads that another member could lead; where backups are wanted, also those that nobody else
/// has whole now: as long as another node stays, one is made there, and ending first would lose them.
fn to_hand_over(view: &View, own: &NodeId) -> usize {
    let stays = |node: &NodeId| {
        *node != *own && view.nodes.get(node).is_some_and(|news| news.intent == Intent::Stay)
    };
    let could_lead = |replica: &Replica| stays(&replica.node) && view.is_live(replica);
    let is_replaced = view.copies() > 1 && has_heir(view, own);
    let led = view.table.iter().filter(|(_, entry)| entry.primary.as_ref() == Some(own));
    led.filter(|(_, entry)| is_replaced || entry.in_sync.iter().any(could_lead)).count()
}

fn refused(why: Refusal) -> Error {
    let code = match why {
        Refusal::NoCluster => ErrorCode::StillJoining,
        _ => ErrorCode::ChangeRefused,
    };
    Error::new(code, why.to_string())
}

/// The error names the node.
fn of_node(error: Error, node: &NodeId) -> Error {
    if error.code() != ErrorCode::ChangeRefused {
        return error;
    }
    let is_unknown = error.detail() == Refusal::Unknown.to_string();
    let code = if is_unknown { ErrorCode::NodeUnknown } else { ErrorCode::ChangeRefused };
    Error::new(code, format!("{node}: {}", error.detail()))
}

fn unexpected(outcome: &Outcome) -> Error {
    Error::new(ErrorCode::Internal, format!("the council answered {outcome:?}"))
}

#[cfg(test)]
#[path = "operators_test.rs"]
mod tests;
