//! The status page: what the site's own people see of what leaves them. Read only, for this machine only.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use crate::{http::is_loopback, status::StatusView};

/// Only what this server serves itself is shown or run.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'none'";

type View = Arc<dyn Fn() -> StatusView + Send + Sync>;

/// The page, of what `view` says when it is asked.
pub fn router(view: impl Fn() -> StatusView + Send + Sync + 'static) -> Router {
    let view: View = Arc::new(view);
    Router::new()
        .route("/", get(|| file("text/html; charset=utf-8", include_str!("page/index.html"))))
        .route("/page.js", get(|| file("text/javascript; charset=utf-8", include_str!("page/page.js"))))
        .route("/page.css", get(|| file("text/css; charset=utf-8", include_str!("page/page.css"))))
        .route("/status.json", get(status))
        .layer(middleware::from_fn(guard))
        .with_state(view)
}

/// Serves the page for ever.
pub async fn serve(listener: TcpListener, view: impl Fn() -> StatusView + Send + Sync + 'static) {
    if let Err(error) = axum::serve(listener, router(view)).await {
        tracing::error!("the status page has ended: {error}");
    }
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

async fn status(State(view): State<View>) -> Json<StatusView> {
    Json(view())
}

/// Refuses names that are not this machine's: a web page elsewhere could let its own name mean this machine, and read.
async fn guard(request: Request, next: Next) -> Response {
    if !host(&request).is_some_and(is_own) {
        let why = "the status page answers to localhost, 127.0.0.1 and [::1] only";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The host that a request names; HTTP/2 has it in the URL.
fn host(request: &Request) -> Option<&str> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| request.uri().authority().map(|authority| authority.as_str()))
}

/// Whether a host, with or without a port, is this machine.
fn is_own(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let loopback = address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        return loopback && (port.is_empty() || port.starts_with(':'));
    }
    is_loopback(host.split_once(':').map_or(host, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_names_are_answered_to() {
        for own in ["localhost", "localhost:3874", "127.0.0.1:3874", "127.0.0.2", "[::1]", "[::1]:3874", "LOCALHOST:1"]
        {
            assert!(is_own(own), "{own}");
        }
        for other in
            ["", "evil.example", "evil.example:3874", "127.0.0.1.evil.example", "10.0.0.1", "[::2]", "[::1", "[::1]x"]
        {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_has_no_code_inside() {
        let page = include_str!("page/index.html");
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("style="));
        assert!(page.contains(r#"<script src="/page.js" defer></script>"#));
        assert!(!include_str!("page/page.js").contains("innerHTML"));
        assert!(!include_str!("page/page.css").contains("url("));
    }
}
