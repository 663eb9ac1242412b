//! One directory: what a process sees beside what the medium knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{NameSurvival, Random};

/// A node's place in the tree's list.
pub(super) type NodeId = usize;
/// The names in a directory.
pub(super) type Names = BTreeMap<Arc<str>, NodeId>;

/// A change of names since the directory's last sync.
#[derive(Clone, Debug)]
enum NameChange {
    Link { name: Arc<str>, node: NodeId },
    Unlink { name: Arc<str> },
    Rename { from: Arc<str>, to: Arc<str>, node: NodeId },
}

/// A directory.
#[derive(Clone, Debug, Default)]
pub(super) struct DirectoryNode {
    /// What a process sees.
    pub(super) names: Names,
    durable: Names,
    pending: Vec<NameChange>,
}

impl DirectoryNode {
    pub(super) fn link(&mut self, name: &str, node: NodeId) {
        self.change(NameChange::Link { name: name.into(), node });
    }

    pub(super) fn unlink(&mut self, name: &str) {
        self.change(NameChange::Unlink { name: name.into() });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, node: NodeId) {
        self.change(NameChange::Rename { from: from.into(), to: to.into(), node });
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    /// Puts a name there for good.
    pub(super) fn plant(&mut self, name: &str, node: NodeId) {
        self.names.insert(name.into(), node);
        self.durable.insert(name.into(), node);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// The power goes: the names are what the medium knows.
    pub(super) fn lose_power(&mut self, survival: NameSurvival, random: &mut Random) {
        for change in self.pending.drain(..) {
            if survival == NameSurvival::Subset && random.one_in(2) {
                change.apply(&mut self.durable);
            }
        }
        self.names.clone_from(&self.durable);
    }

    /// Every node that it names now or may name after a power cut.
    pub(super) fn mentioned(&self) -> impl Iterator<Item = NodeId> {
        let pending = self.pending.iter().filter_map(|change| match change {
            NameChange::Link { node, .. } | NameChange::Rename { node, .. } => Some(*node),
            NameChange::Unlink { .. } => None,
        });
        self.names.values().chain(self.durable.values()).copied().chain(pending)
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        match self {
            NameChange::Link { name, node } => {
                names.insert(Arc::clone(name), *node);
            }
            NameChange::Unlink { name } => {
                names.remove(name);
            }
            NameChange::Rename { from, to, node } => {
                names.remove(from);
                names.insert(Arc::clone(to), *node);
            }
        }
    }
}
