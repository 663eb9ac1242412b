//! Gathered samples as the Archiver Appliance keeps them: a directory with a file for each channel and year.
//!
//! A file's first line says its type, channel and year; each further line is a sample. Its name is the channel's with a
//! slash for each `:` and `-`, then `:YEAR.pb`.

mod message;
mod outages;
mod payload;
#[cfg(test)]
mod tests;

use self::message::{Beside, PayloadInfo, line};
use self::outages::Outages;
use self::payload::{Payload, Unfit};
use super::batches::{Gathered, Place};
use super::part::Part;
use super::plan::{Plan, types_of};
use super::tree::Tree;
use super::whole::{BUFFER_BYTES, Output, Unjoined};
use crate::failure::Failure;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use prost::Message as _;
use retrieval_server::columns::Batch;
use std::collections::HashMap;
use std::io::{self, BufWriter, IntoInnerError, Write as _};
use std::path::PathBuf;

const SECOND_NS: i128 = 1_000_000_000;

/// What else to do with samples that do not fit.
const OTHERWISE: &str = "export them with --format csv, arrow or parquet";

/// Whether all channels of `plan` can be written.
pub(super) fn check(plan: &Plan) -> Result<(), Failure> {
    let mut taken = HashMap::new();
    for (name, channel) in plan.names().into_iter().zip(&plan.channels) {
        let types = types_of(channel)?;
        if !types.is_empty() && Payload::of(&types).is_none() {
            let types: Vec<String> = types.iter().map(|one| one.name()).collect();
            return Err(Failure::Usage(format!(
                "a PB file has no type for the values of {name}, which are {}; leave it out, or {OTHERWISE}{}",
                types.join(" and "),
                if types.len() > 1 { ", or each time of one type by itself" } else { "" }
            )));
        }
        if let Some(other) = taken.insert(path(&name)?, name.clone()) {
            return Err(Failure::Usage(format!(
                "the PB files of {other} and {name} would have the same name; export them one by one"
            )));
        }
    }
    Ok(())
}

/// Where the files of a channel are, without what follows the last `:`. It leads nowhere but below the directory.
fn path(name: &str) -> Result<PathBuf, Failure> {
    let key = format!("{}:", name.replace([':', '-'], "/"));
    let parts: Vec<&str> = key.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Err(Failure::Usage(format!(
            "{name} makes no name of a PB file; leave it out, or {OTHERWISE}"
        )));
    }
    Ok(parts.iter().collect())
}

/// Writes the files.
pub(super) fn join(part: &Part) -> Result<(), Unjoined> {
    let plan = part.plan();
    let mut tree = part.tree()?;
    let mut gathered = Gathered::new(part);
    let mut place = Place::FIRST;
    let mut channel: Option<(u32, Channel)> = None;
    while let Some((batch, _, behind)) = gathered.batch(place)? {
        let index = batch.channel_index;
        let mut own = match channel.take() {
            Some((present, own)) if present == index => own,
            before => {
                before.map_or(Ok(()), |(_, own)| own.end())?;
                Channel::begin(plan, index as usize)?
            }
        };
        own.append(&mut tree, &batch)?;
        channel = Some((index, own));
        place = behind;
    }
    channel.map_or(Ok(()), |(_, own)| own.end())?;
    Ok(tree.sync()?)
}

/// A calendar year in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Year {
    number: i16,
    /// First nanosecond, and the first behind it; the years of the earliest and latest times go beyond what is stored.
    from_ns: i128,
    to_ns: i128,
}

impl Year {
    fn of(time_ns: i64) -> Result<Year, jiff::Error> {
        let time = Timestamp::from_nanosecond(time_ns.into())?;
        let number = time.to_zoned(TimeZone::UTC).year();
        let start = |year| -> Result<i128, jiff::Error> {
            let day = civil::Date::new(year, 1, 1)?;
            Ok(day.to_zoned(TimeZone::UTC)?.timestamp().as_nanosecond())
        };
        Ok(Year { number, from_ns: start(number)?, to_ns: start(number + 1)? })
    }

    fn holds(&self, time_ns: i64) -> bool {
        (self.from_ns..self.to_ns).contains(&time_ns.into())
    }
}

/// A channel whose samples are written.
struct Channel {
    name: String,
    path: PathBuf,
    payload: Option<Payload>,
    outages: Outages,
    /// The file of the present year.
    file: Option<(Year, Output)>,
    /// Lines that are not in it yet.
    lines: Vec<u8>,
}

impl Channel {
    fn begin(plan: &Plan, index: usize) -> Result<Channel, Failure> {
        let about = plan.channels.get(index);
        let name = about.and_then(|about| about["name"].as_str()).unwrap_or_default().to_owned();
        let types = about.map_or(Ok(Vec::new()), types_of)?;
        let gaps = about.map(|about| &about["gaps"]);
        Ok(Channel {
            path: path(&name)?,
            payload: Payload::of(&types),
            outages: Outages::of(gaps.unwrap_or(&serde_json::Value::Null), plan.from_ns),
            name,
            file: None,
            lines: Vec::new(),
        })
    }

    fn append(&mut self, tree: &mut Tree, batch: &Batch) -> Result<(), Unjoined> {
        let block = &batch.block;
        for i in 0..block.len() {
            let time = block.time[i];
            let unfit = |unfit| self.unfit(unfit, time, &block.run.value.name());
            let payload = self.payload.ok_or_else(|| unfit(Unfit::Type))?;
            let year = match &self.file {
                Some((year, _)) if year.holds(time) => *year,
                _ => self.turn(tree, payload, time)?,
            };
            let into = i128::from(time) - year.from_ns;
            let beside = Beside {
                seconds: u32::try_from(into / SECOND_NS)?,
                nano: u32::try_from(into % SECOND_NS)?,
                severity: block.severity[i],
                status: block.status[i],
                fields: self.outages.before(time),
            };
            let message = payload
                .sample(&block.values, i, beside)
                .map_err(|cause| self.unfit(cause, time, &block.run.value.name()))?;
            line(&mut self.lines, &message);
            if self.lines.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Begins the file of the year of a time.
    fn turn(&mut self, tree: &mut Tree, payload: Payload, time_ns: i64) -> Result<Year, Unjoined> {
        self.close()?;
        let year = Year::of(time_ns)?;
        let mut path = self.path.clone().into_os_string();
        path.push(format!("{:04}.pb", year.number));
        let file = tree.file(path.as_ref())?;
        let info = PayloadInfo {
            payload_type: payload.number(),
            pvname: self.name.clone(),
            year: year.number.into(),
        };
        line(&mut self.lines, &info.encode_to_vec());
        self.file = Some((year, BufWriter::new(file)));
        Ok(year)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some((_, file)) = &mut self.file {
            file.write_all(&self.lines)?;
        }
        self.lines.clear();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unjoined> {
        self.flush()?;
        match self.file.take() {
            Some((_, file)) => Ok(file.into_inner().map_err(IntoInnerError::into_error)?.sync()?),
            None => Ok(()),
        }
    }

    fn end(mut self) -> Result<(), Unjoined> {
        self.close()
    }

    fn unfit(&self, unfit: Unfit, time_ns: i64, value_type: &str) -> Failure {
        let name = &self.name;
        let what = format!("write the {value_type} of {name} at {time_ns} ns into a PB file");
        let cause = match unfit {
            Unfit::Type => "its type came up while the export ran; begin anew with --force".to_owned(),
            Unfit::Integer(number) => {
                format!("{number} is beyond the integers that a double holds; {OTHERWISE}")
            }
        };
        Failure::Io { what, source: io::Error::other(cause) }
    }
}
