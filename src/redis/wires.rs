//! Which server is asked about which resource.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use redis::{Value, aio::MultiplexedConnection};

use super::{
    backend::Core,
    wire::{Line, Wire},
};

/// The servers of a backend: one, or the nodes of a cluster.
pub(super) struct Wires {
    seed: Arc<Wire>,
    cluster: Mutex<Cluster>,
}

/// What is known of the cluster. Empty where there is none.
#[derive(Default)]
struct Cluster {
    nodes: HashMap<Node, Arc<Wire>>,
    /// Ranges of slots, and who has them.
    slots: Vec<(u16, u16, Node)>,
    /// What nodes have said since about single slots.
    moved: HashMap<u16, Node>,
}

type Node = (String, u16);

impl Wires {
    pub(super) fn new() -> Self {
        Self {
            seed: Wire::new(None),
            cluster: Mutex::default(),
        }
    }

    /// The server of the URL.
    pub(super) fn seed(&self) -> &Arc<Wire> {
        &self.seed
    }

    /// Who is to be asked about the resources of a slot, as far as that is known.
    pub(super) fn of(&self, core: &Arc<Core>, slot: u16) -> Arc<Wire> {
        let mut cluster = self.lock();
        let in_range = |(from, to, _): &&(u16, u16, Node)| (*from..=*to).contains(&slot);
        let by_range = || cluster.slots.iter().find(in_range).map(|(_, _, node)| node);
        match cluster.moved.get(&slot).or_else(by_range).cloned() {
            None => Arc::clone(&self.seed),
            Some(node) => cluster.wire(core, node),
        }
    }

    /// A node says that another, at `host:port`, has this slot.
    pub(super) fn moved(&self, slot: u16, node: &str) {
        let parts = node.rsplit_once(':');
        let node = parts.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
        if let Some(node) = node {
            self.lock().moved.insert(slot, node);
        }
    }

    /// Asks a node that answers which node has which slots.
    pub(super) async fn survey(&self) {
        let lines: Vec<Line> = {
            let cluster = self.lock();
            let wires = cluster.nodes.values().chain([&self.seed]);
            wires
                .filter_map(|wire| wire.state().borrow().clone())
                .collect()
        };
        for mut line in lines.into_iter().filter(|line| line.greeting.is_cluster) {
            if let Ok(slots) = ask(&mut line.connection).await {
                let mut cluster = self.lock();
                cluster.slots = slots;
                cluster.moved.clear();
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    fn wire(&mut self, core: &Arc<Core>, node: Node) -> Arc<Wire> {
        let new = || {
            let wire = Wire::new(Some(node.clone()));
            core.spawn(Arc::clone(&wire).keep(Arc::downgrade(core)));
            wire
        };
        Arc::clone(self.nodes.entry(node.clone()).or_insert_with(new))
    }
}

async fn ask(connection: &mut MultiplexedConnection) -> redis::RedisResult<Vec<(u16, u16, Node)>> {
    let reply: Value = redis::cmd("CLUSTER")
        .arg("SLOTS")
        .query_async(connection)
        .await?;
    let Value::Array(ranges) = reply else {
        return Ok(Vec::new());
    };
    Ok(ranges.iter().filter_map(range).collect())
}

/// `[from, to, [host, port, ..], ..]`: the first node is the one that is written to.
fn range(value: &Value) -> Option<(u16, u16, Node)> {
    let Value::Array(range) = value else {
        return None;
    };
    let [Value::Int(from), Value::Int(to), Value::Array(node), ..] = range.as_slice() else {
        return None;
    };
    let [Value::BulkString(host), Value::Int(port), ..] = node.as_slice() else {
        return None;
    };
    let host = String::from_utf8(host.clone())
        .ok()
        .filter(|host| !host.is_empty())?;
    let number = |n: &i64| u16::try_from(*n).ok();
    Some((number(from)?, number(to)?, (host, number(port)?)))
}
