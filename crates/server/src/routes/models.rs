//! Model versions and their files.

use std::ops::Range;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dure_core::{digest::Digest, federation::Federation};
use dure_wire::api::{Problem, VersionView};

use super::{File, short};
use crate::{app::App, auth::Caller, driver::Driver, problem::Refused, view};

/// The level at which model files are compressed.
const LEVEL: i32 = 3;

/// The model versions of a federation.
#[utoipa::path(get, operation_id = "list_models", path = "/v1/federations/{federation}/models", tag = "models", params(("federation" = String, Path)),
    responses((status = 200, body = Vec<VersionView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
) -> Result<Json<Vec<VersionView>>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let federation = driver.shared.read();
    let versions = 1..=federation.versions.len() as u32;
    Ok(Json(versions.filter_map(|version| view::version(&federation, version)).collect()))
}

/// A model version, by its number or by a name that stands for one.
#[utoipa::path(get, operation_id = "show_model", path = "/v1/federations/{federation}/models/{version}", tag = "models",
    params(("federation" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = VersionView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((federation, version)): Path<(String, String)>,
) -> Result<Json<VersionView>, Refused> {
    let driver = members_only(&app, &caller, &federation).await?;
    Ok(Json(find(&driver.shared.read(), &version)?))
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
    let tag = format!("\"{sha256}\"");
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        return Ok(tagged(StatusCode::NOT_MODIFIED, &tag, Bytes::new(), &[]));
    }
    let current = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let (status, bytes, more) = if let Some(range) = text(header::RANGE).filter(|_| current) {
        part(&app, sha256, range).await?
    } else if text(header::ACCEPT_ENCODING).is_some_and(accepts_zstd) {
        (StatusCode::OK, compressed(&app, sha256).await?, vec![(header::CONTENT_ENCODING, "zstd".to_owned())])
    } else {
        (StatusCode::OK, app.store.blobs().model(sha256).await?, vec![])
    };
    app.metrics.sent(&federation, bytes.len());
    Ok(tagged(status, &tag, bytes, &more))
}

fn tagged(status: StatusCode, tag: &str, bytes: Bytes, more: &[(header::HeaderName, String)]) -> Response {
    let mut response = (status, Body::from(bytes)).into_response();
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

type Answer = (StatusCode, Bytes, Vec<(header::HeaderName, String)>);

/// A part of a file. A range that is not understood is answered with all of it, as HTTP wants it.
async fn part(app: &App, sha256: Digest, range: &str) -> Result<Answer, Refused> {
    let blobs = app.store.blobs();
    let length = blobs.model_len(sha256).await?;
    let Some(asked) = parse_range(range, length) else {
        return Ok((StatusCode::OK, blobs.model(sha256).await?, vec![]));
    };
    let asked = asked.ok_or(Refused::Range(length))?;
    let shown = format!("bytes {}-{}/{length}", asked.start, asked.end - 1);
    let bytes = blobs.model_range(sha256, asked).await?;
    Ok((StatusCode::PARTIAL_CONTENT, bytes, vec![(header::CONTENT_RANGE, shown)]))
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

/// A model file in a zstd frame. The one that was asked for last is kept: a whole cohort asks for the same.
async fn compressed(app: &App, sha256: Digest) -> Result<Bytes, Refused> {
    let mut kept = app.compressed.lock().await;
    if let Some((of, bytes)) = kept.as_ref().filter(|(of, _)| *of == sha256) {
        tracing::trace!("version {of} is compressed already");
        return Ok(bytes.clone());
    }
    let file = app.store.blobs().model(sha256).await?;
    let packed = tokio::task::spawn_blocking(move || dure_wire::compress(&file, LEVEL)).await;
    let packed = Bytes::from(packed.map_err(|_| Refused::Internal)?);
    *kept = Some((sha256, packed.clone()));
    Ok(packed)
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
    fn zstd_is_sent_to_those_who_take_it() {
        assert!(accepts_zstd("gzip, zstd;q=0.9") && accepts_zstd("zstd"));
        assert!(!accepts_zstd("gzip") && !accepts_zstd("zstd;q=0") && !accepts_zstd("zstdx"));
    }
}
