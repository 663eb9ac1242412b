//! What a client's headers ask for: format, compression, an answer it already has.

use crate::routes::{ARROW_MEDIA_TYPE, CHUNKS_MEDIA_TYPE, COLUMNS_MEDIA_TYPE, EVENTS_MEDIA_TYPE, Route};

/// How an answer's bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// As they are.
    Identity,
    /// zstd
    Zstd,
    /// gzip
    Gzip,
}

/// Items of a header with their quality, the best first, at equal quality the first.
fn ranked(header: &str) -> Vec<(String, f32)> {
    let mut items: Vec<(String, f32)> = header
        .split(',')
        .map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let quality = parts.find_map(|p| p.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
            (name, quality.unwrap_or(0.0))
        })
        .filter(|(name, quality)| !name.is_empty() && *quality > 0.0)
        .collect();
    items.sort_by(|a, b| b.1.total_cmp(&a.1));
    items
}

/// The format that an `Accept` header prefers among those of `route`; its first when it names none.
pub(crate) fn format(accept: Option<&str>, route: &Route) -> &'static str {
    let first = if route.produces[0] == EVENTS_MEDIA_TYPE { "sse" } else { "json" };
    let is_there = |media: &str| route.produces.iter().any(|produced| produced.starts_with(media));
    ranked(accept.unwrap_or_default())
        .iter()
        .find_map(|(media, _)| match media.as_str() {
            "*/*" | "application/*" | "text/html" => Some(first),
            "application/json" if is_there(media) => Some("json"),
            "text/csv" if is_there(media) => Some("csv"),
            "text/event-stream" if is_there(media) => Some("sse"),
            media if media == ARROW_MEDIA_TYPE && is_there(media) => Some("arrow"),
            media if media == COLUMNS_MEDIA_TYPE && is_there(media) => Some("columns"),
            media if media == CHUNKS_MEDIA_TYPE && is_there(media) => Some("chunks"),
            _ => None,
        })
        .unwrap_or(first)
}

/// The compression that an `Accept-Encoding` header prefers; none where it is absent.
pub(crate) fn encoding(accept: Option<&str>) -> Encoding {
    let ranked = ranked(accept.unwrap_or_default());
    let best = ranked.first().map_or(0.0, |(_, quality)| *quality);
    let among_best = |wanted: &[&str]| {
        ranked.iter().any(|(name, quality)| wanted.contains(&name.as_str()) && *quality >= best)
    };
    if among_best(&["zstd", "*"]) {
        Encoding::Zstd
    } else if among_best(&["gzip", "x-gzip"]) {
        Encoding::Gzip
    } else {
        ranked
            .iter()
            .find_map(|(name, _)| match name.as_str() {
                "zstd" => Some(Encoding::Zstd),
                "gzip" | "x-gzip" => Some(Encoding::Gzip),
                "identity" => Some(Encoding::Identity),
                _ => None,
            })
            .unwrap_or(Encoding::Identity)
    }
}

/// The weak tag of an answer with this hash.
pub(crate) fn tag(hash: u64) -> String {
    format!("W/\"{hash:016x}\"")
}

/// Whether `If-None-Match` names `tag`.
pub(crate) fn has_already(if_none_match: Option<&str>, tag: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("W/").to_string();
    if_none_match.is_some_and(|tags| tags.split(',').any(|t| t.trim() == "*" || bare(t) == bare(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{Request, row};

    #[test]
    fn a_stream_is_events_unless_columns_are_asked_for() {
        let stream = row(Request::Follow);
        for (accept, chosen) in [
            (None, "sse"),
            (Some("text/event-stream"), "sse"),
            (Some("text/csv, application/json"), "sse"),
            (Some(COLUMNS_MEDIA_TYPE), "columns"),
        ] {
            assert_eq!(format(accept, stream), chosen, "{accept:?}");
        }
        assert_eq!(format(Some("text/event-stream"), row(Request::Samples)), "json");
    }

    #[test]
    fn headers_choose() {
        for (accept, chosen) in [
            (None, "json"),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), "json"),
            (Some("text/csv"), "csv"),
            (Some("application/json;q=0.5, text/csv"), "csv"),
            (Some("text/csv;q=0"), "json"),
            (Some("application/vnd.varve.columns"), "columns"),
            (Some("image/png"), "json"),
        ] {
            assert_eq!(format(accept, row(Request::Samples)), chosen, "{accept:?}");
        }
        for (accept, chosen) in [
            (None, Encoding::Identity),
            (Some(""), Encoding::Identity),
            (Some("gzip, deflate, br, zstd"), Encoding::Zstd),
            (Some("gzip, deflate"), Encoding::Gzip),
            (Some("gzip;q=1.0, zstd;q=0.5"), Encoding::Gzip),
            (Some("zstd;q=0, gzip;q=0"), Encoding::Identity),
            (Some("br, gzip;q=0.8"), Encoding::Gzip),
            (Some("identity, zstd;q=0.1"), Encoding::Identity),
        ] {
            assert_eq!(encoding(accept), chosen, "{accept:?}");
        }
        assert!(has_already(Some("\"a\", W/\"0000000000000005\""), &tag(5)));
        assert!(!has_already(Some("\"a\""), &tag(5)) && !has_already(None, &tag(5)));
    }
}
