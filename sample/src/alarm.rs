//! Alarm severity and status as EPICS defines them.

/// How bad it is. Numbers are those of EPICS (`alarm.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Severity {
    /// 0, no alarm.
    #[default]
    NoAlarm = 0,
    /// 1, minor.
    Minor = 1,
    /// 2, major.
    Major = 2,
    /// 3, the value cannot be trusted.
    Invalid = 3,
}

impl Severity {
    /// From the EPICS number; above 3 there is none.
    pub fn from_code(code: u16) -> Option<Severity> {
        [Severity::NoAlarm, Severity::Minor, Severity::Major, Severity::Invalid]
            .into_iter()
            .find(|severity| *severity as u16 == code)
    }

    /// The EPICS name, `NO_ALARM` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Severity::NoAlarm => "NO_ALARM",
            Severity::Minor => "MINOR",
            Severity::Major => "MAJOR",
            Severity::Invalid => "INVALID",
        }
    }
}

/// Which list of status codes a channel uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum StatusDomain {
    /// Channel Access: `epicsAlarmCondition`, READ, WRITE, HIHI ..
    #[default]
    Ca = 0,
    /// pvAccess: NONE, DEVICE, DRIVER, RECORD, DB, CONF, UNDEFINED, CLIENT.
    Pva = 1,
}

/// A status code in its domain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Status {
    /// Which list `code` belongs to.
    pub domain: StatusDomain,
    /// The number; unknown numbers are kept.
    pub code: u16,
}

/// Channel Access names by code (EPICS Base `alarmString.h`).
const CA_NAMES: [&str; 22] = [
    "NO_ALARM",
    "READ",
    "WRITE",
    "HIHI",
    "HIGH",
    "LOLO",
    "LOW",
    "STATE",
    "COS",
    "COMM",
    "TIMEOUT",
    "HWLIMIT",
    "CALC",
    "SCAN",
    "LINK",
    "SOFT",
    "BAD_SUB",
    "UDF",
    "DISABLE",
    "SIMM",
    "READ_ACCESS",
    "WRITE_ACCESS",
];
/// pvAccess names by code (pvData `alarm.h`).
const PVA_NAMES: [&str; 8] = ["NONE", "DEVICE", "DRIVER", "RECORD", "DB", "CONF", "UNDEFINED", "CLIENT"];

impl Status {
    /// A Channel Access status.
    pub fn ca(code: u16) -> Status {
        Status { domain: StatusDomain::Ca, code }
    }

    /// The name of a known code.
    pub fn name(self) -> Option<&'static str> {
        let names: &[&str] = match self.domain {
            StatusDomain::Ca => &CA_NAMES,
            StatusDomain::Pva => &PVA_NAMES,
        };
        names.get(usize::from(self.code)).copied()
    }
}
