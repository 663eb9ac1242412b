//! A thin wrapper over EPICS libca, opened at run time.
//!
//! Nothing of EPICS is needed to build it. [`Library`] finds and opens libca, a [`Context`] creates
//! [`Channel`]s, and everything that happens to them arrives as [`Entry`]s in one bounded [`queue`],
//! read by one [`Receiver`]. [`RawValue::decode`] and [`RawMetadata::decode`] turn libca's bytes into
//! `sample` types.
//!
//! It is not an archiver: it keeps no values, drops no repetitions, replaces no time stamps and never
//! writes or reads on request (`ca_put`, `ca_get`); it only monitors.
//!
//! ```no_run
//! use epics_ca::{ChannelSettings, Context, ContextSettings, EntryKind, Library, LibraryPlaces, queue};
//! # fn main() -> Result<(), epics_ca::Error> {
//! let library = Library::open(&LibraryPlaces::of_this_process(None))?;
//! let (sender, mut receiver) = queue(64 << 20);
//! let context = Context::create(&library, &ContextSettings::default(), sender)?;
//! let _channel = context.channel("SR:DCCT:CURRENT", 1, ChannelSettings::default())?;
//! context.flush();
//! receiver.wait(std::time::Duration::from_secs(10));
//! receiver.drain(|entry| {
//!     if let EntryKind::Value(raw) = &entry.kind {
//!         println!("{}: {:?}", entry.token, raw.decode());
//!     }
//! });
//! # Ok(()) }
//! ```

pub mod api;
mod callbacks;
mod channel;
mod context;
mod dbr;
mod decode;
mod entry;
mod error;
#[cfg(feature = "ioc")]
pub mod ioc;
mod library;
mod limits;
mod lookup;
mod messages;
mod metadata;
mod queue;
mod settings;

pub use channel::{Channel, ChannelSettings, EventMask, Losses};
pub use context::Context;
pub use dbr::FieldType;
pub use decode::{RawValue, Reading};
pub use entry::{Access, Entry, EntryKind};
pub use error::Error;
pub use library::Library;
pub use limits::{MAX_ELEMENTS, QUEUE_BYTES_MAX};
pub use lookup::LibraryPlaces;
pub use messages::{Message, Messages, take_messages};
pub use metadata::RawMetadata;
pub use queue::{QueueFigures, Reader, Receiver, Sender, Waker, queue};
pub use settings::ContextSettings;
