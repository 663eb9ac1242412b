//! What a condition says.

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
