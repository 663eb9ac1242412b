//! Monitors channels, counters among them, with libca's functions alone: the least a client can cost.
//!
//! `bare_monitor SECONDS FILE`: the file holds one channel name a line. Prints what arrived and what it
//! cost. The environment (`EPICS_CA_*`) says where to search.
#![expect(unsafe_code, reason = "a C client written in Rust, for comparison")]

mod report;

use epics_ca::api::{ConnectionArguments, DBE_PROPERTY, EventArguments};
use epics_ca::{FieldType, Library, LibraryPlaces};
use report::{Count, Report};
use std::ffi::{CString, c_long, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{LazyLock, OnceLock};

/// A channel's user pointer.
struct Monitored {
    count: &'static Count,
    subscribed: AtomicBool,
}

/// `EVENT_MASK` in decimal, `DBE_VALUE` unless set.
fn mask() -> c_long {
    static MASK: LazyLock<c_long> =
        LazyLock::new(|| std::env::var("EVENT_MASK").ok().and_then(|text| text.parse().ok()).unwrap_or(1));
    *MASK
}

static LIBRARY: OnceLock<Library> = OnceLock::new();

unsafe extern "C" fn on_connection(arguments: ConnectionArguments) {
    let Some(library) = LIBRARY.get() else { return };
    let api = library.api();
    let mut id = ptr::null_mut();
    // SAFETY: a connected channel inside its callback; its user pointer is a leaked `Monitored`.
    unsafe {
        let field = FieldType::from_code((api.ca_field_type)(arguments.channel).into());
        let user = (api.ca_puser)(arguments.channel);
        if let Some(field) = field.filter(|_| !(*user.cast::<Monitored>()).subscribed.swap(true, Relaxed)) {
            let subscribe = api.ca_create_subscription;
            subscribe(
                field.time_dbr().into(),
                0,
                arguments.channel,
                mask(),
                Some(on_event),
                user,
                &raw mut id,
            );
            if std::env::var_os("WITH_METADATA").is_some() {
                let dbr = field.control_dbr().into();
                subscribe(dbr, 1, arguments.channel, DBE_PROPERTY, Some(on_metadata), user, &raw mut id);
            }
        }
    }
}

unsafe extern "C" fn on_metadata(_: EventArguments) {}

unsafe extern "C" fn on_event(arguments: EventArguments) {
    if arguments.data.is_null() {
        return;
    }
    let double = arguments.dbr == FieldType::Double.time_dbr().into() && arguments.count == 1;
    // SAFETY: a DBR_TIME_DOUBLE has its value at byte 16; the user pointer is a leaked `Monitored`.
    unsafe {
        let count = (*arguments.user.cast::<Monitored>()).count;
        if double {
            count.add(arguments.data.cast::<f64>().add(2).read_unaligned());
        } else {
            count.arrived();
        }
    };
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut report = Report::from_arguments()?;
    let library = LIBRARY.get_or_init(|| match Library::open(&LibraryPlaces::of_this_process(None)) {
        Ok(library) => library,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1)
        }
    });
    let api = library.api();
    for (name, count) in report.names.iter().zip(report.counts) {
        let name = CString::new(name.as_str())?;
        let monitored = Box::leak(Box::new(Monitored { count, subscribed: AtomicBool::new(false) }));
        let (mut id, user) = (ptr::null_mut(), ptr::from_mut(monitored).cast::<c_void>());
        // SAFETY: the user pointers live until the process ends; a context is made first and stays attached.
        unsafe {
            if (api.ca_current_context)().is_null() {
                (api.ca_context_create)(1);
            }
            (api.ca_create_channel)(name.as_ptr(), Some(on_connection), user, 20, &raw mut id);
        }
    }
    // SAFETY: attached.
    unsafe { (api.ca_flush_io)() };
    report.measure(|| std::thread::sleep(std::time::Duration::from_millis(100)));
    report.print("bare libca");
    Ok(())
}
