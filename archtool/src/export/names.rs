//! Names of variables and groups for channels.

use std::collections::HashSet;

/// Most characters of a name.
pub(super) const NAME_LENGTH_MAX: usize = 63;

/// Words that MATLAB does not take as names.
const KEYWORDS: [&str; 20] = [
    "break",
    "case",
    "catch",
    "classdef",
    "continue",
    "else",
    "elseif",
    "end",
    "for",
    "function",
    "global",
    "if",
    "otherwise",
    "parfor",
    "persistent",
    "return",
    "spmd",
    "switch",
    "try",
    "while",
];

/// Names that MATLAB and NeXus take: letters, digits and `_`, a letter first, at most 63, no two the same.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// The name that is nearest to `name`.
    pub(super) fn take(&mut self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let mut wanted: String = name.chars().map(plain).take(NAME_LENGTH_MAX).collect();
        if !wanted.starts_with(|c: char| c.is_ascii_alphabetic()) || KEYWORDS.contains(&wanted.as_str()) {
            wanted.insert(0, 'x');
            wanted.truncate(NAME_LENGTH_MAX);
        }
        let mut own = wanted.clone();
        let mut count = 1;
        while !self.taken.insert(own.clone()) {
            count += 1;
            let ending = format!("_{count}");
            wanted.truncate(NAME_LENGTH_MAX - ending.len());
            own = format!("{wanted}{ending}");
        }
        own
    }
}
