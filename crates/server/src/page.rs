//! The dashboard: files that the binary carries. They show nothing by themselves; their scripts ask the API as anybody would.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use include_dir::{Dir, include_dir};

use crate::{app::App, problem::Refused};

/// What `npm run build` has made; empty where the dashboard was not built.
static BUILT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../dashboard/dist");

/// What stands in its place then. It has no style: the page's policy allows none within it.
const NOT_BUILT: &str = include_str!("page/not_built.html");

/// What the page may load, and from where: its own files, and pictures that it draws itself.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// For files whose names have the digest of what they contain.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Encodings in which files are kept beside themselves, by how their names then end; the smallest first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The page at every address that its scripts know, and its files.
pub fn routes() -> Router<App> {
    let pages = ["/", "/sign-in", "/federations", "/federations/{*rest}"];
    let router = pages.into_iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    router.route("/assets/{file}", get(asset))
}

async fn page(headers: HeaderMap) -> Response {
    let built = file("index.html", &headers, "no-cache");
    built.unwrap_or_else(|| answer(NOT_BUILT.as_bytes(), "html", "no-cache", None))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refused> {
    let found = file(&format!("assets/{name}"), &headers, FOR_EVER);
    found.ok_or_else(|| Refused::NotFound("such file of the dashboard".into()))
}

/// A file, in the smallest encoding that the caller takes.
fn file(path: &str, headers: &HeaderMap, kept: &'static str) -> Option<Response> {
    let plain = BUILT.get_file(path)?;
    let ending = path.rsplit('.').next().unwrap_or_default();
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let packed = ENCODINGS.iter().filter(|(encoding, _)| accepts(accepted, encoding));
    let packed = packed.filter_map(|(encoding, end)| Some((*encoding, BUILT.get_file(format!("{path}{end}"))?)));
    Some(match packed.into_iter().next() {
        Some((encoding, file)) => answer(file.contents(), ending, kept, Some(encoding)),
        None => answer(plain.contents(), ending, kept, None),
    })
}

/// Whether an encoding is among those of an `Accept-Encoding`, and not with the weight 0.
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|offer| {
        let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(encoding) && weight != Some(0.0)
    })
}

fn answer(bytes: &'static [u8], ending: &str, kept: &'static str, encoding: Option<&'static str>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type(ending)),
        (header::CACHE_CONTROL, kept),
        (header::VARY, "accept-encoding"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let mut response = (StatusCode::OK, headers, bytes).into_response();
    if let Some(encoding) = encoding {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn content_type(ending: &str) -> &'static str {
    match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_sent_to_those_who_take_it() {
        assert!(accepts("gzip, deflate, br;q=0.9", "br") && accepts("GZIP", "gzip"));
        assert!(!accepts("gzip", "br") && !accepts("br;q=0", "br") && !accepts("brx", "br") && !accepts("", "gzip"));
    }

    #[tokio::test]
    async fn the_page_is_there_with_its_policy_whether_it_was_built_or_not() {
        let response = page(HeaderMap::new()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'; script-src 'self'; style-src 'self'; img-src"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[tokio::test]
    async fn every_file_is_kept_for_ever_and_packed_where_the_caller_takes_that() {
        assert!(asset(Path("none.js".into()), HeaderMap::new()).await.is_err());
        assert!(asset(Path("../index.html".into()), HeaderMap::new()).await.is_err());
        let browser = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"))]);
        let files = BUILT.get_dir("assets").into_iter().flat_map(Dir::files);
        let names = files.filter_map(|file| file.path().file_name()?.to_str()).filter(|name| name.ends_with(".js"));
        for name in names.map(str::to_owned) {
            let response = asset(Path(name), browser.clone()).await.unwrap();
            assert_eq!(response.headers()[header::CACHE_CONTROL], FOR_EVER);
            assert_eq!(response.headers()[header::CONTENT_ENCODING], "br");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        }
    }
}
