//! What libca calls on its own threads.
//!
//! Nothing here blocks: the only lock taken is the queue's (or the message list's), which nobody holds
//! while calling libca.
#![expect(unsafe_code, reason = "libca calls through C function pointers and hands over C pointers")]

use crate::api::{
    self, AccessArguments, Api, CA_OP_CONN_UP, ChannelId, ConnectionArguments, DBE_PROPERTY, ECA_BADTYPE,
    ECA_NORMAL, EventArguments, ExceptionArguments,
};
use crate::channel::State;
use crate::dbr::FieldType;
use crate::entry::{Access, Stored};
use crate::limits::{HOST_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::messages;
use crate::queue::Sent;
use sample::Timestamp;
use std::ffi::{c_char, c_int, c_long, c_uint, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// The functions for handlers that libca gives no pointer of ours.
static API: OnceLock<Api> = OnceLock::new();

/// Notes the library in use; `false` when this process uses another one already.
pub(crate) fn know(api: Api) -> bool {
    ptr::fn_addr_eq(API.get_or_init(|| api).ca_puser, api.ca_puser)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

impl State {
    fn sent(&self) -> Sent {
        let server = self.server.load(Relaxed);
        Sent {
            token: self.token,
            received: now(),
            lost_total: self.values_lost.load(Relaxed),
            server: (server != u32::MAX).then_some(server),
        }
    }

    /// Returns whether the server's name should be asked for again.
    fn push(&self, kind: Stored, bytes: &[u8]) -> bool {
        let pushed = self.sender.push(self.sent(), kind, bytes);
        if !pushed.queued {
            let value = matches!(kind, Stored::Value { .. });
            if value { &self.values_lost } else { &self.states_lost }.fetch_add(1, Relaxed);
        }
        pushed.ask
    }

    /// What libca calls the server now.
    ///
    /// # Safety
    /// Inside a callback of this state's channel.
    unsafe fn host(&self, channel: ChannelId) -> String {
        let mut host = [0u8; HOST_BYTES_MAX];
        // SAFETY: the caller's promise; the buffer is as long as told.
        unsafe {
            (self.api.ca_get_host_name)(channel, host.as_mut_ptr().cast::<c_char>(), host.len() as c_uint)
        };
        String::from_utf8_lossy(&crate::dbr::text(&host)).into_owned()
    }

    /// The channel is connected: say so, subscribe anew if this is another type than before.
    ///
    /// # Safety
    /// `channel` is this state's channel, connected, inside a callback.
    unsafe fn up(&self, channel: ChannelId) {
        let api = &self.api;
        // SAFETY: the caller's promise; the buffer is as long as told.
        let (code, elements, access, server) = unsafe {
            let access = Access {
                read: (api.ca_read_access)(channel) != 0,
                write: (api.ca_write_access)(channel) != 0,
            };
            let server = self.sender.server(&self.host(channel), now());
            ((api.ca_field_type)(channel), (api.ca_element_count)(channel), access, server)
        };
        self.server.store(server, Relaxed);
        self.scalar.store(elements == 1, Relaxed);
        let Some(field) = FieldType::from_code(code.into()) else {
            self.push(Stored::Error { status: ECA_BADTYPE }, &[]);
            return;
        };
        self.push(Stored::Up { field, elements, access, server }, &[]);
        let limit = self.settings.max_elements;
        if elements > limit {
            self.push(Stored::Refused { elements, limit }, &[]);
            // SAFETY: the caller's promise.
            unsafe { self.unsubscribe() };
        } else if self.subscribed.load(Relaxed) != i32::from(code) {
            // SAFETY: the caller's promise.
            unsafe {
                self.unsubscribe();
                self.subscribe(channel, field);
            }
        }
    }

    /// # Safety
    /// Inside a callback of this state's channel.
    unsafe fn unsubscribe(&self) {
        self.subscribed.store(-1, Relaxed);
        for slot in [&self.values, &self.metadata] {
            let id = slot.swap(ptr::null_mut(), Relaxed);
            if !id.is_null() {
                // SAFETY: a live subscription of this channel, cleared once as the slot is empty now.
                unsafe { (self.api.ca_clear_subscription)(id) };
            }
        }
    }

    /// # Safety
    /// As [`State::up`], with no subscription left.
    unsafe fn subscribe(&self, channel: ChannelId, field: FieldType) {
        let subscriptions = [
            (&self.metadata, field.control_dbr(), 1, DBE_PROPERTY),
            (&self.values, field.time_dbr(), 0, self.settings.events.bits()),
        ];
        for (slot, dbr, count, mask) in subscriptions {
            let mut id = ptr::null_mut();
            // SAFETY: `self` outlives the channel and so its subscriptions. Count 0 asks for the array's
            // present length.
            let status = unsafe {
                let user = ptr::from_ref(self).cast_mut().cast();
                (self.api.ca_create_subscription)(
                    dbr.into(),
                    count,
                    channel,
                    mask,
                    Some(on_event),
                    user,
                    &raw mut id,
                )
            };
            if status == ECA_NORMAL {
                slot.store(id, Relaxed);
            } else {
                self.push(Stored::Error { status }, &[]);
            }
        }
        self.subscribed.store((field as u8).into(), Relaxed);
    }

    /// A value or metadata. Returns whether the server's name should be asked for again.
    fn event(&self, dbr: c_long, count: c_long, data: *const c_void) -> bool {
        let (Ok(dbr), Ok(count)) = (u16::try_from(dbr), u32::try_from(count)) else {
            return self.push(Stored::Error { status: ECA_BADTYPE }, &[]);
        };
        let value = FieldType::of_time_dbr(dbr).and_then(|field| field.time_bytes(count as usize));
        let control = FieldType::of_control_dbr(dbr).filter(|_| count == 1).map(FieldType::control_bytes);
        let Some(length) = value.or(control) else {
            return self.push(Stored::Error { status: ECA_BADTYPE }, &[]);
        };
        // SAFETY: libca hands over `count` elements of type `dbr`, laid out as `api::open` has checked,
        // for the time of the callback.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
        let kind = if value.is_some() {
            Stored::Value { dbr, count, scalar: self.scalar.load(Relaxed) }
        } else {
            Stored::Metadata { dbr }
        };
        self.push(kind, bytes)
    }
}

/// The state of a channel, from the pointer that `ca_create_channel` was given.
///
/// # Safety
/// `user` is that pointer, and a callback of the channel is running: the state is freed only after
/// `ca_clear_channel`, which waits for running callbacks.
unsafe fn state<'a>(user: *mut c_void) -> &'a State {
    // SAFETY: the caller's promise.
    unsafe { &*user.cast::<State>() }
}

pub(crate) unsafe extern "C" fn on_connection(arguments: ConnectionArguments) {
    let Some(api) = API.get() else { return };
    // SAFETY: libca passes a channel created with a `State` as its user pointer.
    let state = unsafe { state((api.ca_puser)(arguments.channel)) };
    let up = arguments.op == CA_OP_CONN_UP;
    state.connected.store(up, Relaxed);
    if up {
        // SAFETY: inside the connection callback of a channel that is up.
        unsafe { state.up(arguments.channel) };
    } else {
        state.push(Stored::Down { last_heard: Timestamp(0) }, &[]);
    }
}

pub(crate) unsafe extern "C" fn on_access(arguments: AccessArguments) {
    let Some(api) = API.get() else { return };
    // SAFETY: as in `on_connection`.
    let state = unsafe { state((api.ca_puser)(arguments.channel)) };
    let access = Access { read: arguments.rights & 1 != 0, write: arguments.rights & 2 != 0 };
    state.push(Stored::Access(access), &[]);
}

unsafe extern "C" fn on_event(arguments: EventArguments) {
    // SAFETY: subscriptions are created with the state as their user pointer.
    let state = unsafe { state(arguments.user) };
    if arguments.status != ECA_NORMAL || arguments.data.is_null() {
        state.push(Stored::Error { status: arguments.status }, &[]);
    } else if state.event(arguments.dbr, arguments.count, arguments.data) {
        // SAFETY: inside a callback of the channel.
        let host = unsafe { state.host(arguments.channel) };
        state.sender.server_is(state.server.load(Relaxed), &host, now());
    }
}

pub(crate) unsafe extern "C" fn on_exception(arguments: ExceptionArguments) {
    let Some(api) = API.get() else { return };
    let mut message = api.message(arguments.status);
    // SAFETY: libca passes null or texts that live during the callback, null or a live channel.
    unsafe {
        if !arguments.context.is_null() {
            message = format!("{message} ({})", api::text(arguments.context));
        }
        if !arguments.channel.is_null() {
            message = format!("{message}, channel {}", api::text((api.ca_name)(arguments.channel)));
        }
    }
    messages::add(now(), &message);
}

unsafe extern "C" {
    fn vsnprintf(buffer: *mut c_char, size: usize, format: *const c_char, arguments: *mut c_void) -> c_int;
}

pub(crate) unsafe extern "C" fn on_print(format: *const c_char, arguments: *mut c_void) -> c_int {
    let mut buffer = [0u8; MESSAGE_BYTES_MAX];
    // SAFETY: a format with its va_list, used once; the buffer is as long as told. A va_list argument is
    // a pointer in the C calling convention of 64-bit Linux, so it passes on as one.
    let length = unsafe { vsnprintf(buffer.as_mut_ptr().cast::<c_char>(), buffer.len(), format, arguments) };
    messages::add(now(), &String::from_utf8_lossy(&crate::dbr::text(&buffer)));
    length
}
