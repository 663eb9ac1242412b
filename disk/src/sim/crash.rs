//! What a crash leaves behind.

use std::io;

use super::file_node::Survival;
use super::tree::{Node, State};

/// How a machine goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The power fails: what was not synced survives by chance.
    PowerCut,
    /// The process is killed: all that it wrote stays with the operating system, synced or not.
    Kill,
}

impl Crash {
    /// What the interrupted operation, with all that follow, returns.
    pub(super) fn error(self) -> io::Error {
        io::Error::other(match self {
            Crash::PowerCut => "the power is cut (simulated)",
            Crash::Kill => "the process is killed (simulated)",
        })
    }
}

/// What becomes of names created, renamed or removed in a directory that was not synced since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NameSurvival {
    /// They are forgotten: created names are gone, removed or renamed ones are back.
    #[default]
    Forgotten,
    /// A random subset of these changes survives, each by itself.
    Subset,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PowerState {
    On,
    Off(Crash),
}

impl State {
    pub(super) fn crash(&mut self, crash: Crash) {
        if self.power != PowerState::On {
            return;
        }
        self.power = PowerState::Off(crash);
        // An arbitrary subset is almost never all or nothing: those are drawn on purpose.
        let survival = match self.random.below(6) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            2 | 3 => Survival::Prefix,
            _ => Survival::Subset,
        };
        for node in &mut self.nodes {
            match node {
                Node::File(file) => {
                    file.handles = 0;
                    file.locked = false;
                    if crash == Crash::PowerCut {
                        file.lose_power(survival, &mut self.random);
                    }
                }
                Node::Directory(directory) if crash == Crash::PowerCut => {
                    directory.lose_power(self.name_survival, &mut self.random);
                }
                Node::Directory(_) | Node::Free => {}
            }
        }
        self.sweep();
        self.count_links();
    }
}
