//! Model versions and their files.

use std::ops::{Range, RangeInclusive};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dure_core::{digest::Digest, federation::Federation, name::ClientName};
use dure_wire::api::{Problem, VersionView};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{At, File, look, query, short};
use crate::{
    app::App,
    auth::Caller,
    driver::Driver,
    problem::Refused,
    store::StoreError,
    view::{self, Moment},
};

/// How many bytes are read from a file at a time.
const PIECE: u64 = 1 << 20;

/// Which versions, in the order of their numbers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Those before this number.
    before: Option<u32>,
    /// Of those, the newest so many; all if absent.
    limit: Option<u32>,
    /// As they were after this event of the journal; as they are, if absent.
    at: Option<u64>,
}

/// The model versions of a federation.
#[utoipa::path(get, operation_id = "list_models", path = "/v1/federations/{federation}/models", tag = "models", params(("federation" = String, Path), Page),
    responses((status = 200, body = Vec<VersionView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Vec<VersionView>>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let page = query(page)?;
    let all = |moment: &Moment| {
        let versions = page.of(moment.federation.versions.len() as u32);
        versions.filter_map(|version| view::version(moment.federation, version)).collect()
    };
    look(&app, &driver, page.at, all).await.map(Json)
}

impl Page {
    /// The numbers of the page, where there are so many versions.
    fn of(&self, versions: u32) -> RangeInclusive<u32> {
        let last = self.before.map_or(versions, |before| versions.min(before.saturating_sub(1)));
        let first = self.limit.map_or(0, |limit| last.saturating_sub(limit)) + 1;
        first..=last
    }
}

/// A model version, by its number or by a name that stands for one.
#[utoipa::path(get, operation_id = "show_model", path = "/v1/federations/{federation}/models/{version}", tag = "models",
    params(("federation" = String, Path), ("version" = String, Path), At),
    responses((status = 200, body = VersionView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((federation, version)): Path<(String, String)>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<VersionView>, Refused> {
    let driver = members_only(&app, &caller, &federation).await?;
    look(&app, &driver, query(at)?.at, |moment| find(moment.federation, &version)).await?.map(Json)
}

async fn members_only(app: &App, caller: &Caller, federation: &str) -> Result<Driver, Refused> {
    let driver = app.federation(caller, federation).await?;
    match caller {
        Caller::Invited { .. } => Err(Refused::Forbidden("join first; an invitation shows no models")),
        _ => Ok(driver),
    }
}

fn find(federation: &Federation, named: &str) -> Result<VersionView, Refused> {
    let id = named.parse().ok().or_else(|| federation.alias(named));
    let view = id.and_then(|id| view::version(federation, id));
    view.ok_or_else(|| Refused::NotFound(format!("model version {:?}", short(named))))
}

/// The file of a model version: safetensors, with all that predicting takes in its metadata.
#[utoipa::path(get, operation_id = "fetch_weights", path = "/v1/federations/{federation}/models/{version}/weights", tag = "models",
    params(("federation" = String, Path), ("version" = String, Path), ("Range" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header), ("Accept-Encoding" = Option<String>, Header)),
    responses((status = 200, body = File, content_type = "application/octet-stream"),
        (status = 206, body = File, content_type = "application/octet-stream"), (status = 304), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn weights(
    State(app): State<App>,
    caller: Caller,
    Path((federation, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let driver = members_only(&app, &caller, &federation).await?;
    let sha256 = find(&driver.shared.read(), &version)?.sha256;
    let reader = Reader::of(app, driver, caller);
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // Two representations have two tags.
    let (plain, packed) = (format!("\"{sha256}\""), format!("\"{sha256}-zstd\""));
    let known = text(header::IF_NONE_MATCH).unwrap_or_default();
    if let Some(tag) = [&plain, &packed].into_iter().find(|tag| names(known, tag)) {
        return Ok(tagged(StatusCode::NOT_MODIFIED, tag, Body::empty(), &[]));
    }
    let length = reader.app.store.blobs().model_len(sha256).await;
    if reader.app.read_only && length.is_err() {
        return Err(Refused::NotFound("file of this version: a simulation keeps its last model alone".into()));
    }
    let length = length?;
    let current = text(header::IF_RANGE).is_none_or(|known| known == plain);
    let file = Source::File(sha256);
    if let Some(range) = text(header::RANGE).filter(|_| current).and_then(|range| parse_range(range, length)) {
        let range = range.ok_or(Refused::Range(length))?;
        let more = [
            (header::CONTENT_RANGE, format!("bytes {}-{}/{length}", range.start, range.end - 1)),
            (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
        ];
        return Ok(tagged(StatusCode::PARTIAL_CONTENT, &plain, pieces(reader, file, range), &more));
    }
    let takes_zstd = text(header::ACCEPT_ENCODING).is_some_and(accepts_zstd);
    let frame = if takes_zstd { reader.app.frames.of(&reader.app.store, sha256).await? } else { None };
    Ok(match frame {
        Some(frame) => {
            let length = frame.len() as u64;
            let more = [(header::CONTENT_ENCODING, "zstd".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
            tagged(StatusCode::OK, &packed, pieces(reader, Source::Frame(frame), 0..length), &more)
        }
        None => {
            let more = [(header::CONTENT_LENGTH, length.to_string())];
            tagged(StatusCode::OK, &plain, pieces(reader, file, 0..length), &more)
        }
    })
}

/// What training takes beside a model version: everybody's control variate, where the job's strategy has one. It is there while the
/// version is its job's newest.
#[utoipa::path(get, operation_id = "fetch_control", path = "/v1/federations/{federation}/models/{version}/control", tag = "models",
    params(("federation" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = File, content_type = "application/octet-stream"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn control(
    State(app): State<App>,
    caller: Caller,
    Path((federation, version)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let driver = members_only(&app, &caller, &federation).await?;
    let sha256 = {
        let state = driver.shared.read();
        let id = find(&state, &version)?.version;
        let known = state.version(id).and_then(|version| view::control(state.job(version.job)?, version));
        known.ok_or_else(|| Refused::NotFound(format!("a control variate of model version {id}")))?
    };
    let file = app.store.blobs().state(&federation, sha256).await?;
    let length = [(header::CONTENT_LENGTH, file.len().to_string())];
    Reader::of(app, driver, caller).sent(file.len());
    Ok(tagged(StatusCode::OK, &format!("\"{sha256}\""), Body::from(file), &length))
}

/// Whether an `If-None-Match` names a tag.
fn names(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

fn tagged(status: StatusCode, tag: &str, body: Body, more: &[(header::HeaderName, String)]) -> Response {
    let mut response = (status, body).into_response();
    let always = [
        (header::ETAG, tag.to_owned()),
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::VARY, "Accept-Encoding".to_owned()),
        // A version never changes; but only its federation may see it.
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned()),
    ];
    for (name, value) in always.iter().chain(more) {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name.clone(), value);
        }
    }
    response
}

/// Where the bytes of an answer are.
enum Source {
    /// In a model's file.
    File(Digest),
    /// In memory, shared by all who are sent it.
    Frame(Bytes),
}

impl Source {
    async fn piece(&self, app: &App, range: Range<u64>) -> Result<Bytes, StoreError> {
        match self {
            Self::File(sha256) => app.store.blobs().model_range(*sha256, range).await,
            Self::Frame(frame) => Ok(frame.slice(range.start as usize..range.end as usize)),
        }
    }
}

/// Who is sent a model.
struct Reader {
    app: App,
    driver: Driver,
    client: Option<ClientName>,
}

impl Reader {
    fn of(app: App, driver: Driver, caller: Caller) -> Self {
        let client = match caller {
            Caller::Client { client, .. } => Some(client),
            Caller::Operator | Caller::Invited { .. } => None,
        };
        Self { app, driver, client }
    }

    /// Counts bytes that were sent.
    fn sent(&self, bytes: usize) {
        self.app.metrics.sent(&self.driver.shared.name, bytes);
        if let Some(client) = &self.client {
            self.driver.shared.presences.sent(client, bytes);
        }
    }
}

/// Some bytes of a source, a piece at a time as they are sent: who reads slowly, or not at all, holds one piece.
fn pieces(reader: Reader, source: Source, range: Range<u64>) -> Body {
    let sending = (reader, source);
    Body::from_stream(stream::try_unfold((sending, range), |(sending, left)| async move {
        if left.is_empty() {
            return Ok::<_, StoreError>(None);
        }
        let (reader, source) = &sending;
        let end = left.end.min(left.start.saturating_add(PIECE));
        let piece = source.piece(&reader.app, left.start..end).await?;
        reader.sent(piece.len());
        Ok(Some((piece, (sending, end..left.end))))
    }))
}

/// The one range that a header asks for; `None` if it is not one, `Some(None)` if it lies outside.
fn parse_range(text: &str, length: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (first, last) {
        ("", last) => length.saturating_sub(last.parse().ok()?)..length,
        (first, "") => first.parse().ok()?..length,
        (first, last) => first.parse().ok()?..last.parse::<u64>().ok()?.saturating_add(1).min(length),
    };
    Some(Some(range).filter(|range| range.start < range.end))
}

fn accepts_zstd(header: &str) -> bool {
    let offers = |coding: &str| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("zstd") && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    };
    header.split(',').any(offers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (text, want) in [
            ("bytes=0-9", Some(Some(0..10))),
            ("bytes=90-", Some(Some(90..100))),
            ("bytes=-5", Some(Some(95..100))),
            ("bytes=50-1000", Some(Some(50..100))),
            ("bytes=100-", Some(None)),
            ("bytes=9-3", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=a-b", None),
            ("rows=0-9", None),
            ("bytes=0-18446744073709551615", Some(Some(0..100))),
        ] {
            assert_eq!(parse_range(text, 100), want, "{text}");
        }
    }

    #[test]
    fn a_page_has_the_newest_versions_before_a_number() {
        let page = |before, limit| Page { before, limit, at: None }.of(7).collect::<Vec<_>>();
        assert_eq!(page(None, None), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(page(None, Some(3)), [5, 6, 7]);
        assert_eq!(page(Some(5), Some(3)), [2, 3, 4]);
        assert_eq!(page(Some(2), Some(3)), [1]);
        assert_eq!((page(Some(1), None), page(Some(0), Some(3)), page(None, Some(0))), (vec![], vec![], vec![]));
        assert_eq!(page(Some(u32::MAX), Some(u32::MAX)).len(), 7);
    }

    #[test]
    fn a_tag_is_known_by_its_text() {
        for known in ["\"a\"", "\"b\", W/\"a\"", "*"] {
            assert!(names(known, "\"a\""), "{known}");
        }
        for other in ["", "a", "\"a-zstd\"", "\"b\""] {
            assert!(!names(other, "\"a\""), "{other}");
        }
    }

    #[test]
    fn zstd_is_sent_to_those_who_take_it() {
        assert!(accepts_zstd("gzip, zstd;q=0.9") && accepts_zstd("zstd"));
        assert!(!accepts_zstd("gzip") && !accepts_zstd("zstd;q=0") && !accepts_zstd("zstdx"));
    }
}
