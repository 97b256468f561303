//! A server that says what a test wants it to say, and keeps what it was asked.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
};

use dure_core::journal::Head;
use dure_wire::api::FederationView;
use serde::Serialize;
use serde_json::{Value, json};

pub const TOKEN: &str = "abababababababababababababababababababababababababababababababab";

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Method and path: `GET /v1/federations`.
    pub line: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What is said to it.
pub struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    end: End,
}

/// How an answer ends.
enum End {
    /// Where it said it would.
    Whole,
    /// Before that.
    Cut,
    /// Not until the client goes.
    Open,
}

impl Reply {
    pub fn json(status: u16, value: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_json::to_vec(value).unwrap();
        Self { status, headers: "content-type: application/json\r\n".into(), body, end: End::Whole }
    }

    pub fn problem(status: u16, title: &str, detail: &str) -> Self {
        Self::json(status, &json!({"type": "/problems/test", "title": title, "status": status, "detail": detail}))
    }

    /// What is no problem of ours.
    pub fn page(status: u16, text: &str) -> Self {
        Self { status, headers: "content-type: text/html\r\n".into(), body: text.into(), end: End::Whole }
    }

    pub fn file(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: String::new(), body: body.into(), end: End::Whole }
    }

    pub fn nothing() -> Self {
        Self { status: 204, headers: String::new(), body: vec![], end: End::Whole }
    }

    /// Events, after which the stream stays open or is cut.
    pub fn events(body: String, cut: bool) -> Self {
        let end = if cut { End::Cut } else { End::Open };
        Self { status: 200, headers: "content-type: text/event-stream\r\n".into(), body: body.into_bytes(), end }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    pub fn cut(self) -> Self {
        Self { end: End::Cut, ..self }
    }

    fn send(self, stream: &mut TcpStream) -> std::io::Result<()> {
        let length = match self.end {
            End::Whole => format!("content-length: {}\r\n", self.body.len()),
            End::Cut => format!("content-length: {}\r\n", self.body.len() + 1),
            End::Open => "transfer-encoding: chunked\r\n".into(),
        };
        write!(stream, "HTTP/1.1 {} -\r\nconnection: close\r\n{length}{}\r\n", self.status, self.headers)?;
        if !matches!(self.end, End::Open) {
            return stream.write_all(&self.body);
        }
        for piece in self.body.chunks(1000) {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            write!(stream, "\r\n")?;
        }
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

/// The server, until the test is over.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// One that says what `answer` says to the line of each request.
    pub fn start(answer: impl Fn(&str, &Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                kept.lock().unwrap().push(request.clone());
                let reply = answer(&request.line, &request);
                // A client that has gone is a client that has seen enough.
                let _ = reply.send(&mut stream);
            }
        });
        Self { url, asked }
    }

    /// One of a federation called `fitbit`, whose journal is `journal`.
    pub fn of_journal(journal: &str, answer: impl Fn(&str, &Request) -> Reply + Send + 'static) -> Self {
        let view = view("fitbit", journal);
        Self::start(move |line, request| match line {
            "GET /v1/federations" => Reply::json(200, std::slice::from_ref(&view)),
            line => answer(line, request),
        })
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// The bodies of what was asked by this line.
    pub fn bodies(&self, line: &str) -> Vec<Value> {
        let asked = self.asked();
        let bodies = asked.iter().filter(|request| request.line == line);
        bodies.map(|request| serde_json::from_slice(&request.body).unwrap_or_default()).collect()
    }

    /// Runs `dure` for this server.
    pub fn dure(&self, args: &[&str]) -> Output {
        dure().args(args).env("DURE_SERVER", &self.url).env("DURE_TOKEN", TOKEN).output().unwrap()
    }

    /// Standard output of a command that succeeds.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.dure(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Standard error of a command that ends with `code`, and prints nothing.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        fails(code, self.dure(args))
    }
}

/// `dure`, to which the environment names no server.
pub fn dure() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dure"));
    for name in ["DURE_DATA", "DURE_SERVER", "DURE_TOKEN", "DURE_FEDERATION"] {
        command.env_remove(name);
    }
    command
}

/// Standard error of a command that ended with `code`, and printed nothing.
pub fn fails(code: i32, output: Output) -> String {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
    text(&output.stderr)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// How a federation with this journal stands.
pub fn view(name: &str, journal: &str) -> FederationView {
    let head = journal.lines().last().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = head.map(|entry| serde_json::from_value(json!({"sequence": entry["sequence"], "hash": entry["hash"]})));
    FederationView {
        name: name.into(),
        recipe: Some("fitbit".into()),
        schema: None,
        clients: BTreeMap::new(),
        jobs: 2,
        active_job: None,
        versions: 8,
        lease_s: 30.0,
        journal: head.map_or(Head::default(), Result::unwrap),
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream);
    let mut request = Request::default();
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    request.line = line.trim().strip_suffix(" HTTP/1.1")?.to_owned();
    loop {
        line.clear();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        request.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = request.headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    lines.read_exact(&mut request.body).ok()?;
    Some(request)
}
