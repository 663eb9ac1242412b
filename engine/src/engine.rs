//! A running engine: the threads around one archive.

use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, Plan};
use crate::error::Error;
use crate::identity::Holder;
use crate::ingest::{Ingest, IngestGauges, Order};
use crate::intake::Intake;
use crate::keeper::Keeper;
use crate::limits::{FLUSH_AGE, LOG_WRITE_PAUSE, MERGE_NICENESS, MERGE_PAUSE, MERGE_RETRY, RETENTION_PAUSE};
use crate::limits::{SPACE_CHECK_PAUSE, STOP_WAIT};
use crate::live::LiveArchive;
use crate::recovery::{self, Recovered};
use crate::seal::SealStep;
use crate::shared::{Shared, StorageSettings};
use crate::source::Source;
use crate::sync_times::SyncTimes;
use crate::writer::Frozen;
use disk::Disk;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What an engine needs to start.
pub struct EngineParts {
    /// The configuration.
    pub config: Config,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where samples come from.
    pub source: Box<dyn Source>,
    /// Address of the HTTP server, for others who find the lock.
    pub address: String,
    /// Flush at least so often, whatever the memtable holds; `None`: hourly.
    pub flush_every: Option<Duration>,
}

/// A running engine. Dropping it stops it.
pub struct Engine {
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    config: Mutex<ConfigInForce>,
    orders: mpsc::Sender<Order>,
    gauges: Arc<IngestGauges>,
    sync_times: Arc<SyncTimes>,
    stopping: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    started: sample::Timestamp,
}

/// The configuration in force and what became of later ones.
pub(crate) struct ConfigInForce {
    pub(crate) config: Config,
    pub(crate) loaded: sample::Timestamp,
    pub(crate) pending_error: Option<String>,
}

impl Engine {
    /// Recovers the archive (or creates it), starts every channel.
    ///
    /// # Errors
    /// Why the archive cannot be opened for writing; nothing was changed then.
    pub fn start(parts: EngineParts) -> Result<Engine, Error> {
        let EngineParts { config, disk, clock, source, address, flush_every } = parts;
        let settings = StorageSettings::of(&config.archive);
        let opening = recovery::Opening {
            disk,
            clock: clock.clone(),
            directory: config.archive.directory.clone(),
            create: config.archive.create,
            pinned: config.archive.id.clone(),
            fresh_id: None,
            settings,
        };
        let Recovered { shared, writer, keeper, report } = recovery::open(opening)?;
        report.log();
        shared.set_retention(&config.retention);
        // For people only: a full file system does not keep the archive from being read.
        if let Err(error) = keeper.lock().write(&Holder::here(&address).encode()) {
            tracing::warn!(%error, "the lock file does not say who holds it");
        }
        let keeper = Arc::new(keeper);
        let gauges = Arc::new(IngestGauges::default());
        let future_limit = i64::try_from(config.archive.future_limit.as_nanos()).unwrap_or(i64::MAX);
        let intake = Intake::new(future_limit, config.archive.receive_time);
        let mut ingest = Ingest::new(writer, intake, source, gauges.clone());
        ingest.start_channels(&config);
        let (orders, received) = mpsc::channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let sync_times = Arc::new(SyncTimes::default());
        let started = clock.now();
        let threads = vec![
            spawn("ingest", move || ingest.run(&received))?,
            log_thread(&keeper, &stopping)?,
            sync_thread(&keeper, &stopping, config.archive.sync_interval, &sync_times)?,
            flush_thread(&keeper, &stopping, &orders, flush_every.unwrap_or(FLUSH_AGE))?,
            merge_thread(&keeper, &stopping)?,
        ];
        let config = ConfigInForce { config, loaded: started, pending_error: None };
        Ok(Engine {
            shared,
            keeper,
            config: Mutex::new(config),
            orders,
            gauges,
            sync_times,
            stopping,
            threads: Mutex::new(threads),
            started,
        })
    }

    /// The archive for readers.
    pub fn archive(&self) -> LiveArchive {
        LiveArchive::new(self.shared.clone())
    }

    /// The common state.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The keeper of the archive's files.
    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    pub(crate) fn config(&self) -> std::sync::MutexGuard<'_, ConfigInForce> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gauges(&self) -> &IngestGauges {
        &self.gauges
    }

    pub(crate) fn sync_times(&self) -> &SyncTimes {
        &self.sync_times
    }

    pub(crate) fn started(&self) -> sample::Timestamp {
        self.started
    }

    /// Has the ingest thread do something between two batches.
    pub fn order(&self, order: Order) {
        // Fails only when the ingest thread has ended, and then nothing is to be done any more.
        let _ = self.orders.send(order);
    }

    /// Takes over `next` whole, or refuses it whole and says why; the refusal stays in the status.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn reload(&self, next: Result<Config, ConfigErrors>) -> Result<Plan, ConfigErrors> {
        let mut present = self.config();
        let checked = next.and_then(|next| {
            let plan = Plan::between(&present.config, &next);
            plan.check(&present.config, &next)?;
            Ok((plan, next))
        });
        match checked {
            Ok((plan, next)) => {
                let carried_out = plan.clone();
                self.shared.set_retention(&next.retention);
                self.order(Box::new(move |ingest| ingest.carry_out(&carried_out)));
                *present =
                    ConfigInForce { config: next, loaded: self.shared.clock.now(), pending_error: None };
                Ok(plan)
            }
            Err(errors) => {
                present.pending_error = Some(errors.to_string());
                Err(errors)
            }
        }
    }

    /// Freezes and flushes now.
    ///
    /// # Errors
    /// The disk's.
    pub fn flush(&self) -> Result<(), Error> {
        flush_now(&self.keeper, &self.orders)
    }

    /// Stops: the log takes what is in memory, nothing waits for a flush. Idempotent.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.order(Box::new(|ingest| ingest.stop()));
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + STOP_WAIT;
        for thread in threads.drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        if let Err(error) = self.keeper.write_log().and_then(|()| self.keeper.sync_log()) {
            tracing::error!(%error, "the last records could not be written");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map_err(|source| Error::Thread(Arc::new(source)))
}

/// Hands the log to the operating system every few milliseconds.
fn log_thread(keeper: &Arc<Keeper>, stopping: &Arc<AtomicBool>) -> Result<JoinHandle<()>, Error> {
    let (keeper, stopping) = (keeper.clone(), stopping.clone());
    spawn("log", move || {
        let mut checked = Instant::now();
        while !stopping.load(Ordering::Relaxed) {
            let wanted =
                keeper.shared().log.waiting() > 0 && !keeper.shared().refusing.load(Ordering::Relaxed);
            if wanted && let Err(error) = keeper.write_log() {
                tracing::debug!(%error, "log not written");
            }
            if checked.elapsed() >= SPACE_CHECK_PAUSE {
                checked = Instant::now();
                keeper.check_space();
            }
            std::thread::sleep(LOG_WRITE_PAUSE);
        }
    })
}

/// Syncs the log once an interval.
fn sync_thread(
    keeper: &Arc<Keeper>,
    stopping: &Arc<AtomicBool>,
    interval: Duration,
    times: &Arc<SyncTimes>,
) -> Result<JoinHandle<()>, Error> {
    let (keeper, stopping, times) = (keeper.clone(), stopping.clone(), times.clone());
    spawn("sync", move || {
        while !stopping.load(Ordering::Relaxed) {
            let began = Instant::now();
            let synced = keeper.sync_log();
            times.note(began.elapsed());
            if synced.is_err() {
                std::thread::sleep(SPACE_CHECK_PAUSE);
            }
            while began.elapsed() < interval.max(LOG_WRITE_PAUSE) && !stopping.load(Ordering::Relaxed) {
                std::thread::sleep(LOG_WRITE_PAUSE.min(interval.max(Duration::from_millis(1))));
            }
        }
    })
}

/// Flushes when the memtable is full or old.
fn flush_thread(
    keeper: &Arc<Keeper>,
    stopping: &Arc<AtomicBool>,
    orders: &mpsc::Sender<Order>,
    every: Duration,
) -> Result<JoinHandle<()>, Error> {
    let (keeper, stopping, orders) = (keeper.clone(), stopping.clone(), orders.clone());
    spawn("flush", move || {
        let mut flushed = Instant::now();
        while !stopping.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50).min(every / 2));
            let full =
                keeper.shared().memory.load(Ordering::Relaxed) >= keeper.shared().settings.memtable_bytes;
            if !full && flushed.elapsed() < every {
                continue;
            }
            flushed = Instant::now();
            if let Err(error) = flush_now(&keeper, &orders) {
                tracing::warn!(%error, "flush failed; it will be tried again");
                std::thread::sleep(SPACE_CHECK_PAUSE);
            }
        }
    })
}

/// Merges tables when enough of them are there, as long as the others leave it time; seals weeks when nothing is
/// to be merged, then makes their index files; removes files that are not needed any more when their grace time is over.
fn merge_thread(keeper: &Arc<Keeper>, stopping: &Arc<AtomicBool>) -> Result<JoinHandle<()>, Error> {
    let (keeper, stopping) = (keeper.clone(), stopping.clone());
    spawn("merge", move || {
        if let Err(error) = rustix::process::setpriority_process(None, MERGE_NICENESS) {
            tracing::debug!(%error, "merges run at the priority of everything else");
        }
        let stop = || stopping.load(Ordering::Relaxed);
        let (mut again, mut retained) = (Instant::now(), Instant::now());
        while !stop() {
            if let Err(error) = keeper.remove_dropped() {
                tracing::debug!(%error, "files that are not needed any more stay for now");
            }
            if retained.elapsed() >= RETENTION_PAUSE {
                retained = Instant::now();
                while !stop() {
                    match keeper.retain() {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            tracing::error!(%error, "tables that need not be kept stay for now");
                            break;
                        }
                    }
                }
            }
            let worked = if Instant::now() < again { Ok(false) } else { work(&keeper, &stop) };
            if let Err(error) = &worked {
                tracing::error!(%error, "background work given up; the files stay as they are");
                if !error.is_damage() {
                    again = Instant::now() + MERGE_RETRY;
                }
            }
            if !matches!(worked, Ok(true)) {
                std::thread::sleep(MERGE_PAUSE);
            }
        }
    })
}

/// Says whether anything was to be done.
fn work(keeper: &Keeper, stop: &dyn Fn() -> bool) -> Result<bool, Error> {
    let sealed = || keeper.seal(stop).map(|step| matches!(step, SealStep::Written(_) | SealStep::Sealed(_)));
    Ok(keeper.merge(stop)? || sealed()? || keeper.decimate(stop)? || keeper.index(stop)?)
}

fn flush_now(keeper: &Keeper, orders: &mpsc::Sender<Order>) -> Result<(), Error> {
    let (reply, frozen) = mpsc::sync_channel::<Option<Frozen>>(1);
    let asked = orders.send(Box::new(move |ingest: &mut Ingest| {
        let _ = reply.send(ingest.freeze());
    }));
    if asked.is_err() {
        return Ok(());
    }
    match frozen.recv() {
        Ok(Some(frozen)) => {
            // The log first: a table must never hold what the log has yet to number.
            keeper.write_log()?;
            keeper.flush(frozen)
        }
        _ => Ok(()),
    }
}
