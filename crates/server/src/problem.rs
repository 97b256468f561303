//! The one place where an error becomes a status and an `application/problem+json` body, RFC 9457
//! <https://www.rfc-editor.org/rfc/rfc9457>. Internals go to the log, never to the body.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dure_core::{federation::Reject, name::ClientName};
use dure_wire::{DecodeError, api::Problem};

use crate::{driver::CommandError, recipes::RefusedSetting, store::StoreError};

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No bearer, or one that nobody has.
    #[error("the request has no valid bearer; send `Authorization: Bearer …`")]
    Unauthenticated,
    /// The bearer is somebody's, who may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The client has left; it may join again.
    #[error("{0} has left this federation; join again with PUT …/clients/{0}")]
    NotAMember(ClientName),
    /// The client was sent away.
    #[error("{0} was evicted from this federation: {1}")]
    Evicted(ClientName, String),
    /// Nothing there, or nothing that the caller may know of.
    #[error("there is no {0}")]
    NotFound(String),
    /// The path takes other methods.
    #[error("this path takes other methods; see /openapi.json")]
    Method,
    /// The name is somebody else's.
    #[error(
        "the name {0} belongs to another secret; use another name, or let the operator run `dure client release {0}`"
    )]
    NameTaken(ClientName),
    /// The secret is somebody's already.
    #[error("the secret is somebody else's already; draw one for each client, at random")]
    SecretTaken,
    /// The plan's model is more than this server takes.
    #[error("the plan: {0}")]
    PlanTooLarge(String),
    /// A recipe comes to no plan with what was set.
    #[error(transparent)]
    Setting(#[from] RefusedSetting),
    /// The body, the query or a header is not what it has to be.
    #[error("{0}")]
    Malformed(String),
    /// The body is longer than is allowed.
    #[error("the body has more than the {limit} bytes that are allowed here")]
    TooLarge {
        /// The most that is read.
        limit: usize,
    },
    /// The client changes its membership too often.
    #[error("{0} has joined, left or changed its readiness too often in a minute; wait for one")]
    TooOften(ClientName),
    /// The body came too slowly.
    #[error("the body came too slowly or broke off; send it again")]
    TooSlow,
    /// The key was used for another body.
    #[error("the Idempotency-Key was used for another job; use a new one for this")]
    KeyReused,
    /// A file that is not what it has to be.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The rules do not allow it.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// The range is not one of the file's.
    #[error("the range is outside of the file's {0} bytes")]
    Range(u64),
    /// The server cannot store now.
    #[error("the server cannot do this now: {0}; try again later")]
    Unavailable(String),
    /// A fault of ours.
    #[error("the server failed; its log says why")]
    Internal,
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Reject(reject) => reject.into(),
            CommandError::Store(why) => Self::Unavailable(why),
            CommandError::Stopped => Self::Unavailable("it is being stopped".into()),
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        if let StoreError::SecretTaken { .. } = error {
            return Self::SecretTaken;
        }
        tracing::error!("a store failed: {error}");
        Self::Unavailable("its store failed".into())
    }
}

/// Status, type and title of each problem.
fn row(refused: &Refused) -> (u16, &'static str, &'static str) {
    match refused {
        Refused::Unauthenticated => (401, "unauthenticated", "Not authenticated"),
        Refused::Forbidden(_) => (403, "forbidden", "Not allowed"),
        Refused::NotAMember(_) => (403, "not-a-member", "Not a member"),
        Refused::Evicted(..) => (403, "evicted", "Evicted"),
        Refused::NotFound(_) => (404, "not-found", "Not found"),
        Refused::Method => (405, "method-not-allowed", "Method not allowed"),
        Refused::NameTaken(_) => (409, "name-taken", "The name is taken"),
        Refused::SecretTaken => (409, "secret-taken", "The secret is taken"),
        Refused::PlanTooLarge(_) => (422, "plan-too-large", "The plan is too large"),
        Refused::Setting(_) => (422, "bad-setting", "The recipe cannot be set so"),
        Refused::Malformed(_) => (400, "malformed", "Malformed request"),
        Refused::TooLarge { .. } => (413, "too-large", "Body too large"),
        Refused::TooOften(_) => (429, "too-often", "Too many changes"),
        Refused::TooSlow => (408, "too-slow", "Body too slow"),
        Refused::KeyReused => (422, "key-reused", "Idempotency-Key reused"),
        Refused::Decode(DecodeError::TooLarge { .. } | DecodeError::ZstdTooLarge { .. }) => {
            (413, "too-large", "Body too large")
        }
        Refused::Decode(DecodeError::WrongDigest { .. }) => (422, "wrong-digest", "Another digest than announced"),
        Refused::Decode(DecodeError::NotFinite { .. }) => (422, "not-finite", "A value is not finite"),
        Refused::Decode(DecodeError::WrongLayout(_)) => (422, "wrong-layout", "Other tensors than the plan's"),
        Refused::Decode(_) => (422, "bad-file", "Not a file that is expected here"),
        Refused::Range(_) => (416, "range", "Range not satisfiable"),
        Refused::Unavailable(_) => (503, "unavailable", "Not available now"),
        Refused::Internal => (500, "internal", "The server failed"),
        Refused::Reject(reject) => row_of_reject(reject),
    }
}

fn row_of_reject(reject: &Reject) -> (u16, &'static str, &'static str) {
    match reject {
        Reject::NotCreated => (409, "not-created", "The federation was not created yet"),
        Reject::Exists(_) => (409, "exists", "The federation exists"),
        Reject::UnknownClient(_) => (404, "not-found", "Not found"),
        Reject::Evicted(_) => (403, "evicted", "Evicted"),
        Reject::UnknownJob(_) | Reject::UnknownRound(_) | Reject::UnknownVersion(_) => (404, "not-found", "Not found"),
        Reject::WrongStatus { .. } => (409, "wrong-status", "The job's status does not allow it"),
        Reject::Busy(_) => (409, "busy", "Another job is active"),
        Reject::NotInCohort { .. } => (409, "not-in-cohort", "Not asked in this round"),
        Reject::NotAwaited { .. } => (409, "not-awaited", "No longer awaited in this round"),
        Reject::Duplicate { .. } => (409, "duplicate-answer", "Another answer was accepted"),
        Reject::Closed(_) => (409, "round-closed", "The round has ended"),
        Reject::Stale { .. } => (409, "round-stale", "A later round is open"),
        Reject::Unfit { .. } => (422, "unfit-answer", "The answer does not fit the plan"),
        Reject::OtherSchema => (422, "other-schema", "Another schema than the federation's"),
        Reject::TooFew { .. } => (409, "too-few-answers", "Too few answers"),
        Reject::NothingToAggregate(_) => (409, "nothing-to-aggregate", "No training round is open"),
        Reject::BadAlias(_) => (422, "bad-alias", "Not a name for a version"),
        Reject::NothingOwed(_) => (500, "internal", "The server failed"),
        Reject::TooLong(_) => (422, "too-long", "A text is too long"),
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, kind, title) = row(&self);
        if status >= 500 {
            tracing::error!(problem = kind, "a request failed: {self}");
        }
        let detail = self.to_string();
        let setting = if let Self::Setting(refused) = self { refused.setting } else { None };
        let body = Problem { kind: format!("/problems/{kind}"), title: title.into(), status, detail, setting };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"dure\""));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}
