//! Channel arguments: names, globs, `@FILE`, `@-`.

use crate::answer::Pairs;
use crate::failure::Failure;
use crate::place::Place;
use disk::{Disk, RealDisk};
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;

/// Most bytes of a list of names.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// The names that `arguments` mean, each once, in order. A glob that matches nothing is a failure.
pub(crate) fn names(place: &Place, arguments: &[String]) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for argument in arguments {
        if let Some(file) = argument.strip_prefix('@') {
            names.extend(listed(file)?);
        } else if argument.contains(['*', '?']) {
            names.extend(matching(place, argument)?);
        } else {
            names.push(argument.clone());
        }
    }
    if names.is_empty() {
        return Err(Failure::Usage("name at least one channel: a name, a glob, @FILE or @-".to_owned()));
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// The parameters `channel=` for what `arguments` mean.
pub(crate) fn pairs(place: &Place, arguments: &[String]) -> Result<Pairs, Failure> {
    Ok(names(place, arguments)?.into_iter().map(|name| ("channel".to_owned(), name)).collect())
}

fn matching(place: &Place, glob: &str) -> Result<Vec<String>, Failure> {
    let pairs = vec![("match".to_owned(), glob.to_owned()), ("limit".to_owned(), "0".to_owned())];
    let answer = place.json("/api/v1/channels", pairs)?;
    let rows = answer["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<String> = rows.iter().filter_map(|row| row["name"].as_str().map(str::to_owned)).collect();
    if names.is_empty() {
        return Err(Failure::Missing(format!("no channel matches {glob}")));
    }
    Ok(names)
}

/// The first word of each line; `#` at the start of a line or behind a blank begins a comment.
fn listed(file: &str) -> Result<Vec<String>, Failure> {
    let text = if file == "-" {
        let mut text = String::new();
        let read = std::io::stdin().take(LIST_BYTES_MAX).read_to_string(&mut text);
        read.map_err(Failure::io("read the list on standard input"))?;
        text
    } else {
        text_of(file).map_err(Failure::io(format!("read the list {file}")))?
    };
    let words = text.lines().filter_map(|line| {
        line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').split_whitespace().next()
    });
    Ok(words.filter(|word| !word.starts_with('#')).map(str::to_owned).collect())
}

fn text_of(file: &str) -> io::Result<String> {
    let unread = |error: disk::DiskError| io::Error::other(error.source.to_string());
    let opened = RealDisk.open(Path::new(file)).map_err(unread)?;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    while (bytes.len() as u64) < LIST_BYTES_MAX {
        match opened.read_at(bytes.len() as u64, &mut piece).map_err(unread)? {
            0 => break,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
    String::from_utf8(bytes).map_err(io::Error::other)
}
