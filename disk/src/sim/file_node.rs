//! One file: what a process sees, with the journal of what the medium may not have yet.

use std::io;

use super::Random;
use super::image::Image;

/// Bytes that a medium writes whole.
const SECTOR_BYTES: u64 = 512;

/// A change of content or length since the last sync, with what undoes it.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Box<[u8]>, old: Box<[u8]>, old_len: u64 },
    SetLen { len: u64, old_len: u64, cut: Box<[u8]> },
}

/// A file. The medium holds `diverged` where a sync failed, else `content` with the journal undone.
#[derive(Clone, Debug, Default)]
pub(super) struct FileNode {
    /// What a process reads.
    pub(super) content: Image,
    diverged: Option<Image>,
    journal: Vec<Change>,
    /// Changes ever made; the journal holds the last of them.
    pub(super) changes: u64,
    /// Bytes of the disk that it uses while it has a name or is open.
    pub(super) reserved: u64,
    /// Present names.
    pub(super) links: u32,
    /// Open files.
    pub(super) handles: u32,
    pub(super) locked: bool,
}

/// What a power cut leaves of the unsynced changes of a file.
#[derive(Clone, Copy)]
pub(super) enum Survival {
    Nothing,
    Everything,
    Prefix,
    Subset,
}

impl FileNode {
    /// Empty, with one name.
    pub(super) fn created() -> FileNode {
        FileNode { links: 1, ..FileNode::default() }
    }

    pub(super) fn planted(bytes: &[u8]) -> FileNode {
        FileNode { content: Image::new(bytes), reserved: bytes.len() as u64, ..FileNode::default() }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        let old = Box::from(self.content.stored(offset, end));
        let old_len = self.content.len();
        self.content.write(offset, bytes);
        self.record(Change::Write { offset, bytes: Box::from(bytes), old, old_len });
        self.reserved = self.reserved.max(end);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let old_len = self.content.len();
        let cut = Box::from(self.content.stored(len, old_len));
        self.content.set_len(len);
        self.record(Change::SetLen { len, old_len, cut });
        if len < old_len {
            self.reserved = self.reserved.min(len);
        }
    }

    fn record(&mut self, change: Change) {
        self.journal.push(change);
        self.changes += 1;
    }

    /// Makes the changes numbered below `until` durable.
    pub(super) fn sync(&mut self, until: u64) {
        let first = self.changes - self.journal.len() as u64;
        let count = (until.saturating_sub(first) as usize).min(self.journal.len());
        for change in self.journal.drain(..count) {
            if let Some(durable) = &mut self.diverged {
                change.redo(durable);
            }
        }
    }

    /// A sync that fails: some dirty bytes reached the medium, the others are dirty no more. The process
    /// then reads either what it wrote (ext4) or what the medium holds (XFS).
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let survivors = self.survivors(Survival::Subset, random);
        self.journal.clear();
        if random.one_in(2) {
            self.diverged = Some(survivors);
        } else {
            self.content = survivors;
            self.diverged = None;
        }
    }

    /// The power goes: the content is what the medium holds.
    pub(super) fn lose_power(&mut self, survival: Survival, random: &mut Random) {
        if self.diverged.is_some() || !self.journal.is_empty() {
            self.content = self.survivors(survival, random);
        }
        self.diverged = None;
        self.journal.clear();
        self.reserved = self.content.len();
    }

    /// Changes the stored bytes themselves, behind the back of the process.
    pub(super) fn damage(&mut self, act: impl Fn(&mut Image)) {
        let mut durable = self.durable();
        act(&mut durable);
        act(&mut self.content);
        self.diverged = Some(durable);
    }

    pub(super) fn flip(&mut self, offset: u64, mask: u8) -> io::Result<()> {
        if offset >= self.content.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.damage(|image| {
            let mut byte = [0];
            if image.read(offset, &mut byte) == 1 {
                image.write(offset, &[byte[0] ^ mask]);
            }
        });
        Ok(())
    }

    fn durable(&self) -> Image {
        if let Some(durable) = &self.diverged {
            return durable.clone();
        }
        let mut image = self.content.clone();
        for change in self.journal.iter().rev() {
            change.undo(&mut image);
        }
        image
    }

    fn survivors(&self, survival: Survival, random: &mut Random) -> Image {
        let mut image = self.durable();
        let prefix = random.below(self.journal.len() as u64 + 1) as usize;
        for (at, change) in self.journal.iter().enumerate() {
            match survival {
                Survival::Nothing => {}
                Survival::Everything => change.redo(&mut image),
                Survival::Prefix if at < prefix => change.redo(&mut image),
                Survival::Prefix if at == prefix => change.tear(&mut image, random),
                Survival::Prefix => {}
                Survival::Subset => match random.below(3) {
                    0 => change.redo(&mut image),
                    1 => change.tear(&mut image, random),
                    _ => {}
                },
            }
        }
        image
    }
}

impl Change {
    fn redo(&self, image: &mut Image) {
        match self {
            Change::Write { offset, bytes, .. } => image.write(*offset, bytes),
            Change::SetLen { len, .. } => image.set_len(*len),
        }
    }

    fn undo(&self, image: &mut Image) {
        match self {
            Change::Write { offset, bytes, old, old_len } => {
                image.erase(*offset, *offset + bytes.len() as u64);
                image.write(*offset, old);
                image.set_len(*old_len);
            }
            Change::SetLen { len, old_len, cut } => {
                image.set_len(*old_len);
                image.write(*len, cut);
            }
        }
    }

    /// Each sector of a write fares by itself; a length is never torn.
    fn tear(&self, image: &mut Image, random: &mut Random) {
        let Change::Write { offset, bytes, .. } = self else {
            if random.one_in(2) {
                self.redo(image);
            }
            return;
        };
        let mut at = 0;
        while at < bytes.len() {
            let here = offset + at as u64;
            let room = (SECTOR_BYTES - here % SECTOR_BYTES) as usize;
            let piece = &bytes[at..bytes.len().min(at + room)];
            match random.below(8) {
                0..4 => image.write(here, piece),
                4 => image.write(here, &vec![0; piece.len()]),
                5 => image.write(here, &garbage(piece.len(), random)),
                _ => {}
            }
            at += piece.len();
        }
    }
}

fn garbage(len: usize, random: &mut Random) -> Vec<u8> {
    (0..len).map(|_| random.bits() as u8).collect()
}
