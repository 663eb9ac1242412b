//! One monitored channel.

use crate::api::{Api, ChannelId, SubscriptionId};
use crate::context::Lease;
use crate::limits::MAX_ELEMENTS;
use crate::queue::Sender;
use std::ffi::c_long;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Which changes a server reports as values. Property changes always come, as metadata.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EventMask {
    /// `DBE_VALUE`: beyond the record's monitor dead band.
    pub value: bool,
    /// `DBE_LOG`: beyond the record's archive dead band.
    pub archive: bool,
    /// `DBE_ALARM`: severity or status changed.
    pub alarm: bool,
}

impl Default for EventMask {
    /// Archive and alarm.
    fn default() -> EventMask {
        EventMask { value: false, archive: true, alarm: true }
    }
}

impl EventMask {
    pub(crate) fn bits(self) -> c_long {
        c_long::from(self.value) | c_long::from(self.archive) << 1 | c_long::from(self.alarm) << 2
    }
}

/// How a channel is monitored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelSettings {
    /// Which changes come as values; at least one must be asked for.
    pub events: EventMask,
    /// Longest array to subscribe to, in elements.
    pub max_elements: u64,
}

impl Default for ChannelSettings {
    /// Archive and alarm events, arrays of up to [`MAX_ELEMENTS`].
    fn default() -> ChannelSettings {
        ChannelSettings { events: EventMask::default(), max_elements: MAX_ELEMENTS }
    }
}

/// What a channel could not put into the queue since it was created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// Values.
    pub values: u64,
    /// States, access rights, metadata; drop the channel and create it again to set that right.
    pub states: u64,
}

/// A monitored channel. Dropping it ends the monitoring: when drop returns no more entries of it are
/// made, though those already queued are still delivered. May be dropped on any thread at any time, also
/// under load and by the reader itself: libca waits for a running callback, and callbacks wait for nobody.
pub struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) state: *const State,
    pub(crate) lease: Lease,
}

/// What callbacks need of a channel. Lives from before `ca_create_channel` to after `ca_clear_channel`.
/// What every value needs stands first, on one cache line.
#[repr(C, align(64))]
pub(crate) struct State {
    pub(crate) sender: Sender,
    pub(crate) token: u64,
    pub(crate) values_lost: AtomicU64,
    /// The server's number in the queue, `u32::MAX` for none yet.
    pub(crate) server: AtomicU32,
    pub(crate) scalar: AtomicBool,
    pub(crate) connected: AtomicBool,
    /// The field type subscribed to, -1 for none.
    pub(crate) subscribed: AtomicI32,
    pub(crate) values: AtomicPtr<std::ffi::c_void>,
    pub(crate) metadata: AtomicPtr<std::ffi::c_void>,
    pub(crate) states_lost: AtomicU64,
    pub(crate) settings: ChannelSettings,
    pub(crate) api: Api,
}

impl State {
    pub(crate) fn new(api: Api, sender: Sender, token: u64, settings: ChannelSettings) -> State {
        let none: SubscriptionId = std::ptr::null_mut();
        State {
            api,
            sender,
            token,
            settings,
            subscribed: AtomicI32::new(-1),
            values: AtomicPtr::new(none),
            metadata: AtomicPtr::new(none),
            scalar: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            server: AtomicU32::new(u32::MAX),
            values_lost: AtomicU64::new(0),
            states_lost: AtomicU64::new(0),
        }
    }

    pub(crate) fn losses(&self) -> Losses {
        Losses { values: self.values_lost.load(Relaxed), states: self.states_lost.load(Relaxed) }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("token", &self.token()).finish_non_exhaustive()
    }
}
