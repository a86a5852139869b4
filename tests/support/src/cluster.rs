//! A cluster of primaries, set up by hand: `redis-cli` is not everywhere.

use std::time::Duration;

use super::{Options, Server, eventually};

const SLOTS: usize = 16_384;
/// For the nodes to agree.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    /// So many primaries, which share the slots evenly and know each other.
    pub fn start(primaries: usize) -> Self {
        let options = Options {
            cluster: true,
            ..Options::default()
        };
        let nodes: Vec<_> = (0..primaries)
            .map(|_| Server::with(options.clone()))
            .collect();
        for (index, node) in nodes.iter().enumerate() {
            let bounds = [index, index + 1].map(|part| part * SLOTS / primaries);
            let (from, to) = (bounds[0].to_string(), (bounds[1] - 1).to_string());
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]);
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        for node in &nodes[1..] {
            let (port, bus) = (node.port().to_string(), node.bus_port().to_string());
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let cluster = Self { nodes };
        cluster.agree();
        cluster
    }

    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Of every node, for a client to start from.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    pub fn slot_of(&self, key: &str) -> u16 {
        let slot = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key]);
        slot.expect("a slot")
    }

    /// The node that has a slot, by its place in [`nodes`](Self::nodes).
    pub fn owner_of(&self, slot: u16) -> usize {
        let is_its = |node: &Server| {
            let ranges = slots_of(node);
            ranges.iter().any(|range| range.contains(&slot))
        };
        self.nodes.iter().position(is_its).expect("an owner")
    }

    /// Moves a slot and its keys to another node, as a resharding does.
    pub fn move_slot(&self, slot: u16, to: usize) {
        let (from, to) = (&self.nodes[self.owner_of(slot)], &self.nodes[to]);
        let (from_id, to_id) = (id_of(from), id_of(to));
        if from_id == to_id {
            return;
        }
        let number = slot.to_string();
        to.command(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &from_id]);
        from.command(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &to_id]);
        let port = to.port().to_string();
        loop {
            let keys: Vec<String> = from
                .ask(&["CLUSTER", "GETKEYSINSLOT", &number, "100"])
                .expect("the keys of a slot");
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            from.command(&words);
        }
        // The new owner first: were it the last, nobody would have the slot for a moment.
        for node in [to, from] {
            node.command(&["CLUSTER", "SETSLOT", &number, "NODE", &to_id]);
        }
        self.agree();
    }

    /// Waits until all nodes see the same cluster, and all of it.
    fn agree(&self) {
        eventually("the nodes of the cluster agree", PATIENCE, || {
            let views = self.nodes.iter().map(|node| {
                let is_ok = node
                    .ask::<String>(&["CLUSTER", "INFO"])
                    .is_ok_and(|info| info.contains("cluster_state:ok"));
                is_ok.then(|| view_of(node))
            });
            let views: Option<Vec<_>> = views.collect();
            Ok(views.and_then(|views| {
                let is_whole = views[0].len() == self.nodes.len();
                (is_whole && views.iter().all(|view| *view == views[0])).then_some(())
            }))
        })
        .expect("a cluster");
    }
}

fn id_of(node: &Server) -> String {
    node.ask(&["CLUSTER", "MYID"]).expect("an id")
}

/// Who has which slots, as a node sees it: `(id, ranges)` in the order of the ids.
fn view_of(node: &Server) -> Vec<(String, Vec<String>)> {
    let nodes: String = node.ask(&["CLUSTER", "NODES"]).expect("the nodes");
    let mut view: Vec<_> = nodes
        .lines()
        .map(|line| {
            let mut words = line.split(' ').map(String::from);
            let id = words.next().unwrap_or_default();
            // Slots on the move are in brackets.
            let ranges = words.skip(7).filter(|range| !range.starts_with('['));
            (id, ranges.collect())
        })
        .collect();
    view.sort();
    view
}

/// The slots that a node says are its own.
fn slots_of(node: &Server) -> Vec<std::ops::RangeInclusive<u16>> {
    let id = id_of(node);
    let view = view_of(node);
    let ranges = view.into_iter().find(|(other, _)| *other == id);
    let ranges = ranges.map(|(_, ranges)| ranges).unwrap_or_default();
    ranges
        .iter()
        .map(|range| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let slot = |text: &str| text.parse().expect("a slot");
            slot(from)..=slot(to)
        })
        .collect()
}
