//! How a client asks: again and again while the server is away, and after joining again if it is no member any more.

use std::{convert::Infallible, sync::Arc, time::Duration};

use dure_core::name::ClientName;
use dure_wire::api::{ClientPatch, Problem};
use tokio::time::{sleep, timeout};

use crate::{
    calls,
    client::{Client, Over},
    http::Call,
    reply::{CallError, is},
    site::Site,
    state::Secret,
    status::ClientStatus,
    witness::Tells,
};

impl Client {
    /// Asks until there is an answer: a good one, or what the server refuses for good.
    pub(crate) async fn call<T: Tells>(&mut self, call: &Call<T>) -> Result<Result<T, Problem>, Over> {
        loop {
            if let Some(answer) = self.attempt(call).await? {
                return Ok(answer);
            }
        }
    }

    /// Asks once. `None` if it is to be asked again: the server was away, or this client had to join again.
    pub(crate) async fn attempt<T: Tells>(&mut self, call: &Call<T>) -> Result<Option<Result<T, Problem>>, Over> {
        match self.site.send(call, self.secret.reveal()).await {
            Ok(answer) => {
                self.joins.reset();
                self.reached();
                Ok(Some(Ok(answer)))
            }
            Err(CallError::Away { why, retry_after }) => {
                self.pause(&why, retry_after).await;
                Ok(None)
            }
            Err(CallError::Refused(problem)) => self.refused(problem).await,
        }
    }

    /// A refusal is final, or says that this client has to join again.
    async fn refused<T>(&mut self, problem: Problem) -> Result<Option<Result<T, Problem>>, Over> {
        match problem.status {
            403 if is(&problem, "evicted") => Err(Over::Evicted(problem.detail)),
            401 | 403 if problem.status == 401 || is(&problem, "not-a-member") => {
                tracing::warn!(client = %self.name, "{} is no member any more: {}; joining again", self.name, problem.detail);
                sleep(self.joins.next()).await;
                self.site.forget();
                self.join().await.map(|()| None)
            }
            _ => Ok(Some(Err(problem))),
        }
    }

    /// The server is away, or refuses what it should not: waits, longer each time.
    pub(crate) async fn pause(&mut self, why: &str, retry_after: Option<Duration>) {
        let wait = self.backoff.next().max(retry_after.unwrap_or_default());
        self.site.link.failed(self.backoff.tries(), why);
        self.show(|status| (status.away, status.last_error) = (true, Some(why.into())));
        sleep(wait).await;
    }

    /// The server has answered.
    pub(crate) fn reached(&mut self) {
        self.site.link.reached(self.backoff.tries() > 0);
        if self.backoff.tries() > 0 {
            self.backoff.reset();
            self.show(|status| (status.away, status.last_error) = (false, None));
        }
    }

    pub(crate) fn show(&self, change: impl FnOnce(&mut ClientStatus)) {
        self.site.statuses.change(&self.name, change);
    }
}

/// Renews the lease of a client that is busy, for ever.
pub(crate) async fn renew(site: Arc<Site>, name: ClientName, secret: Secret) -> Infallible {
    let mut wait = site.lease() / 3;
    loop {
        sleep(wait).await;
        let lease = site.lease();
        let renewal = calls::patch(&name, &ClientPatch::default());
        let sent = timeout(lease / 4, site.send(&renewal, secret.reveal())).await;
        // What the server refuses, the client's own call will see; if nobody answers, there is time for some more tries.
        wait = match sent {
            Ok(Ok(_) | Err(CallError::Refused(_))) => lease / 3,
            Ok(Err(CallError::Away { .. })) | Err(_) => lease / 20,
        };
    }
}
