//! The dashboard: files that whoever starts the server hands in. They show nothing by themselves; their scripts ask the API as
//! anybody would.

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use include_dir::Dir;

use crate::{app::App, problem::Refused};

/// What `npm run build` has made, each file beside its packed forms; nothing where the dashboard was not built.
pub type Page = &'static Dir<'static>;

/// No page.
pub static NONE: Dir<'static> = Dir::new("", &[]);

/// What stands in its place where it was not built. It has no style: the page's policy allows none within it.
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
    let pages = ["/", "/sign-in", "/compare", "/federations", "/federations/{*rest}"];
    let router = pages.into_iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    router.route("/assets/{file}", get(asset))
}

async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    index(app.page, &headers)
}

fn index(page: Page, headers: &HeaderMap) -> Response {
    let built = file(page, "index.html", headers, "no-cache");
    built.unwrap_or_else(|| answer(NOT_BUILT.as_bytes(), "html", "no-cache", None))
}

async fn asset(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Refused> {
    let found = file(app.page, &format!("assets/{name}"), &headers, FOR_EVER);
    found.ok_or_else(|| Refused::NotFound("such file of the dashboard".into()))
}

/// A file, in the smallest encoding that the caller takes.
fn file(page: Page, path: &str, headers: &HeaderMap, kept: &'static str) -> Option<Response> {
    let plain = page.get_file(path)?;
    let ending = path.rsplit('.').next().unwrap_or_default();
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let packed = ENCODINGS.iter().filter(|(encoding, _)| accepts(accepted, encoding));
    let packed = packed.filter_map(|(encoding, end)| Some((*encoding, page.get_file(format!("{path}{end}"))?)));
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
    use include_dir::{DirEntry, File};

    use super::*;

    #[test]
    fn an_encoding_is_sent_to_those_who_take_it() {
        assert!(accepts("gzip, deflate, br;q=0.9", "br") && accepts("GZIP", "gzip"));
        assert!(!accepts("gzip", "br") && !accepts("br;q=0", "br") && !accepts("brx", "br") && !accepts("", "gzip"));
    }

    #[test]
    fn a_page_that_was_not_built_says_so_under_the_same_policy() {
        let response = index(&NONE, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'; script-src 'self'; style-src 'self'; img-src"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn a_file_is_kept_for_ever_and_packed_where_the_caller_takes_that() {
        static FILES: [DirEntry<'static>; 2] = [
            DirEntry::File(File::new("assets/a.js", b"plain")),
            DirEntry::File(File::new("assets/a.js.br", b"packed")),
        ];
        static ASSETS: [DirEntry<'static>; 1] = [DirEntry::Dir(Dir::new("assets", &FILES))];
        static PAGE: Dir<'static> = Dir::new("", &ASSETS);
        let browser = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"))]);
        let response = file(&PAGE, "assets/a.js", &browser, FOR_EVER).unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], FOR_EVER);
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "br");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        let plain = file(&PAGE, "assets/a.js", &HeaderMap::new(), FOR_EVER).unwrap();
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        assert!(file(&PAGE, "assets/none.js", &browser, FOR_EVER).is_none());
        assert!(file(&PAGE, "assets/../index.html", &browser, FOR_EVER).is_none());
    }
}
