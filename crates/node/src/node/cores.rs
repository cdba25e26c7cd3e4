//! A node's cores: a thread with a runtime for each, and the doors on the first.

use std::sync::Arc;

use isogrid_core::Result;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tracing::info;

use super::{Node, internal, runtime};
use crate::acceptor::{Accepted, Acceptor, CoreDoor, HANDOVER_QUEUE_LEN_MAX};
use crate::core_work::{CoreWork, Entrance};
use crate::janitor::{CoreConnections, Janitor};
use crate::listen::Listeners;
use crate::pulse::Pulse;
use crate::{VERSION, grpc};

impl Node {
    pub(super) fn start_cores(
        &mut self,
        first: Runtime,
        inboxes: Vec<mpsc::Receiver<Accepted>>,
        (acceptor, listeners): (Acceptor, Listeners),
        #[cfg_attr(not(feature = "sql"), allow(unused_variables, reason = "that door is SQL's"))]
        pg_connections_max: usize,
    ) -> Result<()> {
        let services = grpc::shared_services(&self.shared, &self.stopping);
        let mut runtimes = vec![first];
        while runtimes.len() < inboxes.len() {
            runtimes.push(runtime()?);
        }
        let handles = runtimes.iter().map(|runtime| runtime.handle().clone()).collect();
        let is_first = self.shared.runtimes.set(handles).is_ok();
        debug_assert!(is_first, "a node starts its cores once");
        #[cfg(feature = "sql")]
        let statements = {
            let cores = runtimes.iter().map(|runtime| runtime.handle().clone()).collect();
            crate::sql::Statements::start(&self.shared, cores)
        };
        #[cfg(feature = "sql")]
        let services = grpc::with_sql(services, &statements);
        let mut entrance = Some(Entrance {
            acceptor,
            listeners,
            #[cfg(feature = "sql")]
            pg_door: crate::pg::PgDoor {
                statements,
                counts: Arc::clone(&self.shared.pg),
                clients: Arc::clone(&self.shared.clients),
                connections_max: pg_connections_max,
                stopping: self.stopping.clone(),
            },
        });
        for (core, (inbox, runtime)) in inboxes.into_iter().zip(runtimes).enumerate() {
            self.start_core((core, runtime), inbox, services.clone(), entrance.take())?;
        }
        let shared = &self.shared;
        info!(
            version = VERSION,
            node = %self.identity.node_id,
            incarnation = self.identity.incarnation.0,
            cluster = %self.identity.cluster_id,
            grpc = %shared.grpc_addr,
            gossip = %shared.gossip_addr,
            http = %shared.http_addr,
            pg = shared.pg_addr.map(tracing::field::display),
            cores = shared.cores,
            memory_limit_bytes = shared.engine.memory().limit_bytes(),
            "node started"
        );
        Ok(())
    }

    fn start_core(
        &mut self,
        (core, runtime): (usize, Runtime),
        inbox: mpsc::Receiver<Accepted>,
        services: Routes,
        entrance: Option<Entrance>,
    ) -> Result<()> {
        let connections = Arc::new(CoreConnections::default());
        let engine = &self.shared.engine;
        let janitor = Janitor {
            engine: Arc::clone(engine),
            core,
            connections: Arc::clone(&connections),
            worker: self.shared.workers.register(format!("janitor-{core}")),
        };
        let pulse = Pulse {
            engine: Arc::clone(engine),
            core,
            worker: self.shared.workers.register(format!("pulse-{core}")),
        };
        let work = CoreWork {
            shared: Arc::clone(&self.shared),
            core,
            inbox,
            services,
            connections,
            janitor,
            pulse,
            stopping: self.stopping.clone(),
            cut_off: self.cut_off.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("core-{core}"))
            .spawn(move || work.run(&runtime, entrance))
            .map_err(|e| internal(&e))?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Where a core's connections come from.
pub(super) fn core_door() -> (CoreDoor, mpsc::Receiver<Accepted>) {
    let (sender, inbox) = mpsc::channel(HANDOVER_QUEUE_LEN_MAX);
    (CoreDoor { sender, open: Arc::default() }, inbox)
}
