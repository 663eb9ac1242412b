//! The simulated disk's state: nodes in a tree of names.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::crash::{NameSurvival, PowerState};
use super::directory_node::{DirectoryNode, NodeId};
use super::fault::Schedule;
use super::file_node::FileNode;
use super::{CAPACITY_BYTES, Random};

const ROOT: NodeId = 0;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Free,
    File(FileNode),
    Directory(DirectoryNode),
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    free: Vec<NodeId>,
    /// Free nodes are looked for when there are so many.
    sweep_at: usize,
    pub(super) random: Random,
    pub(super) schedule: Schedule,
    pub(super) power: PowerState,
    pub(super) epoch: u64,
    pub(super) name_survival: NameSurvival,
    pub(super) capacity: u64,
    pub(super) used: u64,
}

impl State {
    pub(super) fn new(seed: u64) -> State {
        State {
            nodes: vec![Node::Directory(DirectoryNode::default())],
            free: Vec::new(),
            sweep_at: 64,
            random: Random::new(seed),
            schedule: Schedule::default(),
            power: PowerState::On,
            epoch: 0,
            name_survival: NameSurvival::default(),
            capacity: CAPACITY_BYTES,
            used: 0,
        }
    }

    pub(super) fn without_handles(&self) -> State {
        let mut copy = self.clone();
        for node in &mut copy.nodes {
            if let Node::File(file) = node {
                file.handles = 0;
                file.locked = false;
            }
        }
        copy.count_links();
        copy
    }

    /// Whether a process of `epoch` (none: a new call on the disk itself) may do anything.
    pub(super) fn admit(&self, epoch: Option<u64>) -> io::Result<()> {
        match self.power {
            PowerState::Off(crash) => Err(crash.error()),
            PowerState::On if epoch.is_some_and(|epoch| epoch != self.epoch) => {
                Err(io::Error::other("the file was opened before the crash (simulated)"))
            }
            PowerState::On => Ok(()),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut node = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
                    node = *self.directory(node)?.names.get(name).ok_or(io::ErrorKind::NotFound)?;
                }
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::ErrorKind::InvalidFilename.into());
                }
            }
        }
        Ok(node)
    }

    /// The directory that holds the last component, with that component.
    pub(super) fn find_parent<'p>(&self, path: &'p Path) -> io::Result<(NodeId, &'p str)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
        let parent = self.find(path.parent().unwrap_or(Path::new("")))?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    pub(super) fn directory(&self, node: NodeId) -> io::Result<&DirectoryNode> {
        match &self.nodes[node] {
            Node::Directory(directory) => Ok(directory),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn directory_mut(&mut self, node: NodeId) -> io::Result<&mut DirectoryNode> {
        match &mut self.nodes[node] {
            Node::Directory(directory) => Ok(directory),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file_mut(&mut self, node: NodeId) -> io::Result<&mut FileNode> {
        match &mut self.nodes[node] {
            Node::File(file) => Ok(file),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn is_directory(&self, node: NodeId) -> bool {
        matches!(self.nodes[node], Node::Directory(_))
    }

    pub(super) fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.used)
    }

    /// Adds a node that nothing names yet.
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        if self.nodes.len() - self.free.len() >= self.sweep_at {
            self.sweep();
            self.sweep_at = 64 + 2 * (self.nodes.len() - self.free.len());
        }
        if let Some(id) = self.free.pop() {
            self.nodes[id] = node;
            return id;
        }
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<NodeId> {
        let (parent, name) = self.find_parent(path)?;
        if self.directory(parent)?.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if self.room() == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let node = self.add(Node::File(FileNode::created()));
        self.directory_mut(parent)?.link(name, node);
        Ok(node)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.pop(); // the root
        for ancestor in ancestors.into_iter().rev() {
            match self.find(ancestor) {
                Ok(node) if self.is_directory(node) => {}
                Ok(_) if ancestor == path => return Err(io::ErrorKind::AlreadyExists.into()),
                Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if self.room() == 0 {
                        return Err(io::ErrorKind::StorageFull.into());
                    }
                    let (parent, name) = self.find_parent(ancestor)?;
                    let node = self.add(Node::Directory(DirectoryNode::default()));
                    self.directory_mut(parent)?.link(name, node);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        self.file_mut(node)?;
        let (parent, name) = self.find_parent(path)?;
        self.directory_mut(parent)?.unlink(name);
        self.unlinked(node)
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        if !self.directory(node)?.names.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (parent, name) = self.find_parent(path)?;
        self.directory_mut(parent)?.unlink(name);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_parent, from_name) = self.find_parent(from)?;
        let (to_parent, to_name) = self.find_parent(to)?;
        let node = self.find(from)?;
        let target = self.directory(to_parent)?.names.get(to_name).copied();
        if target == Some(node) {
            return Ok(());
        }
        if self.is_directory(node) {
            return self.move_directory((from_parent, from_name), (to_parent, to_name), node);
        }
        if let Some(target) = target {
            self.file_mut(target)?;
        }
        if from_parent == to_parent {
            self.directory_mut(from_parent)?.rename(from_name, to_name, node);
        } else {
            self.directory_mut(from_parent)?.unlink(from_name);
            self.directory_mut(to_parent)?.link(to_name, node);
        }
        match target {
            Some(target) => self.unlinked(target),
            None => Ok(()),
        }
    }

    /// A directory never has two names, so here its rename is durable at once, and what was pending beside it too.
    fn move_directory(&mut self, from: (NodeId, &str), to: (NodeId, &str), node: NodeId) -> io::Result<()> {
        let parent = self.directory_mut(to.0)?;
        if parent.names.contains_key(to.1) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        parent.link(to.1, node);
        parent.sync();
        let parent = self.directory_mut(from.0)?;
        parent.unlink(from.1);
        parent.sync();
        Ok(())
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        self.file_mut(node)?;
        let (parent, name) = self.find_parent(to)?;
        if self.directory(parent)?.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.directory_mut(parent)?.link(name, node);
        self.file_mut(node)?.links += 1;
        Ok(())
    }

    fn unlinked(&mut self, node: NodeId) -> io::Result<()> {
        let file = self.file_mut(node)?;
        file.links -= 1;
        self.release_unused(node)
    }

    /// Gives back the space of a file that has neither a name nor an open handle.
    fn release_unused(&mut self, node: NodeId) -> io::Result<()> {
        let file = self.file_mut(node)?;
        if file.links == 0 && file.handles == 0 {
            self.used -= file.reserved;
        }
        Ok(())
    }

    pub(super) fn close(&mut self, node: NodeId, unlock: bool) {
        if let Node::File(file) = &mut self.nodes[node] {
            file.handles -= 1;
            file.locked &= !unlock;
            let _ = self.release_unused(node);
        }
    }

    /// Changes a file, accounting for the space it uses; `act` learns how many bytes it may grow by.
    pub(super) fn change<T>(
        &mut self,
        node: NodeId,
        act: impl FnOnce(&mut FileNode, u64) -> io::Result<T>,
    ) -> io::Result<T> {
        let room = self.room();
        let file = self.file_mut(node)?;
        let before = file.reserved;
        let result = act(file, room);
        let after = file.reserved;
        self.used = self.used - before + after;
        result
    }

    pub(super) fn plant(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut parent = ROOT;
        let directories = path.parent().unwrap_or(Path::new("")).components();
        for component in directories {
            let Component::Normal(name) = component else { continue };
            let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
            let known = self.directory(parent)?.names.get(name).copied();
            let node = known.unwrap_or_else(|| self.add(Node::Directory(DirectoryNode::default())));
            self.directory_mut(parent)?.plant(name, node);
            parent = node;
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
        let node = self.add(Node::File(FileNode::planted(bytes)));
        self.directory_mut(parent)?.plant(name, node);
        self.count_links();
        Ok(())
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, node)) = open.pop() {
            match &self.nodes[node] {
                Node::Directory(directory) => {
                    open.extend(directory.names.iter().map(|(name, node)| (path.join(&**name), *node)));
                }
                Node::File(_) => files.push(path),
                Node::Free => {}
            }
        }
        files.sort();
        files
    }

    /// Frees the nodes that nothing names now or after a power cut, that nobody has open.
    pub(super) fn sweep(&mut self) {
        let mut kept = vec![false; self.nodes.len()];
        let mut open = vec![ROOT];
        for (id, node) in self.nodes.iter().enumerate() {
            if matches!(node, Node::File(file) if file.handles > 0) {
                kept[id] = true;
            }
        }
        while let Some(id) = open.pop() {
            kept[id] = true;
            if let Node::Directory(directory) = &self.nodes[id] {
                open.extend(directory.mentioned().filter(|node| !kept[*node]));
            }
        }
        for (id, node) in self.nodes.iter_mut().enumerate() {
            if !kept[id] && !matches!(node, Node::Free) {
                *node = Node::Free;
                self.free.push(id);
            }
        }
    }

    /// Counts the names of every file anew, with the space in use.
    pub(super) fn count_links(&mut self) {
        let mut links = vec![0; self.nodes.len()];
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            if let Node::Directory(directory) = &self.nodes[id] {
                for node in directory.names.values() {
                    links[*node] += 1;
                    open.push(*node);
                }
            }
        }
        self.used = 0;
        for (id, node) in self.nodes.iter_mut().enumerate() {
            if let Node::File(file) = node {
                file.links = links[id];
                if file.links > 0 || file.handles > 0 {
                    self.used += file.reserved;
                }
            }
        }
    }
}
