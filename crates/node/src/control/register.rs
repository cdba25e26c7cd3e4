//! Registers this life with the council, as often as it takes (R4), and reports how far the logs reach where the council
//! wants to know.

use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::council::{Intent, Refusal};
use isogrid_cluster::reconcile::positions_to_report;
use isogrid_cluster::{Command, Outcome};
use isogrid_core::{Error, ErrorCode};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::leader::jittered;
use super::shared::Control;
use crate::config::node::AtEnd;

/// How long one try looks for the leader.
const PATIENCE: Duration = Duration::from_secs(2);

/// About how long until the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// How often it is looked whether there is something to register or report.
const LOOK: Duration = Duration::from_millis(200);

/// Registers whenever the council does not count this life among those that serve.
pub(super) async fn run(control: Arc<Control>) {
    loop {
        let is_due = control.cluster().is_some() && control.own.lock().must_register;
        if !is_due {
            let _ = timeout(LOOK, control.wake.register.notified()).await;
            continue;
        }
        match control.register().await {
            Ok(()) => {}
            Err(error) if is_final(error.code()) => return control.fail(error),
            Err(error) => {
                info!(%error, "not registered yet");
                sleep(jittered(PAUSE)).await;
            }
        }
    }
}

/// Whether trying again cannot help.
fn is_final(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NodeNameTaken | ErrorCode::WrongCluster)
}

/// Reports positions as long as the council waits for them.
pub(super) async fn report(control: Arc<Control>) {
    loop {
        sleep(LOOK).await;
        let suspect = control.own.lock().suspect.clone();
        if suspect.is_empty() {
            continue;
        }
        let me = control.settings.me();
        let positions = positions_to_report(control.faces.engine.positions(), &suspect);
        let command =
            Command::ReportPositions { node: me.node, incarnation: me.incarnation, positions };
        match control.propose(&command, PATIENCE).await {
            Ok(Outcome::Applied | Outcome::Unchanged) => {
                control.own.lock().suspect.retain(|one| !suspect.contains(one));
            }
            Ok(other) => warn!(?other, "the council did not take the positions of the logs"),
            Err(error) => info!(%error, "the positions of the logs are not reported yet"),
        }
    }
}

impl Control {
    /// A node that leaves whenever it ends stays when it begins: what its last life wanted is over, once in each life.
    async fn stay_after_leaving(&self) -> Result<(), Error> {
        if self.settings.at_end != AtEnd::Leave || self.own.lock().has_stayed {
            return Ok(());
        }
        let command = Command::SetIntent { node: self.node().clone(), intent: Intent::Stay };
        self.propose(&command, PATIENCE).await?;
        self.own.lock().has_stayed = true;
        Ok(())
    }

    async fn register(&self) -> Result<(), Error> {
        let settings = &self.settings;
        let member = settings.member.clone();
        let storage = settings.identity.proof(settings.data_on_disk);
        let command = Command::Register { member, storage };
        let why = match self.propose(&command, PATIENCE).await? {
            Outcome::Registered(registered) => {
                info!(
                    table = registered.table.0,
                    rebound = registered.rebound,
                    removed = registered.removed.len(),
                    stranded = registered.stranded.len(),
                    suspect = registered.suspect.len(),
                    "registered"
                );
                self.own.lock().suspect.extend(registered.suspect);
                self.stay_after_leaving().await?;
                self.registered(registered.table);
                // The table that knows this life is at the leader for certain.
                self.own.lock().ahead = self.leader_to_ask();
                self.wake.pull.notify_one();
                return Ok(());
            }
            Outcome::Refused { why } => why,
            other => {
                let why = format!("the council answered a registration with {other:?}");
                return Err(Error::new(ErrorCode::Internal, why));
            }
        };
        let code = match why {
            Refusal::OldIncarnation { .. } | Refusal::OtherStorage => ErrorCode::NodeNameTaken,
            _ => ErrorCode::ChangeRefused,
        };
        let life = settings.member.incarnation.0;
        Err(Error::new(code, format!("node {}, life {life}: {why}", self.node())))
    }
}
