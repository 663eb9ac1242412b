//! Databases of the IOCs.

use std::fmt::Write;

/// Channels of a group of [`counters`].
pub(crate) const GROUP: u64 = 20;
/// Channels of a group whose value rises by one at every update.
pub(crate) const GROUP_COUNTERS: u64 = 14;

/// Groups of 20 records of seven types at 10 Hz, with their names. The values of 14 are consecutive numbers on the
/// wire; a 15th counts in a string, of which an IOC queues no values.
pub(crate) fn counters(groups: u64) -> (String, Vec<String>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    for group in 0..groups {
        let device = format!("T:{group:04}:");
        let scan = "field(SCAN,\".1 second\")";
        let _ = writeln!(
            text,
            "record(calc,\"{device}D\"){{{scan} field(PHAS,\"0\") field(CALC,\"VAL+1\") field(FLNK,\"{device}B\")}}\n\
             record(calc,\"{device}B\"){{field(CALC,\"!VAL\") field(FLNK,\"{device}M\")}}\n\
             record(calc,\"{device}M\"){{field(CALC,\"(VAL+1)%4\")}}"
        );
        let mut add = |kind: &str, name: String, source: &str, more: &str| {
            let _ = writeln!(
                text,
                "record({kind},\"{device}{name}\"){{{scan} field(PHAS,\"1\") field(INP,\"{device}{source}\") {more}}}"
            );
            names.push(format!("{device}{name}"));
        };
        let states = "field(ZRVL,\"0\") field(ONVL,\"1\") field(TWVL,\"2\") field(THVL,\"3\") field(ZRST,\"zero\") \
                      field(ONST,\"one\") field(TWST,\"two\") field(THST,\"three\")";
        (0..8).for_each(|i| add("ai", format!("ai{i}"), "D", "field(EGU,\"mA\") field(PREC,\"3\")"));
        (0..2).for_each(|i| add("bi", format!("bi{i}"), "B", "field(ZNAM,\"Off\") field(ONAM,\"On\")"));
        (0..2).for_each(|i| add("mbbi", format!("mbbi{i}"), "M", states));
        add("stringin", "si0".into(), "D", "");
        (0..4).for_each(|i| add("longin", format!("li{i}"), "D", ""));
        (0..2).for_each(|i| add("int64in", format!("i64{i}"), "D", ""));
        add("compress", "wf0".into(), "D", "field(ALG,\"Circular Buffer\") field(NSAM,\"16\")");
    }
    (text, names)
}

/// Whether a channel of [`counters`] counts, and the IOC queues each of its values.
pub(crate) fn counts(name: &str) -> bool {
    let short = name.rsplit(':').next().unwrap_or_default();
    ["ai", "li", "i64"].iter().any(|prefix| short.starts_with(prefix))
}

/// Whether a channel of [`counters`] counts in a string. A C IOC copies values of at most eight bytes into its
/// queue; of a longer one it sends what the record holds when the turn of the event comes (dbEvent.c), so that a
/// value may be left out or come twice.
pub(crate) fn counts_in_text(name: &str) -> bool {
    name.rsplit(':').next().unwrap_or_default().starts_with("si")
}

/// Elements of each value of [`waveforms`].
pub(crate) const ELEMENTS: usize = 2048;

/// Numbers without any pattern, from which every value of [`waveforms`] is a stretch.
pub(crate) fn noise() -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The top 52 bits: a number in [0, 1) with every bit of its mantissa random.
        (state >> 12) as f64 / (1_u64 << 52) as f64
    };
    (0..2 * ELEMENTS).map(next).collect()
}

/// The command of an IOC with [`waveforms`] that gives them their noise; a database cannot hold so many numbers.
pub(crate) fn put_noise() -> String {
    let noise: Vec<String> = noise().iter().map(f64::to_string).collect();
    format!("dbpf W:noise \"[{}]\"", noise.join(","))
}

/// Records of 2048 doubles at 10 Hz: the update with number n is `noise()[n % 2048..][..2048]`.
pub(crate) fn waveforms(count: u64) -> (String, Vec<String>) {
    let total = 2 * ELEMENTS;
    let mut text =
        format!("record(waveform,\"W:noise\"){{field(FTVL,\"DOUBLE\") field(NELM,\"{total}\")}}\n");
    let mut names = Vec::new();
    for i in 0..count {
        let name = format!("W:{i:03}");
        let _ = writeln!(
            text,
            "record(calcout,\"{name}:n\"){{field(SCAN,\".1 second\") field(CALC,\"(VAL+1)%{ELEMENTS}\") \
             field(OUT,\"{name}.INDX NPP\") field(FLNK,\"{name}\")}}\n\
             record(subArray,\"{name}\"){{field(FTVL,\"DOUBLE\") field(MALM,\"{total}\") field(NELM,\"{ELEMENTS}\") \
             field(INP,\"W:noise NPP\")}}"
        );
        names.push(name);
    }
    (text, names)
}

/// Records that never change: `N:00000` holds 0 and so on.
pub(crate) fn constants(count: u64) -> (String, Vec<String>) {
    let names: Vec<String> = (0..count).map(|i| format!("N:{i:05}")).collect();
    let mut text = String::new();
    for (i, name) in names.iter().enumerate() {
        let _ = writeln!(text, "record(ai,\"{name}\"){{field(VAL,\"{i}\") field(PINI,\"YES\")}}");
    }
    (text, names)
}
