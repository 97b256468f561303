//! Joining, for the first time or again. It is harmless to repeat: the client's secret was made before and stays.

use std::time::Duration;

use dure_wire::api::{ClientState, ClientView, JoinSpec, Problem};
use tokio::time::{Instant, sleep};

use crate::{
    calls,
    client::{Client, Over},
    http::Call,
    reply::{CallError, is},
    status::State,
};

/// How long to wait when the invitation is refused: somebody has to make a new one.
const REFUSED: Duration = Duration::from_secs(30);

impl Client {
    /// Becomes a member. Returns when it is one, or when it can never be.
    pub(crate) async fn join(&mut self) -> Result<(), Over> {
        self.show(|status| status.state = State::Joining);
        // An invitation may have been used up; the secret of a client that was a member is enough.
        let mut own = self.known;
        loop {
            let bearer = if own { self.secret.reveal() } else { self.site.invitation.token() }.to_owned();
            // Whoever may join may know the federation; if not, it is asked again once this client is a member.
            let _ = self.site.learn(&bearer).await;
            self.facts = (Instant::now(), self.site.facts_of(&self.shared));
            let ready = self.site.unready.borrow().is_none();
            match self.site.send(&self.call_to_join(ready), &bearer).await {
                Ok(view) => return self.joined(&view, ready).await,
                Err(CallError::Away { why, retry_after }) => self.pause(&why, retry_after).await,
                Err(CallError::Refused(problem)) if problem.status == 401 && own => own = false,
                Err(CallError::Refused(problem)) => {
                    self.turned_away(problem).await?;
                    own = self.known;
                }
            }
        }
    }

    fn call_to_join(&self, ready: bool) -> Call<ClientView> {
        let facts = self.facts.1.clone();
        calls::join(&self.name, &JoinSpec { secret: self.secret.reveal().into(), ready, facts })
    }

    /// It is a member. A member that had said otherwise before says once more whether it takes tasks, and why not.
    async fn joined(&mut self, view: &ClientView, ready: bool) -> Result<(), Over> {
        self.known = true;
        self.reached();
        let understood = ready && view.state != ClientState::Joined;
        self.told = understood.then_some(None);
        self.show(|status| {
            status.last_error = None;
            status.wait(ready);
        });
        let federation = self.site.invitation.federation();
        tracing::info!(client = %self.name, federation, epoch = view.epoch, "{} has joined {federation}", self.name);
        let secret = self.secret.reveal().to_owned();
        while let Err(CallError::Away { why, retry_after }) = self.site.learn(&secret).await {
            self.pause(&why, retry_after).await;
        }
        self.reached();
        Ok(())
    }

    /// The server refuses: for good, or until somebody makes a new invitation.
    async fn turned_away(&mut self, problem: Problem) -> Result<(), Over> {
        if is(&problem, "evicted") {
            return Err(Over::Evicted(problem.detail));
        }
        if is(&problem, "name-taken") {
            return Err(Over::NameTaken(problem.detail));
        }
        let why = format!("the server refuses the invitation: {}", problem.detail);
        self.reached();
        self.joins.next();
        if self.joins.tries().is_power_of_two() {
            tracing::warn!(client = %self.name, "{} cannot join: {why}; asking again from time to time", self.name);
        }
        self.show(|status| status.last_error = Some(why));
        sleep(REFUSED).await;
        Ok(())
    }
}
