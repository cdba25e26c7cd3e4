//! The engine as control sees it.

use std::sync::Arc;

use isogrid_cluster::gossip::{Load, coarse};
use isogrid_cluster::heartbeat::Lead;
use isogrid_cluster::{Directive, steward::Follower};
use isogrid_core::{LogPosition, PartitionId, SessionId};
use isogrid_replica::{Now, Ticks};

use super::Engine;
use super::report::Led;
use crate::clock;
use crate::control::faces::EngineFace;
use crate::control::view::View;

/// Control runs on the first core.
const CORE: usize = 0;

impl EngineFace for Engine {
    fn learn(&self, view: &Arc<View>) {
        Engine::learn(self, view);
    }

    fn leads(&self) -> Vec<Lead> {
        self.led().into_iter().map(Lead::from).collect()
    }

    fn kept_alive(&self) -> Vec<SessionId> {
        Engine::kept_alive(self)
    }

    fn positions(&self) -> Vec<(PartitionId, LogPosition)> {
        Engine::positions(self)
    }

    fn council_answered(&self, sent_at: Ticks) {
        Engine::council_answered(self, CORE, sent_at);
    }

    fn direct(&self, directive: &Directive) {
        Engine::direct(self, CORE, directive);
        self.wire.flush(CORE);
    }

    fn now(&self) -> Now {
        clock::both()
    }

    fn load(&self) -> Load {
        let memory = coarse(self.memory.data_bytes(), self.memory.limit_bytes(), 0);
        Load { memory, ..Load::default() }
    }
}

impl From<Led> for Lead {
    fn from(led: Led) -> Lead {
        let bytes = led.bytes;
        let follower = |lag: isogrid_replica::FollowerLag| {
            let bytes_left = if lag.is_complete { 0 } else { bytes };
            let follower = Follower {
                matched: lag.matched,
                bytes_left,
                lag_ms: lag.ms,
                is_complete: lag.is_complete,
            };
            (lag.replica.node, follower)
        };
        Lead {
            partition: led.partition,
            bytes,
            commit: led.commit,
            followers: led.followers.into_iter().map(follower).collect(),
        }
    }
}
