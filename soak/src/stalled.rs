//! Every sync takes 5 s: nobody may be disconnected, nothing may be dropped.

use crate::load::Rig;
use crate::process::{mib, peak_memory};
use crate::records::{GROUP, GROUP_COUNTERS};
use crate::report::Report;
use crate::{Failure, Programs, Scale};
use std::time::{Duration, Instant};

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let groups = scale.pick(500, 25);
    let how = format!("{} records at 10 Hz; a disk whose every sync takes 5 s longer", groups * GROUP);
    let mut report = Report::begin("stalled", &how);
    let mut rig = Rig::start(programs, groups, "")?;
    rig.engine.environment("VARVE_TEST_SYNC_DELAY", "5s");
    rig.engine.start()?;
    rig.engine.wait_connected(rig.channels(), Duration::from_secs(60))?;
    let client = rig.engine.client();
    let (before, began) = (client.totals()?[0], Instant::now());
    let time = scale.time(60, 12);
    let (mut slowest, mut lag) = (Duration::ZERO, 0);
    while began.elapsed() < time {
        let asked = Instant::now();
        let status = client.status()?;
        slowest = slowest.max(asked.elapsed());
        // Before the first sync nothing is durable yet.
        let durable = status["durable_until_ns"].as_i64().filter(|durable| *durable > 0);
        if let (Some(now), Some(durable)) = (status["now_ns"].as_i64(), durable) {
            lag = lag.max(now.saturating_sub(durable));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let rate = (client.totals()?[0] - before) as f64 / time.as_secs_f64();
    report.figure("updates received", format!("{rate:.0}/s for {} s", time.as_secs()));
    report.figure("durability behind receipt, most", format!("{:.1} s", lag as f64 / 1e9));
    report.figure("slowest status", format!("{:.1} ms", slowest.as_secs_f64() * 1e3));
    report.figure("peak resident memory", mib(peak_memory(rig.engine.pid())));
    let disconnects = client.metric("varve_disconnects_total")?;
    report.bar("disconnects", disconnects, "0", disconnects == 0);
    let dropped = client.totals()?[3];
    report.bar("dropped", dropped, "0", dropped == 0);
    let (faults, unequal) = rig.end_and_read()?;
    let all = faults.channels == groups * GROUP_COUNTERS;
    report.bar("counters read back over HTTP", &faults, "0, 0, 0; all counters", faults.none() && all);
    report.bar("channels whose ledger differs from what is stored", unequal, "0", unequal == 0);
    Ok(report)
}
