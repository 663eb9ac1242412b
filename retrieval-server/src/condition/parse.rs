//! From the text of `where=` to a condition.

use super::tree::{Aspect, Condition, Literal, Node, Relation, Term};
use crate::limits::{WHERE_BYTES_MAX, WHERE_CHANNELS_MAX, WHERE_DEPTH_MAX, WHERE_TERMS_MAX};
use sample::Severity;

/// What is wrong where: the column counts characters from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub column: usize,
    pub message: String,
}

#[derive(Clone, PartialEq, Debug)]
enum Token {
    /// A bare word: a name, a keyword, the name of a severity.
    Word(String),
    /// A name in backticks.
    Name(String),
    Number(f64),
    Text(String),
    Relation(Relation),
    Open,
    Close,
}

struct Placed {
    column: usize,
    token: Token,
}

fn fault<T>(column: usize, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { column, message: message.into() })
}

/// Whether `c` stands in names without backticks.
fn bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_:.-".contains(c)
}

/// A decimal number; words like `inf` are names.
fn number(word: &str) -> Option<f64> {
    let digits = word.trim_start_matches(['+', '-']);
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    begins.then(|| word.parse().ok()).flatten()
}

fn tokens(text: &str) -> Result<Vec<Placed>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (column, c) = (at + 1, chars[at]);
        let next = chars.get(at + 1).copied();
        let mut relation = |relation, length| {
            at += length;
            Token::Relation(relation)
        };
        let token = match (c, next) {
            (c, _) if c.is_whitespace() => {
                at += 1;
                continue;
            }
            ('=', Some('=')) => relation(Relation::Equal, 2),
            ('!', Some('=')) => relation(Relation::NotEqual, 2),
            ('<', Some('=')) => relation(Relation::AtMost, 2),
            ('>', Some('=')) => relation(Relation::AtLeast, 2),
            ('<', _) => relation(Relation::Less, 1),
            ('>', _) => relation(Relation::Greater, 1),
            ('=', _) => return fault(column, "= alone is no comparison; write =="),
            ('(' | ')', _) => {
                at += 1;
                if c == '(' { Token::Open } else { Token::Close }
            }
            ('`', _) => {
                let end = chars[at + 1..].iter().position(|c| *c == '`');
                let Some(length) = end else { return fault(column, "the backtick is not closed") };
                let name = chars[at + 1..=at + length].iter().collect();
                at += length + 2;
                Token::Name(name)
            }
            ('"' | '\'', _) => {
                let (text, behind) = quoted(&chars, at)?;
                at = behind;
                Token::Text(text)
            }
            (c, _) if bare(c) || c == '+' => {
                let begin = at;
                at += 1;
                let exponent = |at: usize| chars[at] == '+' && matches!(chars[at - 1], 'e' | 'E');
                while at < chars.len() && (bare(chars[at]) || exponent(at)) {
                    at += 1;
                }
                let word: String = chars[begin..at].iter().collect();
                match number(&word) {
                    Some(number) => Token::Number(number),
                    None if word.contains('+') => return fault(column, "a name with + belongs in backticks"),
                    None => Token::Word(word),
                }
            }
            _ => return fault(column, format!("{c:?} is not understood; other names belong in backticks")),
        };
        tokens.push(Placed { column, token });
    }
    Ok(tokens)
}

/// The text in quotes that begins at `at`, and the place behind it.
fn quoted(chars: &[char], at: usize) -> Result<(String, usize), Fault> {
    let mut text = String::new();
    let mut i = at + 1;
    while let Some(c) = chars.get(i) {
        match (*c, chars.get(i + 1)) {
            (c, _) if c == chars[at] => return Ok((text, i + 1)),
            ('\\', Some(escaped)) => {
                text.push(*escaped);
                i += 1;
            }
            (c, _) => text.push(c),
        }
        i += 1;
    }
    fault(at + 1, "the quotes are not closed")
}

/// Reads a condition.
pub(crate) fn parse(text: &str) -> Result<Condition, Fault> {
    if text.len() > WHERE_BYTES_MAX {
        return fault(1, format!("longer than {WHERE_BYTES_MAX} bytes"));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        end: text.chars().count() + 1,
        channels: Vec::new(),
        terms: Vec::new(),
        depth: 0,
    };
    let root = parser.any()?;
    if parser.at < parser.tokens.len() {
        return fault(parser.column(), "expected and, or, or the end");
    }
    Ok(Condition { channels: parser.channels, terms: parser.terms, root })
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    /// Column behind the text.
    end: usize,
    channels: Vec<String>,
    terms: Vec<Term>,
    depth: usize,
}

/// One side of a comparison.
enum Side {
    Channel(usize, Aspect),
    Literal(Literal),
    /// A bare word: a channel's name or, beside `severity(..)`, that of a severity.
    Word(String),
}

impl Parser {
    fn column(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |placed| placed.column)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at)?.token.clone();
        self.at += 1;
        Some(token)
    }

    fn accept(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|placed| placed.token == *wanted);
        self.at += usize::from(found);
        found
    }

    fn keyword(&mut self, word: &str) -> bool {
        self.accept(&Token::Word(word.into()))
    }

    fn any(&mut self) -> Result<Node, Fault> {
        let mut node = self.all()?;
        while self.keyword("or") {
            node = Node::Or(Box::new(node), Box::new(self.all()?));
        }
        Ok(node)
    }

    fn all(&mut self) -> Result<Node, Fault> {
        let mut node = self.one()?;
        while self.keyword("and") {
            node = Node::And(Box::new(node), Box::new(self.one()?));
        }
        Ok(node)
    }

    fn one(&mut self) -> Result<Node, Fault> {
        self.depth += 1;
        if self.depth > WHERE_DEPTH_MAX {
            return fault(self.column(), format!("nested deeper than {WHERE_DEPTH_MAX}"));
        }
        let node = if self.keyword("not") {
            Node::Not(Box::new(self.one()?))
        } else if self.accept(&Token::Open) {
            let node = self.any()?;
            if !self.accept(&Token::Close) {
                return fault(self.column(), "expected )");
            }
            node
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Fault> {
        let column = self.column();
        let left = self.side()?;
        let relation_column = self.column();
        let Some(Token::Relation(relation)) = self.next() else {
            return fault(relation_column, "expected one of == != < <= > >=");
        };
        let right_column = self.column();
        let right = self.side()?;
        if self.terms.len() >= WHERE_TERMS_MAX {
            return fault(column, format!("more than {WHERE_TERMS_MAX} comparisons"));
        }
        let (channel, aspect, relation, literal, literal_column) = match (left, right) {
            (Side::Channel(channel, aspect), other) => {
                (channel, aspect, relation, self.literal(aspect, other, right_column)?, right_column)
            }
            (Side::Word(word), Side::Channel(channel, Aspect::Severity)) => {
                let literal = self.literal(Aspect::Severity, Side::Word(word), column)?;
                (channel, Aspect::Severity, relation.mirrored(), literal, column)
            }
            (Side::Word(name), other) => {
                let channel = self.channel(name, column)?;
                let literal = self.literal(Aspect::Value, other, right_column)?;
                (channel, Aspect::Value, relation, literal, right_column)
            }
            (Side::Literal(literal), Side::Channel(channel, aspect)) => {
                let literal = self.literal(aspect, Side::Literal(literal), column)?;
                (channel, aspect, relation.mirrored(), literal, column)
            }
            (Side::Literal(literal), Side::Word(name)) => {
                (self.channel(name, right_column)?, Aspect::Value, relation.mirrored(), literal, column)
            }
            (Side::Literal(_), Side::Literal(_)) => {
                return fault(
                    column,
                    "one side of a comparison is a channel; names of digits belong in backticks",
                );
            }
        };
        let orders = !matches!(relation, Relation::Equal | Relation::NotEqual);
        if orders && matches!(literal, Literal::Text(_)) {
            return fault(literal_column, "text has no order; compare it with == or !=");
        }
        self.terms.push(Term { channel, aspect, relation, literal });
        Ok(Node::Term(self.terms.len() - 1))
    }

    fn literal(&self, aspect: Aspect, side: Side, column: usize) -> Result<Literal, Fault> {
        match (side, aspect) {
            (Side::Literal(Literal::Text(text)) | Side::Word(text), Aspect::Severity) => {
                let all = [Severity::NoAlarm, Severity::Minor, Severity::Major, Severity::Invalid];
                let named = all.into_iter().find(|severity| severity.name() == text);
                let code = |severity: Severity| Literal::Number(f64::from(severity as u8));
                let expected = "expected NO_ALARM, MINOR, MAJOR, INVALID or 0 to 3";
                named.map_or_else(
                    || fault(column, format!("{text:?} is no severity; {expected}")),
                    |s| Ok(code(s)),
                )
            }
            (Side::Literal(Literal::Text(_)), Aspect::Magnitude) => fault(column, "abs() is a number"),
            (Side::Literal(literal), _) => Ok(literal),
            (Side::Word(word), _) => {
                fault(column, format!("a channel is compared with a number or with text: \"{word}\""))
            }
            (Side::Channel(..), _) => {
                fault(column, "a channel is compared with a number or with text in quotes")
            }
        }
    }

    fn channel(&mut self, name: String, column: usize) -> Result<usize, Fault> {
        if ["and", "or", "not"].contains(&name.as_str()) {
            return fault(
                column,
                format!("expected a comparison before {name}; a channel of that name belongs in backticks"),
            );
        }
        if let Some(place) = self.channels.iter().position(|known| *known == name) {
            return Ok(place);
        }
        if self.channels.len() >= WHERE_CHANNELS_MAX {
            return fault(column, format!("more than {WHERE_CHANNELS_MAX} channels"));
        }
        self.channels.push(name);
        Ok(self.channels.len() - 1)
    }

    fn side(&mut self) -> Result<Side, Fault> {
        let column = self.column();
        match self.next() {
            Some(Token::Number(number)) => Ok(Side::Literal(Literal::Number(number))),
            Some(Token::Text(text)) => Ok(Side::Literal(Literal::Text(text))),
            Some(Token::Name(name)) => Ok(Side::Channel(self.channel(name, column)?, Aspect::Value)),
            Some(Token::Word(word)) => {
                let aspect = match word.as_str() {
                    "abs" => Aspect::Magnitude,
                    "severity" => Aspect::Severity,
                    _ => return Ok(Side::Word(word)),
                };
                if !self.accept(&Token::Open) {
                    return Ok(Side::Word(word));
                }
                let column = self.column();
                let name = match self.next() {
                    Some(Token::Word(name) | Token::Name(name)) => name,
                    _ => return fault(column, format!("expected the name of a channel in {word}()")),
                };
                let channel = self.channel(name, column)?;
                if !self.accept(&Token::Close) {
                    return fault(self.column(), "expected )");
                }
                Ok(Side::Channel(channel, aspect))
            }
            Some(_) => fault(column, "expected a channel, a number or text in quotes"),
            None => fault(column, "the condition ends here; expected a channel, a number or text in quotes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let condition =
            parse("`FE:SHUT TER+` == \"Op\\\"en\" and (abs(SR-X.1) > 3e+2 or not -1.5 <= SR-X.1)").unwrap();
        assert_eq!(condition.channels, ["FE:SHUT TER+", "SR-X.1"]);
        let term = |channel, aspect, relation, literal| Term { channel, aspect, relation, literal };
        assert_eq!(
            condition.terms,
            [
                term(0, Aspect::Value, Relation::Equal, Literal::Text("Op\"en".into())),
                term(1, Aspect::Magnitude, Relation::Greater, Literal::Number(300.0)),
                term(1, Aspect::Value, Relation::AtLeast, Literal::Number(-1.5)),
            ]
        );
        let shape = "And(Term(0), Or(Term(1), Not(Term(2))))";
        assert_eq!(format!("{:?}", condition.root), shape);
        for text in ["severity(X) >= MINOR", "MINOR <= severity(X)", "severity(`X`) >= 1", "1 <= severity(X)"]
        {
            let expected = term(0, Aspect::Severity, Relation::AtLeast, Literal::Number(1.0));
            assert_eq!(parse(text).unwrap().terms, [expected], "{text}");
        }
        assert_eq!(parse("abs == 1 and `7` == 7").unwrap().channels, ["abs", "7"]);
        assert!(matches!(parse("A==1 or B==1 and C==1").unwrap().root, Node::Or(..)));
    }

    #[test]
    fn faults_point_at_their_column() {
        for (text, column, words) in [
            ("", 1, "ends here"),
            ("X", 2, "expected one of =="),
            ("X = 3", 3, "write =="),
            ("X == ", 6, "ends here"),
            ("X == Open", 6, "\"Open\""),
            ("X == Y-1", 6, "number or with text"),
            ("é == 1", 1, "backticks"),
            ("X == 1 Y", 8, "expected and"),
            ("(X == 1", 8, "expected )"),
            ("X == \"a", 6, "not closed"),
            ("`X == 1", 1, "not closed"),
            ("X > \"a\"", 5, "no order"),
            ("severity(X) > HIGH", 15, "no severity"),
            ("abs(3) > 1", 5, "name of a channel"),
            ("1 == 2", 1, "is a channel"),
            ("and == 2", 1, "comparison before and"),
            ("X == 1 and", 11, "ends here"),
            ("not", 4, "ends here"),
            ("A+B > 1", 2, "backticks"),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.column == column && fault.message.contains(words), "{text}: {fault:?}");
        }
    }

    #[test]
    fn limits_are_limits() {
        let nested = |depth: usize| format!("{}X == 1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(WHERE_DEPTH_MAX - 1)).is_ok());
        assert!(parse(&nested(WHERE_DEPTH_MAX)).unwrap_err().message.contains("deeper"));
        let terms = |count: usize| vec!["X == 1"; count].join(" or ");
        assert!(parse(&terms(WHERE_TERMS_MAX)).is_ok());
        assert!(parse(&terms(WHERE_TERMS_MAX + 1)).unwrap_err().message.contains("comparisons"));
        let channels =
            |count: usize| (0..count).map(|i| format!("X{i} == 1")).collect::<Vec<_>>().join(" or ");
        assert!(parse(&channels(WHERE_CHANNELS_MAX)).is_ok());
        assert!(parse(&channels(WHERE_CHANNELS_MAX + 1)).unwrap_err().message.contains("channels"));
        assert!(
            parse(&format!("{}X == 1", " ".repeat(WHERE_BYTES_MAX))).unwrap_err().message.contains("bytes")
        );
    }
}
