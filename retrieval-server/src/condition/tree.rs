//! What a condition says.

use sample::{Column, Metadata, SampleBlock};

/// How two things are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Relation {
    /// The same comparison with its sides changed.
    pub(super) fn mirrored(self) -> Relation {
        match self {
            Relation::Equal | Relation::NotEqual => self,
            Relation::Less => Relation::Greater,
            Relation::AtMost => Relation::AtLeast,
            Relation::Greater => Relation::Less,
            Relation::AtLeast => Relation::AtMost,
        }
    }

    fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Relation::Equal => a == b,
            Relation::NotEqual => a != b,
            Relation::Less => a < b,
            Relation::AtMost => a <= b,
            Relation::Greater => a > b,
            Relation::AtLeast => a >= b,
        }
    }
}

/// What of a channel is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aspect {
    Value,
    Magnitude,
    Severity,
}

/// What it is compared with.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Literal {
    Number(f64),
    Text(String),
}

/// One comparison.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Term {
    /// Place of the channel among the condition's.
    pub channel: usize,
    pub aspect: Aspect,
    pub relation: Relation,
    pub literal: Literal,
}

/// Comparisons, by their place, and how they are joined.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Node {
    Term(usize),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
}

/// A whole condition.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Condition {
    /// Names as they were written, each once.
    pub channels: Vec<String>,
    pub terms: Vec<Term>,
    pub root: Node,
}

/// Whether something is so; `None` where that is not known.
pub(crate) type Truth = Option<bool>;

impl Node {
    /// By Kleene's logic: what is not known stays so unless it cannot matter.
    pub(super) fn truth(&self, terms: &[Truth]) -> Truth {
        match self {
            Node::Term(place) => terms[*place],
            Node::Not(node) => node.truth(terms).map(|truth| !truth),
            Node::And(a, b) => match (a.truth(terms), b.truth(terms)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Node::Or(a, b) => match (a.truth(terms), b.truth(terms)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

impl Term {
    /// Its truth at each sample of a block, whose metadata is that of all of them.
    pub(super) fn of_block(&self, block: &SampleBlock, metadata: Option<&Metadata>, out: &mut Vec<Truth>) {
        out.clear();
        let relation = self.relation;
        match (&self.literal, self.aspect) {
            (Literal::Number(number), Aspect::Severity) => {
                out.extend(block.severity.iter().map(|s| Some(relation.holds(&f64::from(*s), number))));
            }
            (Literal::Number(number), aspect) => {
                let mut numbers = Vec::new();
                if !block.values.numbers(&mut numbers) {
                    out.resize(block.len(), None);
                    return;
                }
                let magnitude = aspect == Aspect::Magnitude;
                out.extend(numbers.iter().map(|value| {
                    let value = if magnitude { value.abs() } else { *value };
                    (!value.is_nan()).then(|| relation.holds(&value, number))
                }));
            }
            (Literal::Text(text), _) => {
                let says = |found: &[u8]| {
                    let equal = crate::json::text(found) == text.as_str();
                    Some(equal == (relation == Relation::Equal))
                };
                match &block.values {
                    Column::String(strings) => out.extend((0..strings.len()).map(|i| says(strings.get(i)))),
                    Column::Enum(indices) => {
                        let states = metadata.and_then(|m| m.states.as_deref()).unwrap_or(&[]);
                        out.extend(indices.iter().map(|index| match states.get(usize::from(*index)) {
                            Some(state) => says(state),
                            None => says(index.to_string().as_bytes()),
                        }));
                    }
                    _ => out.resize(block.len(), None),
                }
            }
        }
    }
}
