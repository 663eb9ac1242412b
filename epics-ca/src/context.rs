//! A client of Channel Access: its threads, circuits, searches.
#![expect(unsafe_code, reason = "calls libca, and owns what libca's callbacks point to")]

use crate::api::{Api, ContextId, ECA_NORMAL, PRIORITY_ARCHIVE};
use crate::callbacks;
use crate::channel::{Channel, ChannelSettings, Losses, State};
use crate::error::Error;
use crate::library::Library;
use crate::queue::Sender;
use crate::settings::ContextSettings;
use std::ffi::{CString, c_int};
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A libca context with preemptive callbacks. Channels keep it alive; it ends with the last of them.
///
/// libca slows all searches of a context down while names in it do not answer: keep names that have not
/// connected for a minute in a second context, which may share the queue.
#[derive(Clone, Debug)]
pub struct Context {
    lease: Lease,
    sender: Sender,
}

/// A share in a context.
pub(crate) type Lease = Arc<Held>;

/// The C context, destroyed when nobody holds it any more.
pub(crate) struct Held {
    api: Api,
    id: ContextId,
}

// SAFETY: a context with preemptive callbacks may be used by any number of threads; each attaches to it
// around its calls (`Held::attached`), which is what libca asks for.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Held {
    /// Runs `call` with this thread attached to the context.
    fn attached<R>(&self, call: impl FnOnce(&Api) -> R) -> Result<R, Error> {
        // SAFETY: the context lives while `self` does.
        check(&self.api, "ca_attach_context", unsafe { (self.api.ca_attach_context)(self.id) })?;
        let result = call(&self.api);
        // SAFETY: attached above.
        unsafe { (self.api.ca_detach_context)() };
        Ok(result)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: no channel of the context is left, as each holds a share of it; destroying it ends
        // libca's threads and detaches this one.
        let _ = self.attached(|api| unsafe { (api.ca_context_destroy)() });
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.id).finish()
    }
}

fn check(api: &Api, call: &'static str, status: c_int) -> Result<(), Error> {
    if status == ECA_NORMAL {
        Ok(())
    } else {
        Err(Error::Ca { call, status, message: api.message(status.into()) })
    }
}

impl Context {
    /// Starts a client. Entries of its channels go to `sender`, what libca has to say to
    /// [`crate::take_messages`].
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::SettingsDiffer`], or [`Error::Ca`] when libca refuses, as it does on
    /// a thread that is attached to a context already (inside a callback).
    pub fn create(library: &Library, settings: &ContextSettings, sender: Sender) -> Result<Context, Error> {
        let api = *library.api();
        if !callbacks::know(api) {
            let what = "this process uses another libca already".to_owned();
            return Err(Error::Library { path: library.path().to_owned(), what });
        }
        let held = settings.applied(|| {
            // SAFETY: plain calls. This thread is attached to the new context until it is detached below.
            unsafe {
                check(&api, "ca_context_create", (api.ca_context_create)(1))?;
                let held = Held { api, id: (api.ca_current_context)() };
                (api.ca_add_exception_event)(Some(callbacks::on_exception), ptr::null_mut());
                (api.ca_replace_printf_handler)(Some(callbacks::on_print));
                (api.ca_detach_context)();
                Ok(held)
            }
        })?;
        Ok(Context { lease: Arc::new(held), sender })
    }

    /// Creates a channel and searches for it, from any thread. Its entries carry `token`: use a fresh
    /// one for each channel, as entries of a dropped channel may still be queued.
    /// After a batch of creations call [`Context::flush`]. Thousands at once keep a server so busy that it
    /// merges updates of channels it has connected already; 500 every 20 ms do not.
    ///
    /// # Errors
    /// [`Error::Name`], or [`Error::Ca`] when libca refuses the name, as it does above 1000 bytes or so.
    pub fn channel(&self, name: &str, token: u64, settings: ChannelSettings) -> Result<Channel, Error> {
        let c_name = CString::new(name).ok().filter(|name| !name.is_empty());
        let c_name = c_name.ok_or_else(|| Error::Name(name.to_owned()))?;
        let state = Box::into_raw(Box::new(State::new(self.lease.api, self.sender.clone(), token, settings)));
        let mut id = ptr::null_mut();
        let created = self.lease.attached(|api| {
            // SAFETY: `state` lives until `ca_clear_channel` has returned (`Channel::drop`), or is freed
            // below when there is no channel. Callbacks only share it.
            check(api, "ca_create_channel", unsafe {
                (api.ca_create_channel)(
                    c_name.as_ptr(),
                    Some(callbacks::on_connection),
                    state.cast(),
                    PRIORITY_ARCHIVE,
                    &raw mut id,
                )
            })?;
            // SAFETY: the channel was just created.
            unsafe { (api.ca_replace_access_rights_event)(id, Some(callbacks::on_access)) };
            Ok(())
        });
        if let Err(error) = created.and_then(|created| created) {
            // SAFETY: libca made no channel, so nothing else points to it.
            drop(unsafe { Box::from_raw(state) });
            return Err(error);
        }
        Ok(Channel { id, state, lease: self.lease.clone() })
    }

    /// Sends what libca has buffered.
    pub fn flush(&self) {
        // SAFETY: a plain call.
        let _ = self.lease.attached(|api| unsafe { (api.ca_flush_io)() });
    }
}

// SAFETY: the id may be used by any attached thread; `State` is shared with libca's threads by design and
// holds only atomics, a `Sender` (Send, Sync) and values that never change.
unsafe impl Send for Channel {}
// SAFETY: as above.
unsafe impl Sync for Channel {}

impl Channel {
    fn state(&self) -> &State {
        // SAFETY: freed only in `drop`.
        unsafe { &*self.state }
    }

    /// The number it was created with.
    pub fn token(&self) -> u64 {
        self.state().token
    }

    /// Whether it is connected now; the queue may not have told yet.
    pub fn connected(&self) -> bool {
        self.state().connected.load(Relaxed)
    }

    /// What found no room in the queue. A channel that lost values and fell silent tells it only here:
    /// look when [`crate::QueueFigures::values_lost`] or `states_lost` has grown.
    pub fn losses(&self) -> Losses {
        self.state().losses()
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // SAFETY: the channel exists since `Context::channel` and is cleared once.
        let cleared = self.lease.attached(|api| unsafe {
            (api.ca_clear_channel)(self.id);
            (api.ca_flush_io)()
        });
        if cleared.is_ok() {
            // SAFETY: after ca_clear_channel has returned no callback of the channel runs, so nothing
            // else points to the state, which came from a box.
            drop(unsafe { Box::from_raw(self.state.cast_mut()) });
        }
    }
}
