//! Whether comparisons hold at many samples at once.

use super::tree::{Aspect, Literal, Relation, Term, Truth};
use crate::segments::{in_force, same_metadata};
use engine::read::{Facts, Numbers, Part};
use sample::{Column, Kind, Metadata, SampleBlock, Timestamp};
use std::borrow::Cow;
use std::sync::Arc;

/// A [`Truth`] in a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Code(u8);

impl Code {
    pub(super) const UNKNOWN: Code = Code(2);

    pub(super) fn truth(self) -> Truth {
        (self != Code::UNKNOWN).then_some(self.0 == 1)
    }

    fn of(holds: bool) -> Code {
        Code(u8::from(holds))
    }
}

/// Codes that are looked at together.
const WINDOW: usize = 64;

/// The first of samples `at..end` at which one of `codes`, those of each comparison, is not as `newest` has it; `end`
/// where there is none.
pub(super) fn first_change(codes: &[Vec<Code>], newest: &[Code], mut at: usize, end: usize) -> usize {
    while at < end {
        let window = at..end.min(at + WINDOW);
        let change = |(codes, newest): (&Vec<Code>, &Code)| {
            let codes = &codes[window.clone()];
            // Whole windows at once: a search that may end early is not vectorised.
            let differs = codes.iter().fold(0, |any, code| any | (code.0 ^ newest.0));
            if differs == 0 { None } else { codes.iter().position(|code| code != newest) }
        };
        if let Some(change) = codes.iter().zip(newest).filter_map(change).min() {
            return at + change;
        }
        at = window.end;
    }
    end
}

impl Relation {
    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Relation::Equal => a == b,
            Relation::NotEqual => a != b,
            Relation::Less => a < b,
            Relation::AtMost => a <= b,
            Relation::Greater => a > b,
            Relation::AtLeast => a >= b,
        }
    }

    /// The codes of all values; of NaN nothing is known.
    fn of_values(self, values: &[f64], number: f64, out: &mut Vec<Code>) {
        // One loop for each relation, which compares many values at once.
        fn each(values: &[f64], holds: impl Fn(f64) -> bool, out: &mut Vec<Code>) {
            let code = |value: &f64| if value.is_nan() { Code::UNKNOWN } else { Code::of(holds(*value)) };
            out.extend(values.iter().map(code));
        }
        match self {
            Relation::Equal => each(values, |value| value == number, out),
            Relation::NotEqual => each(values, |value| value != number, out),
            Relation::Less => each(values, |value| value < number, out),
            Relation::AtMost => each(values, |value| value <= number, out),
            Relation::Greater => each(values, |value| value > number, out),
            Relation::AtLeast => each(values, |value| value >= number, out),
        }
    }

    /// Whether it holds for all values between `bounds`, or for none; `None` where they differ.
    fn of_bounds(self, (lower, upper): (f64, f64), number: f64) -> Option<bool> {
        let either = |all: bool, none: bool| if all { Some(true) } else { none.then_some(false) };
        match self {
            Relation::Equal => either(lower == number && upper == number, upper < number || number < lower),
            Relation::NotEqual => Relation::Equal.of_bounds((lower, upper), number).map(|equal| !equal),
            Relation::Less => either(upper < number, number <= lower),
            Relation::AtMost => either(upper <= number, number < lower),
            Relation::Greater => either(number < lower, upper <= number),
            Relation::AtLeast => either(number <= lower, upper < number),
        }
    }
}

/// Whether text that was found is that of a comparison for equality.
fn says(found: &[u8], text: &str, relation: Relation) -> bool {
    (crate::json::text(found) == text) == (relation == Relation::Equal)
}

/// What an enum of index `index` is called.
fn label(metadata: Option<&Metadata>, index: u16) -> Cow<'_, [u8]> {
    let states = metadata.and_then(|metadata| metadata.states.as_deref()).unwrap_or(&[]);
    match states.get(usize::from(index)) {
        Some(state) => Cow::Borrowed(state),
        None => Cow::Owned(index.to_string().into_bytes()),
    }
}

impl Term {
    /// Puts its truth at each sample of a block into `out`; `changes` are all changes of metadata, by time.
    pub(super) fn of_block(
        &self,
        block: &SampleBlock,
        changes: &[(Timestamp, Arc<Metadata>)],
        out: &mut Vec<Code>,
    ) {
        out.clear();
        match (&self.literal, self.aspect) {
            (Literal::Number(number), Aspect::Severity) => {
                let code = |severity| Code::of(self.relation.holds(f64::from(severity), *number));
                let codes: [Code; 4] = [0u8, 1, 2, 3].map(code);
                out.extend(block.severity.iter().map(|severity| codes[usize::from(*severity & 3)]));
            }
            (Literal::Number(number), aspect) => {
                let mut numbers = Vec::new();
                match &block.values {
                    Column::Float64(values) if aspect == Aspect::Value => {
                        self.relation.of_values(values, *number, out);
                    }
                    values if values.numbers(&mut numbers) => {
                        if aspect == Aspect::Magnitude {
                            numbers.iter_mut().for_each(|value| *value = value.abs());
                        }
                        self.relation.of_values(&numbers, *number, out);
                    }
                    _ => out.resize(block.len(), Code::UNKNOWN),
                }
            }
            (Literal::Text(text), _) => match &block.values {
                Column::String(strings) => {
                    let code = |i| Code::of(says(strings.get(i), text, self.relation));
                    out.extend((0..strings.len()).map(code));
                }
                Column::Enum(indices) => {
                    for (samples, metadata) in same_metadata(block, changes) {
                        let metadata = metadata.map(|metadata| &**metadata);
                        let code =
                            |index: &u16| Code::of(says(&label(metadata, *index), text, self.relation));
                        out.extend(indices[samples].iter().map(code));
                    }
                }
                _ => out.resize(block.len(), Code::UNKNOWN),
            },
        }
    }

    /// Its truth at every sample of a part, where what is known of the part tells that; `changes` as for
    /// [`Term::of_block`].
    pub(super) fn of_facts(
        &self,
        part: &Part,
        facts: &Facts,
        changes: &[(Timestamp, Arc<Metadata>)],
    ) -> Option<Code> {
        match (&self.literal, self.aspect) {
            (Literal::Number(number), Aspect::Severity) => {
                let (least, worst) = facts.severity;
                let bounds = (f64::from(least as u8), f64::from(worst as u8));
                self.relation.of_bounds(bounds, *number).map(Code::of)
            }
            (Literal::Number(number), aspect) => {
                let Some(numbers) = &facts.numbers else { return Some(Code::UNKNOWN) };
                self.of_numbers(numbers, aspect == Aspect::Magnitude, *number)
            }
            (Literal::Text(text), _) => {
                let (value, metadata_known) = facts.run?;
                if value.array || !matches!(value.kind, Kind::Enum | Kind::String) {
                    return Some(Code::UNKNOWN);
                }
                let (lower, upper) = facts.numbers.filter(|_| value.kind == Kind::Enum)?.bounds?;
                let own = in_force(changes, part.first.time);
                let metadata = metadata_known.then(|| changes.get(own)).flatten();
                if metadata_known && in_force(changes, part.last.time) != own {
                    return None;
                }
                if !(0.0 <= lower && lower <= upper && upper <= f64::from(u16::MAX)) {
                    return None;
                }
                // Enums have few states: who has more is read.
                let indices = lower as u16..=(upper as u16).min((lower as u16).saturating_add(LABELS_MAX));
                let whole = *indices.end() == upper as u16;
                let metadata = metadata.map(|(_, metadata)| &**metadata);
                let mut codes =
                    indices.map(|index| Code::of(says(&label(metadata, index), text, self.relation)));
                let first = codes.next()?;
                (whole && codes.all(|code| code == first)).then_some(first)
            }
        }
    }

    /// Its truth where it is the same for all of `numbers`.
    fn of_numbers(&self, numbers: &Numbers, magnitude: bool, number: f64) -> Option<Code> {
        let infinite = |infinity: f64| {
            let value = if magnitude { infinity.abs() } else { infinity };
            Code::of(self.relation.holds(value, number))
        };
        let mut found = None;
        if let Some((lower, upper)) = numbers.bounds {
            let bounds = match magnitude {
                false => (lower, upper),
                true if lower >= 0.0 => (lower, upper),
                true if upper <= 0.0 => (-upper, -lower),
                true => (0.0, upper.max(-lower)),
            };
            found = Some(Code::of(self.relation.of_bounds(bounds, number)?));
        }
        let mut agrees = |code: Code| *found.get_or_insert(code) == code;
        let all = (!numbers.nan || agrees(Code::UNKNOWN))
            && (!numbers.positive_infinite || agrees(infinite(f64::INFINITY)))
            && (!numbers.negative_infinite || agrees(infinite(f64::NEG_INFINITY)));
        found.filter(|_| all)
    }
}

/// Labels of one part that are compared with a text.
const LABELS_MAX: u16 = 256;
