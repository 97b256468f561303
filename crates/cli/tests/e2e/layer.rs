//! A layer between a server and whoever asks it, on loopback: it knows the route of each request, and does a chosen fault to
//! chosen requests.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::between::{Between, address};

/// What is done to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not reach the server.
    LoseRequest,
    /// It reaches the server, whose reply is lost.
    LoseReply,
    /// It comes later, and so does the reply.
    Delay,
    /// It reaches the server twice; the second reply is told.
    Twice,
    /// It reaches the server once more when the first reply has been told.
    Again,
    /// Half of it reaches the server.
    CutRequest,
    /// Half of the reply comes.
    CutReply,
    /// Somebody else replies with this status; it does not reach the server.
    Refuse(u16),
    /// It reaches the server, and somebody else replies with this status.
    RefuseAfter(u16),
    /// It comes a few bytes at a time.
    TrickleRequest,
    /// The reply comes a few bytes at a time.
    TrickleReply,
}

/// Which fault is done to a route's request of this number, from 0.
pub type Plan = Box<dyn Fn(&str, usize) -> Option<Fault> + Send + Sync>;

/// The layer.
pub struct Layer {
    pub url: String,
    shared: Arc<Shared>,
    _between: Between,
}

struct Shared {
    server: SocketAddr,
    plan: Plan,
    routes: Mutex<BTreeMap<String, Count>>,
}

/// What a route has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub requests: usize,
    pub faults: usize,
}

impl Layer {
    /// Before the server at `url`.
    pub fn before(url: &str, plan: impl Fn(&str, usize) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared { server: address(url), plan: Box::new(plan), routes: Mutex::default() });
        let serving = Arc::clone(&shared);
        let between = Between::start(move |client| {
            let shared = Arc::clone(&serving);
            // That a connection breaks off is what the layer is for.
            async move { shared.serve(client).await.unwrap_or_default() }
        });
        Self { url: between.url.clone(), shared, _between: between }
    }

    /// What every route has seen, by its name.
    pub fn routes(&self) -> BTreeMap<String, Count> {
        self.shared.routes.lock().unwrap().clone()
    }
}

impl Shared {
    /// Serves a connection until either side closes it.
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let mut ahead = Vec::new();
        loop {
            let request = Message::read(&mut client, &mut ahead).await?;
            let fault = self.count(&route(request.first_line()));
            let going_on = match fault {
                None => self.pass(&mut client, &request).await?,
                Some(fault) => self.strike(fault, &mut client, &request).await?,
            };
            if !going_on {
                return Ok(());
            }
        }
    }

    /// Notes a request, and says what is done to it.
    fn count(&self, route: &str) -> Option<Fault> {
        let mut routes = self.routes.lock().unwrap();
        let count = routes.entry(route.to_owned()).or_default();
        let fault = (self.plan)(route, count.requests);
        count.requests += 1;
        count.faults += usize::from(fault.is_some());
        fault
    }

    async fn pass(&self, client: &mut TcpStream, request: &Message) -> io::Result<bool> {
        let reply = tokio::select! {
            reply = self.ask(request) => reply?,
            // Whoever asked may go while the server lets it wait.
            _ = client.readable() => return Ok(false),
        };
        client.write_all(&reply.bytes).await?;
        Ok(true)
    }

    /// Does `fault`. Whether the connection lives on.
    async fn strike(&self, fault: Fault, client: &mut TcpStream, request: &Message) -> io::Result<bool> {
        const MOMENT: Duration = Duration::from_millis(150);
        match fault {
            Fault::LoseRequest => return Ok(false),
            Fault::LoseReply => {
                self.ask(request).await?;
                return Ok(false);
            }
            Fault::Delay => {
                sleep(MOMENT).await;
                let reply = self.ask(request).await?;
                sleep(MOMENT).await;
                client.write_all(&reply.bytes).await?;
            }
            Fault::Twice => {
                self.ask(request).await?;
                client.write_all(&self.ask(request).await?.bytes).await?;
            }
            Fault::Again => {
                client.write_all(&self.ask(request).await?.bytes).await?;
                sleep(MOMENT).await;
                self.ask(request).await?;
            }
            Fault::CutRequest => {
                let mut server = TcpStream::connect(self.server).await?;
                server.write_all(request.half()).await?;
                return Ok(false);
            }
            Fault::CutReply => {
                let reply = self.ask(request).await?;
                client.write_all(reply.half()).await?;
                return Ok(false);
            }
            Fault::Refuse(status) => client.write_all(&somebody_elses(status)).await?,
            Fault::RefuseAfter(status) => {
                self.ask(request).await?;
                client.write_all(&somebody_elses(status)).await?;
            }
            Fault::TrickleRequest => {
                let mut server = TcpStream::connect(self.server).await?;
                trickle(&mut server, &request.bytes).await?;
                let reply = Message::read(&mut server, &mut Vec::new()).await?;
                client.write_all(&reply.bytes).await?;
            }
            Fault::TrickleReply => trickle(client, &self.ask(request).await?.bytes).await?,
        }
        Ok(true)
    }

    /// The server's reply.
    async fn ask(&self, request: &Message) -> io::Result<Message> {
        let mut server = TcpStream::connect(self.server).await?;
        server.write_all(&request.bytes).await?;
        Message::read(&mut server, &mut Vec::new()).await
    }
}

/// Writes in some fifty pieces, each by itself.
async fn trickle(to: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    to.set_nodelay(true)?;
    for piece in bytes.chunks((bytes.len() / 50).max(7)) {
        to.write_all(piece).await?;
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// What a gateway says.
fn somebody_elses(status: u16) -> Vec<u8> {
    let body = "<html>The gateway is sorry";
    let head = format!("HTTP/1.1 {status} Sorry\r\ncontent-type: text/html\r\nlocation: http://127.0.0.1:1/\r\n");
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A request or a reply, as it travels.
struct Message {
    bytes: Vec<u8>,
    /// How many bytes its head has.
    head: usize,
}

impl Message {
    /// Reads one; `ahead` is what was read of the next.
    async fn read(from: &mut TcpStream, ahead: &mut Vec<u8>) -> io::Result<Self> {
        let mut bytes = std::mem::take(ahead);
        loop {
            if let Some(end) = end(&bytes) {
                *ahead = bytes.split_off(end);
                let head = head(&bytes).unwrap();
                return Ok(Self { bytes, head });
            }
            if from.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn first_line(&self) -> &str {
        let line = self.bytes.split(|byte| *byte == b'\r').next().unwrap();
        std::str::from_utf8(line).unwrap()
    }

    /// All of the head and half of the body; half of the head if there is no body.
    fn half(&self) -> &[u8] {
        let body = self.bytes.len() - self.head;
        if body > 0 { &self.bytes[..self.head + body / 2] } else { &self.bytes[..self.head / 2] }
    }
}

/// How many bytes the head has, once it is there.
fn head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// How many bytes the message has, once it is there. A chunked one is the last on its connection.
fn end(bytes: &[u8]) -> Option<usize> {
    let head = head(bytes)?;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let header = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    if header("transfer-encoding:").is_some() {
        return bytes.ends_with(b"0\r\n\r\n").then_some(bytes.len());
    }
    let length = header("content-length:").map_or(0, |length| length.parse().unwrap());
    (bytes.len() >= head + length).then_some(head + length)
}

/// A request's method and path, with the names in it left out; an answer's route has the kind of its task.
pub fn route(first_line: &str) -> String {
    let mut words = first_line.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let path = target.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let named = ["federations", "clients", "tasks", "jobs", "models", "invitations", "aliases"];
    let shown = (0..parts.len()).map(|i| match i.checked_sub(1).map(|before| parts[before]) {
        Some("tasks") if method == "PUT" => parts[i].split('-').nth(1).unwrap(),
        Some(before) if named.contains(&before) => "_",
        _ => parts[i],
    });
    let parts: Vec<&str> = shown.collect();
    format!("{method} {}", parts.join("/").replace("/v1/federations/_", "…"))
}
