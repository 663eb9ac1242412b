//! Received to queryable while old weeks are sealed, and afterwards.

use crate::latency::{quantile_ms, watch};
use crate::load::Rig;
use crate::process::{command, thread_time};
use crate::records::GROUP;
use crate::report::Report;
use crate::{Failure, Programs, Scale};
use std::time::{Duration, Instant};

/// The thread that merges and seals.
const SEALS: &str = "merge";

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let groups = scale.pick(200, 25);
    let (channels, days) = scale.pick(("300", "14"), ("2", "8"));
    let how = format!(
        "{} records at 10 Hz, receive_time = true, into an archive that holds {days} old days of {channels} channels \
         at 1 Hz, unsealed: it seals them as soon as it runs. One thread asks as in the run `latency`, while \
         sealing goes on and as long afterwards",
        groups * GROUP
    );
    let mut report = Report::begin("sealing", &how);
    let mut rig = Rig::start(programs, groups, "receive_time = true")?;
    let made = command(&programs.path("archtool")?)
        .arg("generate")
        .arg(&rig.engine.archive)
        .args(["--preset", "di", "--channels", channels, "--days", days])
        .output()?;
    if !made.status.success() {
        return Err(format!("archtool generate: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    rig.engine.start()?;
    rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    let (client, pid) = (rig.engine.client(), rig.engine.pid());
    let left = || client.status().ok().and_then(|status| status["partitions"]["backlog"].as_u64());
    let used = || thread_time(pid, SEALS);
    let (began, before) = (Instant::now(), used());
    let limit = Instant::now() + Duration::from_secs(600);
    let looked = std::sync::Mutex::new(Instant::now());
    let sealed = || {
        let mut looked = looked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = looked.elapsed() > Duration::from_secs(1);
        if due {
            *looked = Instant::now();
        }
        due && left() == Some(0)
    };
    let during = watch(&rig.engine.url, groups, limit, &sealed)?;
    let (took, work) = (began.elapsed(), used().saturating_sub(before));
    report.bar("weeks left to seal", left().unwrap_or(u64::MAX), "0", left() == Some(0));
    std::thread::sleep(Duration::from_secs(2));
    let after = watch(&rig.engine.url, groups, Instant::now() + took.max(scale.time(60, 3)), &|| false)?;
    let text = |delays: &[i64]| {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|share| quantile_ms(delays, share));
        format!("p50 {half:.2} ms, p99 {most:.2} ms, max {all:.2} ms, {} updates", delays.len())
    };
    report.figure("received to queryable, while sealing", text(&during.delays));
    report.figure("received to queryable, afterwards", text(&after.delays));
    let times = quantile_ms(&during.delays, 0.99) / quantile_ms(&after.delays, 0.99);
    report.bar_if(
        !scale.short,
        "p99 while sealing",
        format!("{times:.2} times that afterwards"),
        "<= 2",
        times <= 2.0,
    );
    let share = work.as_secs_f64() / took.as_secs_f64();
    let processors = std::thread::available_parallelism()?.get() as f64;
    let text = format!("{share:.2} of {processors} processors for {:.0} s", took.as_secs_f64());
    report.bar_if(
        !scale.short,
        "processors that sealing used",
        text,
        "half of them",
        share <= processors / 2.0,
    );
    let dropped = client.totals()?[3];
    report.bar("dropped", dropped, "0", dropped == 0);
    Ok(report)
}
