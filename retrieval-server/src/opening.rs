//! What a server answers while its archive is still being opened.

use crate::error::{ApiError, Code};
use crate::server::{refusal, told};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use std::sync::{Arc, OnceLock};
use tower::ServiceExt as _;

/// A place for the router of an archive that is not open yet. Until it is there the process says that it lives,
/// and every other request is told to come again (`not_ready`, 503 with `Retry-After`).
#[derive(Clone, Debug, Default)]
pub struct Opening(Arc<OnceLock<axum::Router>>);

impl Opening {
    /// The router to serve from the start on.
    pub fn router(&self) -> axum::Router {
        let opened = self.0.clone();
        axum::Router::new().fallback(move |request: Request| {
            let opened = opened.clone();
            async move {
                match opened.get() {
                    Some(router) => match router.clone().oneshot(request).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    },
                    None => not_yet(request.uri().path()),
                }
            }
        })
    }

    /// Answers all requests by `router` from now on; the first one stays.
    pub fn opened(&self, router: axum::Router) {
        let _ = self.0.set(router);
    }
}

fn not_yet(path: &str) -> Response {
    const WHY: &str = "the archive is being opened: what the log holds is read back";
    match path {
        "/health/live" => told(StatusCode::OK, &json!({"live": true})),
        "/health/ready" => told(StatusCode::SERVICE_UNAVAILABLE, &json!({"ready": false, "reasons": [WHY]})),
        _ => refusal(&ApiError::of(Code::NotReady, WHY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    async fn status(router: &axum::Router, path: &str) -> u16 {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn a_server_lives_before_it_answers() {
        let opening = Opening::default();
        let router = opening.router();
        assert_eq!(status(&router, "/health/live").await, 200);
        assert_eq!(status(&router, "/health/ready").await, 503);
        assert_eq!(status(&router, "/api/v1/status").await, 503);
        opening.opened(axum::Router::new().route("/api/v1/status", axum::routing::get(async || "here")));
        assert_eq!(status(&router, "/api/v1/status").await, 200);
        assert_eq!(status(&router, "/nothing").await, 404);
    }
}
