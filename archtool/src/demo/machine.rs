//! The simulated machine: records of a small storage ring.

use std::fmt::Write;

/// Channels that are there once.
const RING: [&str; 5] =
    ["SR:DCCT:CURRENT", "SR:DCCT:LIFETIME", "SR:MODE", "SR:MESSAGE", "SR:TIMING:TRIGGERS"];
/// Channels of each cell, behind its prefix.
const CELL: [&str; 25] = [
    "BPM1:X",
    "BPM1:Y",
    "BPM2:X",
    "BPM2:Y",
    "BPM3:X",
    "BPM3:Y",
    "BPM4:X",
    "BPM4:Y",
    "BPM1:ORBIT",
    "GAUGE1:P",
    "GAUGE2:P",
    "GAUGE3:P",
    "TC1:TEMP",
    "TC2:TEMP",
    "TC3:TEMP",
    "TC4:TEMP",
    "TC5:TEMP",
    "VALVE1:STATUS",
    "VALVE2:STATUS",
    "PS1:SETPT",
    "PS1:CURRENT",
    "PS2:SETPT",
    "PS2:CURRENT",
    "PS3:SETPT",
    "PS3:CURRENT",
];

/// A ring with so many channels to archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Machine {
    channels: usize,
}

impl Machine {
    /// The ring with its first `channels` channels.
    pub(crate) fn new(channels: usize) -> Machine {
        Machine { channels }
    }

    /// Names of the channels to archive.
    pub(crate) fn channels(self) -> Vec<String> {
        let ring = RING.iter().map(|name| (*name).to_owned());
        let cells = (1..).flat_map(|cell| CELL.iter().map(move |name| format!("SR:C{cell:02}:{name}")));
        ring.chain(cells).take(self.channels).collect()
    }

    /// The database that an IOC loads: the channels, with records that drive them.
    pub(crate) fn database(self) -> String {
        let mut records = String::from(RING_RECORDS);
        let cells = self.channels.saturating_sub(RING.len()).div_ceil(CELL.len());
        for cell in 1..=cells {
            let prefix = format!("SR:C{cell:02}:");
            for bpm in 1..=4 {
                for plane in ["X", "Y"] {
                    beam_position(&mut records, &format!("{prefix}BPM{bpm}:{plane}"));
                }
            }
            orbit(&mut records, &prefix);
            for gauge in 1..=3 {
                pressure(&mut records, &format!("{prefix}GAUGE{gauge}:P"));
            }
            for sensor in 1..=5 {
                temperature(&mut records, &format!("{prefix}TC{sensor}:TEMP"), 20 + (cell + sensor) % 15);
            }
            for valve in 1..=2 {
                status(&mut records, &format!("{prefix}VALVE{valve}"));
            }
            for supply in 1..=3 {
                power_supply(&mut records, &format!("{prefix}PS{supply}"));
            }
        }
        records
    }
}

const RING_RECORDS: &str = r#"
record(calc, "SR:DCCT:CURRENT") {
    field(DESC, "Beam current") field(SCAN, ".1 second") field(EGU, "mA") field(PREC, "3")
    field(INPA, "SR:DCCT:CURRENT.VAL NPP NMS") field(CALC, "A<1?300:(A<299?A+0.05:A-A/360000+(RNDM-0.5)*0.004)")
    field(HOPR, "320") field(LOPR, "0") field(LOW, "290") field(LSV, "MINOR") field(LOLO, "200") field(LLSV, "MAJOR")
}
record(calc, "SR:DCCT:LIFETIME") {
    field(DESC, "Beam lifetime") field(SCAN, "1 second") field(EGU, "h") field(PREC, "2")
    field(CALC, "10+(RNDM-0.5)*0.2") field(HOPR, "20") field(LOPR, "0")
}
record(calc, "SR:MODE:SIM") {
    field(SCAN, "10 second") field(CALC, "RNDM<0.1?2:3") field(FLNK, "SR:MODE")
}
record(mbbi, "SR:MODE") {
    field(DESC, "Mode of operation") field(INP, "SR:MODE:SIM.VAL NPP NMS")
    field(ZRST, "Shutdown") field(ONST, "Injection") field(TWST, "Top-up") field(THST, "User beam")
    field(ZRVL, "0") field(ONVL, "1") field(TWVL, "2") field(THVL, "3")
}
record(stringout, "SR:MESSAGE") {
    field(DESC, "Operator's message") field(VAL, "welcome to the simulated ring") field(PINI, "YES")
}
record(calc, "SR:TIMING:TRIGGERS") {
    field(DESC, "Trigger counter") field(SCAN, ".1 second") field(PREC, "0")
    field(INPA, "SR:TIMING:TRIGGERS.VAL NPP NMS") field(CALC, "A+1")
}
"#;

fn beam_position(records: &mut String, name: &str) {
    let _ = write!(
        records,
        r#"
record(calc, "{name}") {{
    field(DESC, "Beam position") field(SCAN, ".1 second") field(EGU, "um") field(PREC, "3")
    field(INPA, "{name}.VAL NPP NMS") field(CALC, "0.99*A+(RNDM-0.5)*20") field(HOPR, "500") field(LOPR, "-500")
    field(HIGH, "120") field(HSV, "MINOR") field(LOW, "-120") field(LSV, "MINOR")
}}
"#
    );
}

/// The last hundred positions as an array.
fn orbit(records: &mut String, prefix: &str) {
    let _ = write!(
        records,
        r#"
record(compress, "{prefix}BPM1:ORBIT") {{
    field(DESC, "Recent positions") field(SCAN, "1 second") field(ALG, "Circular Buffer") field(NSAM, "100")
    field(INP, "{prefix}BPM1:X.VAL NPP NMS") field(EGU, "um") field(PREC, "3")
}}
"#
    );
}

fn pressure(records: &mut String, name: &str) {
    let _ = write!(
        records,
        r#"
record(calc, "{name}") {{
    field(DESC, "Pressure") field(SCAN, "1 second") field(EGU, "mbar") field(PREC, "12")
    field(INPA, "{name}.VAL NPP NMS") field(CALC, "A<1E-11?1E-9:0.95*A+(RNDM<0.01?4E-10:5E-11)")
    field(HOPR, "1E-6") field(LOPR, "0") field(HIGH, "1.5E-9") field(HSV, "MINOR") field(HIHI, "1E-8") field(HHSV, "MAJOR")
}}
"#
    );
}

fn temperature(records: &mut String, name: &str, mean: usize) {
    let _ = write!(
        records,
        r#"
record(calc, "{name}") {{
    field(DESC, "Temperature") field(SCAN, "1 second") field(EGU, "degC") field(PREC, "2")
    field(INPA, "{name}.VAL NPP NMS") field(INPB, "{mean}") field(CALC, "A<1?B:A+(B-A)*0.01+(RNDM-0.5)*0.05")
    field(HOPR, "100") field(LOPR, "0")
}}
"#
    );
}

fn status(records: &mut String, valve: &str) {
    let _ = write!(
        records,
        r#"
record(calc, "{valve}:SIM") {{
    field(SCAN, "1 second") field(CALC, "RNDM<0.02?0:1") field(FLNK, "{valve}:STATUS")
}}
record(bi, "{valve}:STATUS") {{
    field(DESC, "Valve") field(INP, "{valve}:SIM.VAL NPP NMS") field(ZNAM, "Closed") field(ONAM, "Open")
    field(ZSV, "MAJOR")
}}
"#
    );
}

fn power_supply(records: &mut String, supply: &str) {
    let _ = write!(
        records,
        r#"
record(calcout, "{supply}:SIM") {{
    field(SCAN, "5 second") field(INPA, "{supply}:SETPT.VAL NPP NMS") field(CALC, "RNDM<0.1?100+(RNDM-0.5)*4:A")
    field(OOPT, "On Change") field(OUT, "{supply}:SETPT.VAL PP NMS")
}}
record(ao, "{supply}:SETPT") {{
    field(DESC, "Set point") field(VAL, "100") field(PINI, "YES") field(EGU, "A") field(PREC, "3")
    field(HOPR, "200") field(LOPR, "0") field(DRVH, "200") field(DRVL, "0")
}}
record(calc, "{supply}:CURRENT") {{
    field(DESC, "Current") field(SCAN, ".5 second") field(EGU, "A") field(PREC, "3")
    field(INPA, "{supply}:SETPT.VAL NPP NMS") field(CALC, "A+(RNDM-0.5)*0.01") field(HOPR, "200") field(LOPR, "0")
}}
"#
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_has_a_record() {
        for count in [1, 5, 6, 30, 500, 2600] {
            let machine = Machine::new(count);
            let names = machine.channels();
            assert_eq!(names.len(), count);
            let database = machine.database();
            let records: std::collections::HashSet<&str> =
                database.lines().filter_map(|line| line.strip_prefix("record(")?.split('"').nth(1)).collect();
            for name in &names {
                assert!(records.contains(name.as_str()), "{name}");
            }
            assert_eq!(records.len(), database.matches("record(").count(), "a record stands twice");
        }
    }
}
