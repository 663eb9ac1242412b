//! Monitors counters as an archiver does: through the queue, decoded by one reader.
//!
//! `queue_monitor SECONDS FILE [PAUSE_US]`: the file holds one channel name a line. Prints what arrived
//! and what it cost. The environment (`EPICS_CA_*`) says where to search. The reader sleeps for
//! PAUSE_US (1000) after each batch.

mod report;

use epics_ca::{
    ChannelSettings, Context, ContextSettings, EntryKind, EventMask, Library, LibraryPlaces, queue,
};
use report::Report;
use sample::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut report = Report::from_arguments()?;
    let pause: u64 = std::env::args().nth(3).map_or(Ok(1000), |text| text.parse())?;
    let library = Library::open(&LibraryPlaces::of_this_process(None))?;
    let (sender, mut receiver) = queue(64 << 20);
    let context = Context::create(&library, &ContextSettings::default(), sender)?;
    let events = EventMask { value: true, archive: false, alarm: false };
    let settings = ChannelSettings { events, ..ChannelSettings::default() };
    let mut channels = Vec::new();
    for (token, name) in report.names.iter().enumerate() {
        channels.push(context.channel(name, token as u64, settings)?);
    }
    context.flush();
    let counts = report.counts;
    let mut delays: Vec<u32> = Vec::new();
    let mut batches = 0u64;
    let mut described = vec![false; report.names.len()];
    let mut undescribed = 0u64;
    report.measure(|| {
        receiver.wait(Duration::from_millis(100));
        batches += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        receiver.drain(|entry| {
            let known = usize::try_from(entry.token).ok().and_then(|token| described.get_mut(token));
            match (&entry.kind, known) {
                (EntryKind::Metadata(_), Some(known)) => *known = true,
                (EntryKind::Value(_), Some(false)) => undescribed += 1,
                _ => {}
            }
            if let EntryKind::Value(raw) = &entry.kind
                && let Ok(reading) = raw.decode()
                && let Value::Float64(value) = reading.value
                && let Ok(token) = usize::try_from(entry.token)
            {
                counts[token].add(value);
                let received = u128::try_from(entry.received.0).unwrap_or(0);
                delays.push(u32::try_from(now.saturating_sub(received) / 1000).unwrap_or(u32::MAX));
            }
        });
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
    });
    report.print("queue");
    delays.sort_unstable();
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied().unwrap_or(0);
    let figures = receiver.figures();
    println!(
        "  queued for: median {} us, p99 {} us, most {} us; {batches} batches; \
         {undescribed} values before their metadata; {figures:?}",
        at(0.5),
        at(0.99),
        delays.last().copied().unwrap_or(0)
    );
    Ok(())
}
