//! Child processes that never outlive this one, and what they cost.

use crate::Failure;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// A command for `program` that is killed when the thread that starts it ends (`setpriv` of util-linux).
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    // libca's threads as an ordinary user has them, also where the tests are root's.
    command.env("EPICS_ALLOW_POSIX_THREAD_PRIORITY_SCHEDULING", "NO");
    command
}

/// A child, killed when dropped.
pub(crate) struct Guarded(Child);

impl Guarded {
    /// Starts `command`.
    pub(crate) fn start(command: &mut Command) -> Result<Guarded, Failure> {
        let child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        Ok(Guarded(child))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its exit status once it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    /// Lets it run no further (SIGSTOP).
    pub(crate) fn halt(&self) {
        // It may have ended already.
        let _ = kill_process(Pid::from_child(&self.0), Signal::STOP);
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Asks it to stop; how long it took, `None` when it did not within `limit`.
    pub(crate) fn terminate(&mut self, limit: Duration) -> Option<Duration> {
        let asked = Instant::now();
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        while asked.elapsed() < limit {
            if self.ended().is_some() {
                return Some(asked.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// User and system time of a process so far.
pub(crate) fn processor_time(pid: u32) -> Duration {
    time_of(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default())
}

fn time_of(stat: &str) -> Duration {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux.
    Duration::from_millis(ticks * 10)
}

/// User and system time of the threads of a process that have this name, so far.
pub(crate) fn thread_time(pid: u32, name: &str) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.filter(|stat| stat.contains(&format!("({name})"))).map(|stat| time_of(&stat)).sum()
}

/// Greatest resident memory of a process so far, in bytes.
pub(crate) fn peak_memory(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/status"), "VmHWM:") * 1024
}

/// Bytes that a process has read so far by any call, from files and sockets.
pub(crate) fn bytes_read(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/io"), "rchar:")
}

/// Write calls that a process has made so far.
pub(crate) fn write_calls(pid: u32) -> u64 {
    field(&format!("/proc/{pid}/io"), "syscw:")
}

fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Bytes in MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}
