//! The options that say which time is meant.

use crate::answer::Pairs;
use crate::failure::Failure;
use jiff::tz::TimeZone;

/// `--from`, `--to`, `--last`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct RangeOptions {
    /// First instant: RFC 3339, now, -1h, now-30m; with --tz also local times [default: an hour before the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// First instant behind the range [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// The last so many, for example 1h or 7d
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["from", "to"])]
    pub(crate) last: Option<String>,
    #[command(flatten)]
    pub(crate) zone: ZoneOption,
}

/// `--tz`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ZoneOption {
    /// Zone in which times are understood, and shown in tables: Europe/London, or local
    #[arg(long, value_name = "ZONE|local")]
    tz: Option<String>,
}

impl RangeOptions {
    /// Whether any limit is given.
    pub(crate) fn is_given(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.last.is_some()
    }

    /// The parameters of the range.
    pub(crate) fn pairs(&self) -> Result<Pairs, Failure> {
        let mut pairs = self.zone.pairs()?;
        let mut add = |name: &str, value: &str| pairs.push((name.to_owned(), value.to_owned()));
        if let Some(last) = &self.last {
            engine::config::parse_duration(last)
                .map_err(|error| Failure::Usage(format!("--last: {error}")))?;
            add("from", &format!("now-{}", last.trim()));
        }
        if let Some(from) = &self.from {
            add("from", from);
        }
        if let Some(to) = &self.to {
            add("to", to);
        }
        Ok(pairs)
    }
}

impl ZoneOption {
    /// The parameter `tz`.
    pub(crate) fn pairs(&self) -> Result<Pairs, Failure> {
        Ok(self.name()?.map(|name| ("tz".to_owned(), name)).into_iter().collect())
    }

    /// The zone in which tables show times.
    pub(crate) fn zone(&self) -> Result<TimeZone, Failure> {
        let Some(name) = self.name()? else { return Ok(TimeZone::UTC) };
        TimeZone::get(&name).map_err(|error| Failure::Usage(format!("--tz {name}: {error}")))
    }

    /// Its name; `local` is this machine's.
    fn name(&self) -> Result<Option<String>, Failure> {
        match self.tz.as_deref() {
            Some("local") => {
                let zone = TimeZone::system();
                let name = zone.iana_name().map(str::to_owned);
                let unnamed =
                    || Failure::Usage("this machine's zone has no name; give one to --tz".to_owned());
                name.ok_or_else(unnamed).map(Some)
            }
            other => Ok(other.map(str::to_owned)),
        }
    }
}
