//! Which names a glob or a regular expression means.

use crate::limits::{PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX};
use regex::{Regex, RegexBuilder};

/// A compiled glob or regular expression; always matched against the whole name.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// A glob: `*` is any text, `?` one character, everything else itself.
    pub fn glob(text: &str) -> Result<Pattern, String> {
        let mut expression = String::with_capacity(text.len() + 16);
        let mut plain = [0; 4];
        for c in text.chars() {
            match c {
                '*' => expression.push_str(".*"),
                '?' => expression.push('.'),
                c => expression.push_str(&regex::escape(c.encode_utf8(&mut plain))),
            }
        }
        Pattern::compile(text, &expression)
    }

    /// A regular expression.
    pub fn regex(text: &str) -> Result<Pattern, String> {
        // Alone first: what is balanced only inside our brackets is an error.
        Pattern::compile(text, text)?;
        Pattern::compile(text, &format!("(?:{text})"))
    }

    fn compile(text: &str, expression: &str) -> Result<Pattern, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        RegexBuilder::new(&format!("\\A{expression}\\z"))
            .size_limit(PATTERN_COMPILED_BYTES_MAX)
            .dot_matches_new_line(true)
            .build()
            .map(Pattern)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(max) => format!("needs more than {max} bytes when compiled"),
                error => error.to_string(),
            })
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_star_and_question_mark_are_special_in_globs() {
        for (glob, yes, no) in [
            ("SR:*", "SR:C01{BPM:1}X-I", "BR:SR:"),
            ("*{BPM:?}*", "SR:C01{BPM:1}X-I", "SR:C01{BPM:12}X-I"),
            ("A[1]", "A[1]", "A1"),
            ("A.B", "A.B", "AxB"),
            ("A#1+^$", "A#1+^$", "A#1"),
            ("?", "é", "éé"),
            ("a", "a", "A"),
            ("*", "", "\u{0}never"),
        ] {
            let pattern = Pattern::glob(glob).unwrap();
            assert!(pattern.matches(yes), "{glob} {yes}");
            assert!(glob == "*" || !pattern.matches(no), "{glob} {no}");
        }
        assert!(Pattern::glob(&"x".repeat(1024)).unwrap().matches(&"x".repeat(1024)));
    }

    #[test]
    fn regular_expressions_match_whole_names_within_a_size() {
        let pattern = Pattern::regex("A|BC").unwrap();
        assert!(pattern.matches("A") && pattern.matches("BC") && !pattern.matches("ABC"));
        assert!(Pattern::regex("a)(b").is_err());
        assert!(Pattern::regex("(").is_err());
        assert!(Pattern::regex("(a{1000}){1000}").unwrap_err().contains("compiled"));
        assert!(Pattern::regex(&"a".repeat(5000)).unwrap_err().contains("4096"));
    }
}
