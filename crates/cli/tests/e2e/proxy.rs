//! A line that is slow, that breaks, or that goes silent without a word: the golden job comes to the same bits.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::sleep,
};

use crate::{
    between::{Between, address},
    clocks,
    golden::Golden,
    harness::{How, Process, block_on, until},
};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To the server.
    Up,
    /// From it.
    Down,
}

use Way::{Down, Up};

/// How a line is.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// How long each piece takes.
    delay: Duration,
    /// How many bytes go by in a second, on each connection and each way; 0 for any number.
    pace: u32,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// Both sides are reset.
    Reset,
    /// Nothing comes through any more, and nobody is told: the half-open connection.
    Silence,
    /// Nothing comes through this way any more, and nobody is told.
    Mute(Way),
}

/// When connections break.
#[derive(Clone, Copy, Debug)]
struct Accident {
    what: Break,
    /// In a message that goes this way, after so many bytes of it.
    way: Way,
    after: usize,
    /// How many connections.
    times: usize,
}

/// A proxy for TCP.
struct Proxy {
    between: Between,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    line: watch::Sender<Line>,
    accident: Option<Accident>,
    /// How many accidents there were.
    accidents: AtomicUsize,
    connections: AtomicUsize,
    /// How many connections, the oldest, are silent.
    silent: watch::Sender<usize>,
}

/// A connection's two ways.
#[derive(Default)]
struct Ways {
    /// How many bytes the message has that goes up, or down.
    message: [AtomicUsize; 2],
    mute: [AtomicBool; 2],
}

/// How a connection ends.
enum End {
    Closed,
    Reset,
    Silent,
}

impl Proxy {
    fn before(url: &str, line: Line, accident: Option<Accident>) -> Self {
        let shared = Arc::new(Shared {
            server: address(url),
            line: watch::Sender::new(line),
            accident,
            accidents: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            silent: watch::Sender::new(0),
        });
        let serving = Arc::clone(&shared);
        Self { between: Between::start(move |client| Arc::clone(&serving).serve(client)), shared }
    }

    /// From now on the line is so.
    fn set(&self, line: Line) {
        self.shared.line.send_replace(line);
    }

    /// Every connection that there is falls silent; later ones do not.
    fn silence(&self) {
        self.shared.silent.send_replace(self.shared.connections.load(SeqCst));
    }

    /// Every connection falls silent, and so does every later one.
    fn silence_for_ever(&self) {
        self.shared.silent.send_replace(usize::MAX);
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, mut client: TcpStream) {
        let number = self.connections.fetch_add(1, SeqCst);
        let Ok(mut server) = TcpStream::connect(self.server).await else { return };
        server.set_nodelay(true).unwrap();
        let (ways, mut silent) = (Ways::default(), self.silent.subscribe());
        let end = {
            let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
            tokio::select! {
                end = self.pump(Up, &ways, from_client, to_server) => end,
                end = self.pump(Down, &ways, from_server, to_client) => end,
                _ = silent.wait_for(|silent| number < *silent) => End::Silent,
            }
        };
        match end {
            End::Closed => {}
            End::Reset => {
                for side in [&client, &server] {
                    socket2::SockRef::from(side).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
            End::Silent => std::future::pending().await,
        }
    }

    async fn pump(
        &self,
        way: Way,
        ways: &Ways,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> End {
        let mut piece = vec![0; 1024];
        loop {
            let read = from.read(&mut piece).await.unwrap_or(0);
            if read == 0 {
                // Whoever is not heard cannot say that it goes, either.
                return if ways.is_mute() { End::Silent } else { End::Closed };
            }
            match self.accident(way, ways.pass(way, read)) {
                Some(Break::Reset) => return End::Reset,
                Some(Break::Silence) => return End::Silent,
                Some(Break::Mute(way)) => ways.mute[way as usize].store(true, SeqCst),
                None => {}
            }
            if ways.mute[way as usize].load(SeqCst) {
                continue;
            }
            let Line { delay, pace } = *self.line.borrow();
            let rate = if pace == 0 { Duration::ZERO } else { Duration::from_secs(1) * read as u32 / pace };
            sleep(delay + rate).await;
            if to.write_all(&piece[..read]).await.is_err() {
                return End::Closed;
            }
        }
    }

    /// What happens to a connection on which a message has come to so many bytes.
    fn accident(&self, way: Way, (before, now): (usize, usize)) -> Option<Break> {
        let accident = self.accident.filter(|accident| accident.way == way)?;
        if !(before..now).contains(&accident.after) {
            return None;
        }
        let more = |accidents| (accidents < accident.times).then_some(accidents + 1);
        self.accidents.fetch_update(SeqCst, SeqCst, more).is_ok().then_some(accident.what)
    }
}

impl Ways {
    /// So many bytes more of a message: how many there were, and are. What goes one way ends the message that went the other.
    fn pass(&self, way: Way, bytes: usize) -> (usize, usize) {
        self.message[1 - way as usize].store(0, SeqCst);
        let before = self.message[way as usize].fetch_add(bytes, SeqCst);
        (before, before + bytes)
    }

    fn is_mute(&self) -> bool {
        self.mute.iter().any(|mute| mute.load(SeqCst))
    }
}

/// In an update that goes up, or a model that comes down: nothing else is as long.
const MIDDLE: usize = 8000;

/// A golden job whose agent is behind a proxy.
fn behind(golden: &Golden, line: Line, accident: Option<Accident>, how: &How) -> (Proxy, Process) {
    let proxy = Proxy::before(&golden.server.url, line, accident);
    let agent = golden.join_by(&proxy.between.url, "agent", how);
    (proxy, agent)
}

#[test]
fn a_line_on_which_everything_is_late_changes_nothing() {
    block_on(async {
        let golden = Golden::start();
        let late = Line { delay: Duration::from_millis(15), ..Line::default() };
        let (_proxy, mut agent) = behind(&golden, late, None, &How::default());
        golden.begin().await;
        golden.over().await.assert_unharmed();
        assert!(agent.stop().await.success());
    });
}

#[test]
fn a_model_that_takes_longer_than_a_lease_costs_nobody_its_place() {
    block_on(async {
        let golden = Golden::start_as(How::default().args(&["--lease", "3s"]));
        let (proxy, _agent) = behind(&golden, Line::default(), None, &How::default());
        golden.server.until_clients(3).await;
        // Five seconds for a model, and as long for an update.
        proxy.set(Line { pace: 5000, ..Line::default() });
        golden.begin().await;
        until("an update is on its way", async || {
            let clients = golden.server.operator.get("/v1/federations/fitbit/clients?state=updating").await.ok();
            let task =
                |client: &serde_json::Value| client["task"].as_str().is_some_and(|task| task.contains("-train-"));
            clients.as_array().unwrap().iter().any(task).then_some(())
        })
        .await;
        proxy.set(Line::default());
        golden.over().await.assert_unharmed();
    });
}

#[test]
fn connections_that_are_reset_are_made_again() {
    for (way, after, times) in [(Up, MIDDLE, 4), (Down, MIDDLE, 2), (Up, 0, 3), (Down, 0, 3)] {
        eprintln!("{way:?} after {after}");
        block_on(async {
            let golden = Golden::start();
            let accident = Accident { what: Break::Reset, way, after, times };
            let (proxy, _agent) = behind(&golden, Line::default(), Some(accident), &How::default());
            golden.begin().await;
            golden.over().await.assert_unharmed();
            assert_eq!(proxy.shared.accidents.load(SeqCst), times);
        });
    }
}

#[test]
fn a_poll_on_a_line_that_is_dead_is_given_up_before_the_lease_ends() {
    block_on(async {
        let golden = Golden::start_as(How::default().args(&["--lease", "6s"]));
        let (proxy, _agent) = behind(&golden, Line::default(), None, &How::default());
        golden.server.until_clients(3).await;
        proxy.silence();
        golden.begin().await;
        golden.over().await.assert_unharmed();
    });
}

/// An agent for which a minute is over in a second and a half.
fn in_a_hurry(golden: &Golden) -> How {
    How::default().env("LD_PRELOAD", &clocks::times(golden.server.dir.path(), 40))
}

#[test]
fn what_falls_silent_in_the_middle_is_given_up_and_sent_again() {
    for (what, way, times) in
        [(Break::Silence, Up, 2), (Break::Silence, Down, 1), (Break::Mute(Down), Up, 2), (Break::Mute(Up), Down, 1)]
    {
        eprintln!("{what:?} {way:?}");
        block_on(async {
            let golden = Golden::start();
            let accident = Accident { what, way, after: MIDDLE, times };
            let (proxy, _agent) = behind(&golden, Line::default(), Some(accident), &in_a_hurry(&golden));
            golden.begin().await;
            golden.over().await.assert_unharmed();
            assert_eq!(proxy.shared.accidents.load(SeqCst), times);
        });
    }
}

#[test]
fn an_agent_ends_though_nobody_hears_its_goodbye() {
    block_on(async {
        let golden = Golden::start();
        let (proxy, mut agent) = behind(&golden, Line::default(), None, &in_a_hurry(&golden));
        golden.server.until_clients(3).await;
        proxy.silence_for_ever();
        assert!(agent.stop().await.success(), "{}", agent.log());
        assert!(agent.log().contains("did not hear all goodbyes in time"), "{}", agent.log());
    });
}
