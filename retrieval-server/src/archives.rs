//! The archives that a server's configuration names, as one reader.

use crate::tail::RemoteArchive;
use disk::Disk;
use engine::clock::Clock;
use engine::config::server::{Location, ServedArchive};
use engine::read::{Archive, Member, Reader};
use engine::{Connector, ForeignArchive, TailSource};
use std::path::PathBuf;
use std::sync::Arc;

/// An archive directory that another process may write; its engine is asked at `live`, or else where the
/// directory's lock file says. The directory may be missing as yet.
pub fn directory(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    directory: PathBuf,
    live: Option<String>,
) -> ForeignArchive {
    let at = clock.clone();
    let connect: Connector =
        Box::new(move |address| Arc::new(RemoteArchive::new(address, at.clone())) as Arc<dyn TailSource>);
    ForeignArchive::new(disk, clock, directory, live, connect)
}

/// A reader over `archives`. None is opened yet: one that is missing is looked for whenever it is asked.
pub fn reader(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>, archives: &[ServedArchive]) -> Reader {
    let member = |served: &ServedArchive| {
        let archive: Arc<dyn Archive> = match &served.location {
            Location::Directory(path) => {
                Arc::new(directory(disk.clone(), clock.clone(), path.clone(), served.live.clone()))
            }
            Location::Url(address) => Arc::new(RemoteArchive::new(address, clock.clone())),
        };
        Member { name: served.name.clone(), priority: served.priority, archive }
    };
    Reader::new(archives.iter().map(member).collect())
}
