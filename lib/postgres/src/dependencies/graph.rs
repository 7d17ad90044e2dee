//! Which object leads to which, and the order in which they can be made. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// An object of the catalog: the catalog's oid and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    pub(super) class: u32,
    pub(super) object: u32,
}

/// That one object needs another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: Node,
    pub(super) to: Node,
    /// It is part of an extension, which brings it and all that it needs.
    pub(super) is_membership: bool,
}

/// All that was found so far.
#[derive(Debug, Default)]
pub(super) struct Graph {
    needs: BTreeMap<Node, Vec<Node>>,
}

impl Graph {
    /// Adds what these nodes need, and returns what is new and has to be asked about.
    pub(super) fn add(&mut self, asked: &[Node], edges: &[Edge]) -> Vec<Node> {
        let mut new = BTreeSet::new();
        for node in asked {
            let mut own: Vec<&Edge> = edges.iter().filter(|edge| edge.from == *node).collect();
            if own.iter().any(|edge| edge.is_membership) {
                own.retain(|edge| edge.is_membership);
            }
            let needs: Vec<Node> = own.iter().map(|edge| edge.to).collect();
            new.extend(needs.iter().copied());
            self.needs.insert(*node, needs);
        }
        new.into_iter().filter(|node| !self.needs.contains_key(node)).collect()
    }

    /// Every node, each behind what it needs. Where two need each other, the one that was met first stands last.
    pub(super) fn ordered(&self, roots: &[Node]) -> Vec<Node> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for root in roots {
            let mut open = vec![(*root, 0)];
            seen.insert(*root);
            // A stack of our own: chains of types may be long.
            while let Some((node, next)) = open.last_mut() {
                let Some(need) = self.needs.get(node).and_then(|needs| needs.get(*next)) else {
                    order.push(*node);
                    open.pop();
                    continue;
                };
                *next += 1;
                if seen.insert(*need) {
                    open.push((*need, 0));
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(object: u32) -> Node {
        Node { class: 1, object }
    }

    fn edge(from: u32, to: u32, is_membership: bool) -> Edge {
        Edge { from: node(from), to: node(to), is_membership }
    }

    #[test]
    fn what_is_needed_stands_first() {
        let edges = [edge(1, 2, false), edge(1, 3, false), edge(2, 3, false), edge(3, 4, false), edge(4, 2, false)];
        let mut graph = Graph::default();
        let mut frontier = vec![node(1)];
        while !frontier.is_empty() {
            frontier = graph.add(&frontier, &edges);
        }
        let order: Vec<u32> = graph.ordered(&[node(1)]).iter().map(|node| node.object).collect();
        assert_eq!(order, [4, 3, 2, 1]);
    }

    #[test]
    fn a_member_leads_to_its_extension_only() {
        let mut graph = Graph::default();
        assert_eq!(graph.add(&[node(1)], &[edge(1, 2, false), edge(1, 9, true)]), [node(9)]);
    }
}
