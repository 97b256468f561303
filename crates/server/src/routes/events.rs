//! The journal, as it grows and as a whole.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use bytes::Bytes;
use dure_core::journal::{Entry, Head};
use dure_wire::api::Problem;
use futures_util::{Stream, stream};
use serde::Deserialize;
use tokio::sync::watch;
use utoipa::IntoParams;

use super::query;
use crate::{
    app::App,
    auth::Caller,
    driver::Shared,
    problem::Refused,
    store::{Store, StoreError, Stored},
};

/// How many entries are read at a time.
const PAGE: u32 = 500;

/// The journal as server-sent events, from the beginning or after `Last-Event-ID`: id is the sequence number, the event's
/// name its type, the data a line of the journal.
#[utoipa::path(get, operation_id = "stream_events", path = "/v1/federations/{federation}/events", tag = "journal",
    params(("federation" = String, Path), ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn stream(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let after = match headers.get("last-event-id") {
        None => 0,
        Some(id) => id
            .to_str()
            .ok()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| Refused::Malformed("a Last-Event-ID is the sequence number of an event".into()))?,
    };
    let tail = Tail {
        store: app.store.clone(),
        shared: driver.shared.clone(),
        heads: driver.shared.head.subscribe(),
        stopping: app.stopping.clone(),
        after,
        read: VecDeque::new(),
    };
    Ok(Sse::new(tail.events()).keep_alive(KeepAlive::default()).into_response())
}

/// A reader that has seen the journal up to an entry and waits for more.
struct Tail {
    store: Store,
    shared: Arc<Shared>,
    heads: watch::Receiver<Head>,
    stopping: watch::Receiver<bool>,
    after: u64,
    read: VecDeque<Stored>,
}

impl Tail {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut tail| async {
            let stored = tail.next().await?;
            Some((Ok(event(&stored.entry)), tail))
        })
    }

    /// The next entry; `None` when the server stops or the journal cannot be read: the reader comes again and resumes.
    async fn next(&mut self) -> Option<Stored> {
        loop {
            if let Some(stored) = self.read.pop_front() {
                self.after = stored.entry.sequence;
                return Some(stored);
            }
            self.heads.mark_unchanged();
            self.read = self.store.after(&self.shared.name, self.after, PAGE).await.ok()?.into();
            if self.read.is_empty() {
                tokio::select! {
                    biased;
                    changed = self.heads.changed() => changed.ok()?,
                    _ = self.stopping.wait_for(|stop| *stop) => return None,
                }
            }
        }
    }
}

fn event(entry: &Entry) -> Event {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    let kind = serde_json::from_str(entry.event.get()).map_or_else(|_| "unknown".into(), |typed: Typed| typed.kind);
    Event::default().id(entry.sequence.to_string()).event(kind).data(entry.line())
}

/// Which events of a journal.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// Those after this sequence number.
    after: u64,
    /// Up to this one; to the end, if absent.
    to: Option<u64>,
}

/// The journal, a line for each event.
#[utoipa::path(get, operation_id = "export_journal", path = "/v1/federations/{federation}/journal", tag = "journal", params(("federation" = String, Path), Part),
    responses((status = 200, body = String, content_type = "application/x-ndjson"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn journal(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Response, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let Part { after, to } = query(part)?;
    let last = driver.shared.head().sequence.min(to.unwrap_or(u64::MAX));
    let pages = stream::try_unfold(after, move |after| page(app.store.clone(), federation.clone(), after, last));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response())
}

/// The lines after an entry up to `last`, and where they end.
async fn page(store: Store, federation: String, after: u64, last: u64) -> Result<Option<(Bytes, u64)>, StoreError> {
    let read = store.after(&federation, after, PAGE).await?;
    let wanted: Vec<_> = read.into_iter().map(|stored| stored.entry).filter(|entry| entry.sequence <= last).collect();
    let Some(end) = wanted.last().map(|entry| entry.sequence) else { return Ok(None) };
    let lines: String = wanted.iter().map(|entry| entry.line() + "\n").collect();
    Ok(Some((Bytes::from(lines), end)))
}
