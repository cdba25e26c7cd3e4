//! Maps that a request names and this node does not know: they are made, or looked up where it is certain whether they
//! exist. A node that has not heard of a map must not answer that it is empty: it may lead partitions with its data.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use isogrid_core::limits::check_map_name;
use isogrid_core::{NodeId, Result, Target};
use isogrid_proto::frame::RequestFrame;

use crate::control::Control;
use crate::engine::Engine;

/// Makes and finds maps: control, with the council's help.
pub(crate) trait Maps: Send + Sync {
    /// Ends when this node knows all of these maps that exist; those that are to be made exist by then.
    fn provide(&self, wanted: Wanted) -> BoxFuture<'static, Result<()>>;

    /// Whether this node has lost the rest of its cluster: then it does not know who leads what.
    fn is_cut_off(&self) -> bool;

    /// Whether this node has lost the rest of its cluster, and that node with it.
    fn is_out_of_reach(&self, node: &NodeId) -> bool;
}

/// Control, as doors that look for maps know it.
pub(crate) struct MapDoor(pub(crate) Arc<Control>);

impl Maps for MapDoor {
    fn is_cut_off(&self) -> bool {
        self.0.is_cut_off()
    }

    fn is_out_of_reach(&self, node: &NodeId) -> bool {
        self.0.is_cut_off() && !self.0.hears(node)
    }

    fn provide(&self, wanted: Wanted) -> BoxFuture<'static, Result<()>> {
        let control = Arc::clone(&self.0);
        Box::pin(async move {
            for (name, is_made) in wanted.0 {
                if is_made {
                    control.ensure_map(&name).await?;
                } else {
                    control.find_map(&name).await?;
                }
            }
            Ok(())
        })
    }
}

/// Maps that this node does not know, and whether they are to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted(pub(crate) BTreeMap<String, bool>);

impl Wanted {
    /// Those that a frame names; `None` when all are known. Names that cannot be are left to the batch to refuse.
    pub(crate) fn of_frame(engine: &Engine, bytes: &[u8]) -> Result<Option<Wanted>> {
        let frame = RequestFrame::parse(bytes)?;
        if frame.maps.iter().all(|name| engine.knows_map(name)) {
            return Ok(None);
        }
        let mut ops = Vec::with_capacity(frame.ops);
        let mut body = frame.clone();
        for _ in 0..frame.ops {
            let (map, op, _) = body.next_op()?;
            // What will be refused must leave nothing behind.
            let is_good = |key| engine.limits().check_key(key).is_ok();
            let is_good = match op.target() {
                Target::Key(key) => is_good(key),
                Target::Partition(_) => true,
            } && engine.limits().check_value(op.value().unwrap_or_default()).is_ok();
            ops.push((frame.maps[map], is_good && op.may_grow()));
        }
        Ok(Self::of(engine, ops))
    }

    /// Those of these maps, each with whether an operation may make it.
    pub(crate) fn of<'a>(
        engine: &Engine,
        maps: impl IntoIterator<Item = (&'a str, bool)>,
    ) -> Option<Wanted> {
        let mut wanted = BTreeMap::new();
        for (name, is_made) in maps {
            if !engine.knows_map(name) && check_map_name(name).is_ok() {
                *wanted.entry(name.to_owned()).or_default() |= is_made;
            }
        }
        (!wanted.is_empty()).then_some(Wanted(wanted))
    }
}
