//! Reads bodies: never more than a bound, never slower than a pace.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::{config::MAX_SHORT_JSON_BYTES, problem::Refused};

/// How long a body may pause.
const PAUSE: Duration = Duration::from_secs(30);

/// How long any body may take, however short.
const GRACE: Duration = Duration::from_secs(60);

/// The pace that a longer one has to keep after that, in bytes a second.
const PACE: u64 = 1024;

/// How much of a body that is too large is read all the same, and for how long: a client that is still sending does not see
/// the answer otherwise.
const DRAIN_BYTES: usize = 16 << 20;
const DRAIN: Duration = Duration::from_secs(2);

/// Reads a body of at most `limit` bytes. `progress` is called for each piece.
pub async fn read(body: Body, limit: usize, mut progress: impl FnMut()) -> Result<Vec<u8>, Refused> {
    if body.size_hint().lower() > limit as u64 {
        drain(body.into_data_stream()).await;
        return Err(Refused::TooLarge { limit });
    }
    let (began, mut read) = (Instant::now(), Vec::with_capacity(body.size_hint().lower() as usize));
    let mut pieces = body.into_data_stream();
    loop {
        let allowed = GRACE + Duration::from_secs(read.len() as u64 / PACE);
        let left = allowed.saturating_sub(began.elapsed()).min(PAUSE);
        match tokio::time::timeout(left, pieces.next()).await {
            Ok(None) => return Ok(read),
            Ok(Some(Ok(piece))) if read.len() + piece.len() <= limit => read.extend_from_slice(&piece),
            Ok(Some(Ok(_))) => {
                drain(pieces).await;
                return Err(Refused::TooLarge { limit });
            }
            Ok(Some(Err(_))) | Err(_) => return Err(Refused::TooSlow),
        }
        progress();
    }
}

/// Reads on for a little and forgets it.
async fn drain(mut pieces: BodyDataStream) {
    let mut read = 0;
    let rest = async {
        while let Some(Ok(piece)) = pieces.next().await {
            read += piece.len();
            if read > DRAIN_BYTES {
                return;
            }
        }
    };
    // Whether it came to the end makes no difference.
    let _ = tokio::time::timeout(DRAIN, rest).await;
}

/// Reads short JSON. What is wrong with it is named by its place.
pub async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    parse(&read(body, MAX_SHORT_JSON_BYTES, || ()).await?)
}

/// As [`json`]; no body at all is the default.
pub async fn json_or_default<T: DeserializeOwned + Default>(body: Body) -> Result<T, Refused> {
    match &read(body, MAX_SHORT_JSON_BYTES, || ()).await?[..] {
        [] => Ok(T::default()),
        bytes => parse(bytes),
    }
}

/// Reads JSON from bytes.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    dure_wire::json::read(bytes).map_err(|error| Refused::Malformed(error.to_string()))
}
