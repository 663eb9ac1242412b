//! Tables of a format's document, for tests that compare them with the code.

/// The cells of the table under a heading, without its head; none where there is no such table.
pub fn table<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let lines = document.lines().skip_while(|line| heading_of(line) != Some(heading)).skip(1);
    let section = lines.take_while(|line| heading_of(line).is_none());
    let rows = section.filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The headings under which a table stands, in order: a test that lists them notices one that nobody compares.
pub fn headings_with_tables(document: &str) -> Vec<&str> {
    let (mut found, mut heading) = (Vec::new(), "");
    for line in document.lines() {
        if let Some(text) = heading_of(line) {
            heading = text;
        } else if line.starts_with('|') && found.last() != Some(&heading) {
            found.push(heading);
        }
    }
    found
}

fn heading_of(line: &str) -> Option<&str> {
    line.starts_with('#').then(|| line.trim_start_matches('#').trim())
}
