//! The `[[retention]]` blocks: how long data stay.

use super::section::{Parsed, Section, describe};
use super::value;
use std::time::Duration;
use toml::de::DeValue;

/// How long data stay. Nothing else ever deletes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// For good.
    #[default]
    Forever,
    /// So long; not zero.
    For(Duration),
}

/// One class of channels that are kept equally long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RetentionClass {
    /// Its name.
    pub class: String,
    /// How long samples stay.
    pub raw: Keep,
    /// How long decimated data stay.
    pub decimated: Keep,
}

impl RetentionClass {
    /// A class that keeps everything.
    pub fn forever(class: &str) -> RetentionClass {
        RetentionClass { class: class.to_owned(), raw: Keep::Forever, decimated: Keep::Forever }
    }

    /// Reads one block; `None` where it has no name or repeats one of `classes`.
    pub(super) fn read(mut section: Section<'_, '_>, classes: &[RetentionClass]) -> Option<RetentionClass> {
        let mut raw = Keep::Forever;
        let mut decimated = Keep::Forever;
        if section.value("class").is_none() {
            section.missing("class = \"...\", the name that [[channels]] blocks use");
        }
        let class = section.read("class", |v| {
            let class = value::text(v)?;
            let fits = class.len() <= 64
                && class.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
            if !fits {
                return Err("expected at most 64 letters, digits, - and _".to_owned());
            }
            if classes.iter().any(|known| known.class == class) {
                return Err(format!("class \"{class}\" is defined twice"));
            }
            Ok(class)
        });
        section.set("raw", &mut raw, keep);
        section.set("decimated", &mut decimated, keep);
        section.finish();
        class.map(|class| RetentionClass { class, raw, decimated })
    }
}

fn keep(value: &DeValue<'_>) -> Parsed<Keep> {
    match value.as_str() {
        Some("forever") => Ok(Keep::Forever),
        Some(_) => value::positive_duration(value).map(Keep::For),
        None => {
            Err(format!("expected \"forever\" or a duration such as \"520w\", found {}", describe(value)))
        }
    }
}
