//! The network between clients and the server: it delays, loses, repeats and cuts.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dure_agent::Carrier;
use dure_core::random::{RngExt as _, Stream};
use http::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    life::Breath,
    records::Records,
    server::{Broken, ServerMachine},
};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mishap {
    /// It does not arrive, and the connection is reset.
    Lost,
    /// It does not arrive, and nobody says so.
    Swallowed,
    /// It is answered, and the connection is reset before the answer arrives.
    Unanswered,
    /// It is answered, and the answer never arrives.
    AnswerSwallowed,
    /// It takes long.
    Late(u16),
    /// It arrives, and again after a while; the first answer counts.
    Twice(u16),
    /// It arrives twice; the second answer counts.
    AnsweredTwice(u16),
    /// A proxy answers in the server's place.
    Refused(u16),
    /// A proxy says that it failed, after the server has answered.
    RefusedAfter(u16),
    /// The answer is cut off.
    Cut,
    /// The request is cut off.
    CutRequest,
}

/// The line of one site. It outlives the agent's process.
pub struct Line {
    state: Mutex<State>,
}

struct State {
    /// What happens to the next requests.
    mishaps: VecDeque<Mishap>,
    /// Until when nothing gets through, and whether anybody says so.
    cut: Option<(Instant, bool)>,
    numbers: Stream,
}

/// A site's line to the server, as one run of its agent has it.
pub struct Connection {
    /// The line.
    pub line: Arc<Line>,
    /// The agent's run.
    pub breath: Breath,
    /// The server.
    pub server: Arc<ServerMachine>,
    /// Who writes down what passes.
    pub records: Arc<Records>,
}

impl Line {
    /// One on which all is well.
    pub fn new(numbers: Stream) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { mishaps: VecDeque::new(), cut: None, numbers }) })
    }

    /// Something happens to the next request.
    pub fn befall(&self, mishap: Mishap) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).mishaps.push_back(mishap);
    }

    /// Nothing gets through for a while.
    pub fn cut(&self, length: Duration, silently: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cut = Some((Instant::now() + length, silently));
    }

    /// All is well again.
    pub fn mend(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.mishaps, state.cut) = (VecDeque::new(), None);
    }

    /// How long a message is under way.
    fn latency(&self) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(state.numbers.random_range(1..=20))
    }

    fn mishap(&self) -> Option<Mishap> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).mishaps.pop_front()
    }

    /// Waits for as long as nothing gets through, or says that it does not.
    async fn open(&self) -> Result<(), Broken> {
        loop {
            let cut = self.state.lock().unwrap_or_else(PoisonError::into_inner).cut;
            match cut.filter(|(until, _)| *until > Instant::now()) {
                None => return Ok(()),
                Some((_, false)) => return Err("no route to host".into()),
                // TCP tries on until the line is there again.
                Some((until, true)) => tokio::time::sleep_until(until).await,
            }
        }
    }
}

impl Connection {
    async fn there(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        self.line.open().await?;
        sleep(self.line.latency()).await;
        let asked = Records::asked(&request);
        self.records.sent(&request);
        let answer = self.server.answer(request).await;
        if let Ok(answer) = &answer {
            self.records.answered(&asked, answer, &self.server.tables);
        }
        sleep(self.line.latency()).await;
        self.line.open().await?;
        answer
    }

    /// The request arrives once more, whenever that is.
    fn again(&self, request: &Request<Bytes>, later: u16) {
        let (server, records, request) = (self.server.clone(), self.records.clone(), request.clone());
        tokio::spawn(async move {
            sleep(Duration::from_millis(later.into())).await;
            let asked = Records::asked(&request);
            records.sent(&request);
            if let Ok(answer) = server.answer(request).await {
                records.answered(&asked, &answer, &server.tables);
            }
        });
    }

    async fn with(&self, mishap: Mishap, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let reset = || Err("connection reset".into());
        match mishap {
            Mishap::Lost => reset(),
            Mishap::Swallowed => std::future::pending().await,
            Mishap::Unanswered => {
                // The server does not know that nobody listens.
                self.again(&request, 0);
                sleep(self.line.latency()).await;
                reset()
            }
            Mishap::AnswerSwallowed => {
                self.again(&request, 0);
                std::future::pending().await
            }
            Mishap::Late(by) => {
                sleep(Duration::from_millis(by.into())).await;
                self.there(request).await
            }
            Mishap::Twice(later) => {
                self.again(&request, later);
                self.there(request).await
            }
            Mishap::AnsweredTwice(later) => {
                drop(self.there(request.clone()).await);
                sleep(Duration::from_millis(later.into())).await;
                self.there(request).await
            }
            Mishap::Refused(status) => Ok(refused(status)),
            Mishap::RefusedAfter(status) => self.there(request).await.map(|_| refused(status)),
            Mishap::Cut => {
                let answer = self.there(request).await?;
                if answer.body().is_empty() { Ok(answer) } else { reset() }
            }
            Mishap::CutRequest => {
                let half = request.map(|body| body.slice(..body.len() / 2));
                drop(self.server.answer(half).await);
                reset()
            }
        }
    }
}

fn refused(status: u16) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"<h1>Bad Gateway</h1>"));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    response
}

#[async_trait]
impl Carrier for Connection {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        if !self.breath.alive() {
            return std::future::pending().await;
        }
        self.records.count();
        let answer = match self.line.mishap() {
            Some(mishap) => self.with(mishap, request).await,
            None => self.there(request).await,
        };
        // Whoever has died hears nothing.
        if self.breath.alive() { answer } else { std::future::pending().await }
    }
}
