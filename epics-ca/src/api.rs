//! The C functions of libca as a table, loaded from a file.
//!
//! Meant for this crate, and for measuring against it. Callers keep to the contracts of `cadef.h`.
#![expect(unsafe_code, reason = "libca is a C library and is opened at run time")]

use crate::dbr::FieldType;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_short, c_uint, c_ulong, c_void};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::ptr;

/// `chid`
pub type ChannelId = *mut c_void;
/// `evid`
pub type SubscriptionId = *mut c_void;
/// `struct ca_client_context *`
pub type ContextId = *mut c_void;

/// `ECA_NORMAL`
pub const ECA_NORMAL: c_int = 1;
/// `ECA_BADTYPE`
pub const ECA_BADTYPE: c_int = 114;
/// `CA_OP_CONN_UP`
pub const CA_OP_CONN_UP: c_long = 6;
/// `DBE_PROPERTY`
pub const DBE_PROPERTY: c_long = 8;
/// `CA_PRIORITY_ARCHIVE`
pub const PRIORITY_ARCHIVE: c_uint = 20;

/// `struct connection_handler_args`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ConnectionArguments {
    /// The channel.
    pub channel: ChannelId,
    /// `CA_OP_CONN_UP` or `CA_OP_CONN_DOWN`
    pub op: c_long,
}

/// `struct access_rights_handler_args`; bit 0 of `rights` is read, bit 1 write.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AccessArguments {
    /// The channel.
    pub channel: ChannelId,
    /// Two bit fields.
    pub rights: c_uint,
}

/// `struct event_handler_args`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EventArguments {
    /// What the subscription was given.
    pub user: *mut c_void,
    /// The channel.
    pub channel: ChannelId,
    /// DBR type.
    pub dbr: c_long,
    /// Number of elements.
    pub count: c_long,
    /// The DBR structure, or null.
    pub data: *const c_void,
    /// `ECA_*`
    pub status: c_int,
}

/// `struct exception_handler_args`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ExceptionArguments {
    /// What the handler was given.
    pub user: *mut c_void,
    /// The channel, or null.
    pub channel: ChannelId,
    /// DBR type asked for.
    pub dbr: c_long,
    /// Number of elements asked for.
    pub count: c_long,
    /// The caller's address of a `ca_get`.
    pub address: *mut c_void,
    /// `ECA_*`
    pub status: c_long,
    /// `CA_OP_*`
    pub op: c_long,
    /// What it is about, or null.
    pub context: *const c_char,
    /// libca's source file, or null.
    pub file: *const c_char,
    /// Line there.
    pub line: c_uint,
}

/// `caCh`
pub type OnConnection = unsafe extern "C" fn(ConnectionArguments);
/// `caArh`
pub type OnAccess = unsafe extern "C" fn(AccessArguments);
/// `caEventCallBackFunc`
pub type OnEvent = unsafe extern "C" fn(EventArguments);
/// `caExceptionHandler`
pub type OnException = unsafe extern "C" fn(ExceptionArguments);
/// `caPrintfFunc`; a `va_list` argument is passed as a pointer on all Linux targets of 64 bits.
pub type OnPrint = unsafe extern "C" fn(*const c_char, *mut c_void) -> c_int;

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of libca that this crate calls, by their C names.
        #[derive(Clone, Copy, Debug)]
        pub struct Api {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,
            )*
        }

        impl Api {
            fn load(file: &File) -> Result<Api, String> {
                Ok(Api {
                    // SAFETY: the symbol is the C function of that name; the prototypes above are those
                    // of cadef.h, unchanged through all of EPICS 7.
                    $($name: unsafe {
                        std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                            file.symbol(stringify!($name))?,
                        )
                    },)*
                })
            }
        }
    };
}

functions! {
    ca_context_create: fn(c_int) -> c_int;
    ca_context_destroy: fn();
    ca_current_context: fn() -> ContextId;
    ca_attach_context: fn(ContextId) -> c_int;
    ca_detach_context: fn();
    ca_add_exception_event: fn(Option<OnException>, *mut c_void) -> c_int;
    ca_replace_printf_handler: fn(Option<OnPrint>) -> c_int;
    ca_create_channel: fn(*const c_char, Option<OnConnection>, *mut c_void, c_uint, *mut ChannelId) -> c_int;
    ca_clear_channel: fn(ChannelId) -> c_int;
    ca_replace_access_rights_event: fn(ChannelId, Option<OnAccess>) -> c_int;
    ca_create_subscription: fn(c_long, c_ulong, ChannelId, c_long, Option<OnEvent>, *mut c_void, *mut SubscriptionId) -> c_int;
    ca_clear_subscription: fn(SubscriptionId) -> c_int;
    ca_flush_io: fn() -> c_int;
    ca_field_type: fn(ChannelId) -> c_short;
    ca_element_count: fn(ChannelId) -> c_ulong;
    ca_puser: fn(ChannelId) -> *mut c_void;
    ca_name: fn(ChannelId) -> *const c_char;
    ca_get_host_name: fn(ChannelId, *mut c_char, c_uint) -> c_uint;
    ca_read_access: fn(ChannelId) -> c_uint;
    ca_write_access: fn(ChannelId) -> c_uint;
    ca_message: fn(c_long) -> *const c_char;
    ca_version: fn() -> *const c_char;
}

/// An open shared library. It is never closed: libca leaves threads and exit handlers behind.
struct File {
    handle: *mut c_void,
}

impl File {
    fn open(path: &Path) -> Result<File, String> {
        let path =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| "the path holds a NUL".to_owned())?;
        // SAFETY: the path ends with a NUL. Running the library's initialisers is what the caller asks for.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            // SAFETY: after a failure dlerror gives null or a text that lives until this thread's next dl call.
            return Err(unsafe { text(libc::dlerror()) });
        }
        Ok(File { handle })
    }

    fn symbol(&self, name: &str) -> Result<*mut c_void, String> {
        let c_name = CString::new(name).map_err(|_| "the name holds a NUL".to_owned())?;
        // SAFETY: the handle is open, the name ends with a NUL.
        let symbol = unsafe { libc::dlsym(self.handle, c_name.as_ptr()) };
        if symbol.is_null() { Err(format!("it has no symbol {name}")) } else { Ok(symbol) }
    }

    /// Compares the library's own table of structure sizes with the layouts that this crate decodes.
    fn check_layout(&self) -> Result<(), String> {
        let sizes = self.symbol("dbr_size")?.cast::<u16>();
        for field in FieldType::ALL {
            let time = (field.time_dbr(), field.time_offset() + field.width());
            for (dbr, expected) in [time, (field.control_dbr(), field.control_bytes())] {
                // SAFETY: dbr_size has 39 entries in every EPICS 7; the greatest number here is 34.
                let found = unsafe { sizes.add(dbr.into()).read() };
                if usize::from(found) != expected {
                    return Err(format!("its DBR type {dbr} has {found} bytes, {expected} are expected"));
                }
            }
        }
        Ok(())
    }
}

/// Opens `path` (a file, or a name for the system's loader) and returns the table and the file's real path.
pub(crate) fn open(path: &Path) -> Result<(Api, PathBuf), OpenError> {
    let file = File::open(path).map_err(OpenError::NotOpened)?;
    let api =
        Api::load(&file).and_then(|api| file.check_layout().map(|()| api)).map_err(OpenError::NotLibca)?;
    Ok((api, file_of(&api).unwrap_or_else(|| path.to_owned())))
}

/// Why a library is no use.
pub(crate) enum OpenError {
    NotOpened(String),
    NotLibca(String),
}

fn file_of(api: &Api) -> Option<PathBuf> {
    // SAFETY: an all-zero Dl_info is a valid value: null pointers.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is writable; the address is that of a loaded function.
    let found = unsafe { libc::dladdr(api.ca_version as *const c_void, &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's own NUL-terminated copy of the path, which lives as long as the library.
    let path = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(std::ffi::OsString::from_vec(path.to_bytes().to_vec())))
}

impl Api {
    /// `ca_version()` as text.
    pub fn version(&self) -> String {
        // SAFETY: libca returns a constant.
        unsafe { text((self.ca_version)()) }
    }

    /// `ca_message()` as text.
    pub fn message(&self, status: c_long) -> String {
        // SAFETY: libca returns a constant for every status, known or not.
        unsafe { text((self.ca_message)(status)) }
    }
}

/// A copy of a C text; empty for null.
///
/// # Safety
/// `pointer` is null or a NUL-terminated text that lives during the call.
pub(crate) unsafe fn text(pointer: *const c_char) -> String {
    if ptr::eq(pointer, ptr::null()) {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
