//! What an engine or a server is told: one TOML file, checked as a whole.
//!
//! Every error of a configuration is found at once and names its file and line. A configuration is used
//! whole or not at all, at the start as well as on a reload ([`Plan`]).

mod archive;
mod channel;
mod channel_access;
mod error;
mod http;
mod list_file;
mod load;
mod origin;
mod plan;
mod quantity;
mod retention;
mod section;
pub mod server;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use archive::{ArchiveSettings, MEMTABLE_BYTES_MIN, RESERVE_BYTES_MIN};
pub use channel::{
    ChannelSettings, ConfiguredChannel, DEFAULT_RETENTION, ELEMENTS_MAX, EventMask, Mode, StampRule,
};
pub use channel_access::{ChannelAccessSettings, EffectiveChannelAccess, HostEntry};
pub use error::{ConfigError, ConfigErrors, Problem};
pub use http::{ENGINE_PORT, HttpSettings, SERVER_PORT};
pub use load::Config;
pub use origin::Origin;
pub use plan::{Change, Plan};
pub use quantity::{Percent, QuantityError, format_duration, format_size, parse_duration, parse_size};
pub use retention::{Keep, RetentionClass};
pub use text::CONFIG_FILE_BYTES_MAX;

/// A commented configuration with every default: what `--print-config` prints. It reads back as the defaults.
pub const DEFAULT_TEXT: &str = include_str!("config/default.toml");
