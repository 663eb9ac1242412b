//! 100 arrays of 2048 doubles at 10 Hz: bounded memory, bounded chunks, `at` reads one chunk.

use crate::engine::{Engine, Setup};
use crate::http::balanced;
use crate::process::{bytes_read, command, mib, peak_memory, processor_time};
use crate::records::{self, ELEMENTS};
use crate::report::Report;
use crate::{Failure, Programs, Scale, now_ns, random};
use epics_ca::ioc::{Ioc, Ports};
use retrieval_server::columns::Batch;
use sample::Column;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a sample: its value, and what is counted beside it.
const SAMPLE_BYTES: u64 = 8 * ELEMENTS as u64 + 64;
/// Largest chunk.
const CHUNK_BYTES: u64 = (1 << 20) + SAMPLE_BYTES;

/// What was read back of the arrays.
#[derive(Default)]
struct Checked {
    samples: u64,
    wrong: u64,
    first: Option<String>,
}

impl Checked {
    /// Each array is the stretch of the noise behind the one before it.
    fn look(&mut self, noise: &[f64], batches: &[Batch]) {
        let mut before: Option<usize> = None;
        for batch in batches {
            let Column::Array { ends, elements } = &batch.block.values else { continue };
            let Column::Float64(elements) = &**elements else { continue };
            let mut from = 0;
            for end in ends {
                let value = &elements[from..*end as usize];
                from = *end as usize;
                self.samples += 1;
                let place = noise[..ELEMENTS].iter().position(|first| value.first() == Some(first));
                let right = place.is_some_and(|place| {
                    let same = value
                        .iter()
                        .map(|v| v.to_bits())
                        .eq(noise[place..place + ELEMENTS].iter().map(|v| v.to_bits()));
                    same && before.is_none_or(|before| place == (before + 1) % ELEMENTS)
                });
                if !right {
                    self.wrong += 1;
                    self.first.get_or_insert(format!(
                        "{}: {} elements, number {place:?} after {before:?}",
                        batch.name,
                        value.len()
                    ));
                }
                before = place;
            }
        }
    }
}

/// Every SSTable under a folder.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(tables(&path));
        } else if path.extension().is_some_and(|ext| ext == "sst") {
            found.push(path);
        }
    }
    found
}

/// The chunks of all tables, as `archtool dump` tells them.
#[derive(Default)]
struct Chunks {
    number: u64,
    tables: usize,
    /// Most bytes in the file.
    largest: u64,
    /// Most samples.
    longest: u64,
}

fn chunks(programs: &Programs, archive: &Path) -> Result<Chunks, Failure> {
    let tables = tables(&archive.join("weeks"));
    let mut found = Chunks { tables: tables.len(), ..Chunks::default() };
    for table in &tables {
        let output = command(&programs.path("archtool")?).args(["dump", "--json"]).arg(table).output()?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(format!("archtool dump {}: {words}", table.display()).into());
        }
        for line in String::from_utf8(output.stdout)?.lines() {
            let thing: Value = serde_json::from_str(line)?;
            if thing["kind"] == "chunk" {
                let number = |key: &str| thing[key].as_u64().ok_or_else(|| format!("no {key} in {line}"));
                found.number += 1;
                found.largest = found.largest.max(number("bytes")?);
                found.longest = found.longest.max(number("samples")?);
            }
        }
    }
    Ok(found)
}

pub(crate) fn run(programs: &Programs, scale: Scale) -> Result<Report, Failure> {
    let count = scale.pick(100, 20);
    let how = format!(
        "{count} arrays of {ELEMENTS} doubles without any pattern at 10 Hz (subArray records over one waveform of noise)"
    );
    let mut report = Report::begin("waveforms", &how);
    let folder = tempfile::tempdir()?;
    let (text, names) = records::waveforms(count);
    let database = folder.path().join("waveforms.db");
    fs::write(&database, text)?;
    let ports = Ports::free()?;
    let channels = names.join("\n");
    let archive = scale.pick("", "memtable_bytes = \"16MiB\"");
    let setup = Setup { folder: folder.path(), ports, addresses: Vec::new(), channels, archive };
    let mut engine = Engine::configure(programs, setup)?;
    // The first value of each channel is as old as the command below.
    let before_all = now_ns();
    let mut ioc = Ioc::start(ports, &database)?;
    ioc.command(&records::put_noise())?;
    // The command has no answer.
    std::thread::sleep(Duration::from_secs(2));
    let began = now_ns();
    engine.start()?;
    engine.wait_connected(count, Duration::from_secs(60))?;
    let (client, time) = (engine.client(), scale.time(120, 6));
    let (before, cost) = (client.totals()?[0], processor_time(engine.pid()));
    std::thread::sleep(time);
    let (totals, cost) = (client.totals()?, processor_time(engine.pid()).saturating_sub(cost));
    let received = totals[0] - before;
    report.figure(
        "updates received",
        format!(
            "{received} in {} s, {:.1} MiB/s",
            time.as_secs(),
            received as f64 * 8.0 * ELEMENTS as f64 / 1048576.0 / time.as_secs_f64()
        ),
    );
    report.figure(
        "CPU",
        format!(
            "{:.0} % of one, {:.0} µs per array",
            100.0 * cost.as_secs_f64() / time.as_secs_f64(),
            cost.as_secs_f64() * 1e6 / received.max(1) as f64
        ),
    );
    drop(ioc);
    std::thread::sleep(Duration::from_secs(2));
    let memory = peak_memory(engine.pid());
    report.bar_if(!scale.short, "peak resident memory", mib(memory), "< 1 GiB", memory < 1 << 30);
    let totals = client.totals()?;
    let text = format!(
        "received {}, stored {}, redelivered {}, dropped {}",
        totals[0], totals[1], totals[2], totals[3]
    );
    report.bar("ledger", text, "balanced, dropped 0", balanced(totals) && totals[3] == 0);
    let (mut checked, noise) = (Checked::default(), records::noise());
    for name in &names {
        checked.look(&noise, &client.samples(&format!("channel={name}&from_ns={before_all}"))?);
    }
    let first = checked.first.clone().unwrap_or_default();
    let text = format!("{} of {} wrong {first}", checked.wrong, checked.samples);
    report.bar(
        "arrays read back, bit-equal and consecutive",
        text,
        "0 wrong, all that were stored",
        checked.wrong == 0 && checked.samples == totals[1],
    );
    report.figure("peak resident memory, answers of whole channels included", mib(peak_memory(engine.pid())));
    engine.stop()?;
    let chunks = chunks(programs, &engine.archive)?;
    let raw = chunks.longest * 8 * ELEMENTS as u64;
    let text = format!(
        "{} samples, {raw} bytes of values, at most {} bytes in the file; {} chunks in {} tables (archtool dump)",
        chunks.longest, chunks.largest, chunks.number, chunks.tables
    );
    report.bar("largest chunk", text, "<= 1 MiB + one sample", raw <= CHUNK_BYTES && chunks.number > 0);
    at(&mut report, &mut engine, &names, began, chunks.largest)?;
    Ok(report)
}

/// Asks a fresh engine, whose cache is empty, for values at times in the first tables.
fn at(
    report: &mut Report,
    engine: &mut Engine,
    names: &[String],
    began: i64,
    chunk: u64,
) -> Result<(), Failure> {
    engine.start()?;
    let client = engine.client();
    let mut all = Vec::new();
    for name in names.iter().take(20) {
        // Random, so that the chunk is met in its middle.
        let time = began + 4_000_000_000 + i64::try_from(random(4_000_000_000)).unwrap_or(0);
        let before = bytes_read(engine.pid());
        let answer = client.json(&format!("/api/v1/at?channel={name}&time_ns={time}"))?;
        let value = &answer["channels"][0]["value"];
        if value.as_array().map(Vec::len) != Some(ELEMENTS) {
            return Err(format!("at: {name} at {time}: no array in the answer").into());
        }
        all.push(bytes_read(engine.pid()) - before);
    }
    all.sort_unstable();
    let (median, most) = (all[all.len() / 2], all[all.len() - 1]);
    let text = format!(
        "median {median}, most {most} bytes read in all by a fresh process for one `at` in a table (rchar of /proc); \
         the largest chunk has {chunk} bytes in the file"
    );
    report.bar(
        "`at` reads",
        text,
        "<= the largest chunk + 64 KiB of keys and request",
        most <= chunk + (64 << 10),
    );
    Ok(())
}
