//! The page at `/`: files of `page/` that are built into the program.

use crate::error::ApiError;
use crate::server::{ServerState, refusal};
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Nothing but what this server sends; what a page of another origin embeds is not shown.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page itself.
const INDEX: &str = include_str!("../page/index.html");

/// A file: name, media type, content.
macro_rules! file {
    ($name:literal, $media:expr) => {
        ($name, $media, include_str!(concat!("../page/", $name)))
    };
}

/// What the page loads from `/page/NAME`.
const FILES: [(&str, &str, &str); 14] = [
    file!("page.css", CSS),
    file!("api.js", SCRIPT),
    file!("axes.js", SCRIPT),
    file!("columns.js", SCRIPT),
    file!("gestures.js", SCRIPT),
    file!("legend.js", SCRIPT),
    file!("link.js", SCRIPT),
    file!("main.js", SCRIPT),
    file!("plot.js", SCRIPT),
    file!("search.js", SCRIPT),
    file!("series.js", SCRIPT),
    file!("status.js", SCRIPT),
    file!("tail.js", SCRIPT),
    file!("times.js", SCRIPT),
];

fn sent(media: &'static str, content: &'static str) -> Response {
    let mut response = Response::new(Body::from(content));
    for (name, value) in [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Another version of the program has other files.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `/` and `/page/NAME`.
pub(crate) fn routes() -> Router<ServerState> {
    let file = async |Path(name): Path<String>| match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, media, content)) => sent(media, content),
        None => refusal(&ApiError::no_route(&format!("/page/{name}"))),
    };
    Router::new().route("/", get(async || sent(HTML, INDEX))).route("/page/{name}", get(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_loads_is_sent() {
        let loaded = |text: &str| -> Vec<String> {
            let quoted = text.split(['"', '\'']).skip(1).step_by(2);
            let names =
                quoted.filter_map(|path| path.strip_prefix("./").or_else(|| path.strip_prefix("page/")));
            names.filter(|name| name.ends_with(".js") || name.ends_with(".css")).map(Into::into).collect()
        };
        let lines = |text: &'static str| {
            text.lines().filter(|line| line.contains("import") || line.contains("page/"))
        };
        let texts = FILES.iter().map(|(_, _, text)| *text).chain([INDEX]);
        let mut wanted: Vec<String> = texts.flat_map(lines).flat_map(loaded).collect();
        wanted.sort();
        wanted.dedup();
        let mut sent: Vec<&str> = FILES.iter().map(|(name, _, _)| *name).collect();
        sent.sort_unstable();
        assert_eq!(wanted, sent);
    }
}
