//! A machine that has no more to give: no space, no files, no memory, no time, no lock, nothing to write on. What cannot be done is
//! refused in words, what can wait waits, and the golden job comes to the same bits.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    clocks,
    disk::Disk,
    golden::{CLIENTS, Golden},
    harness::{How, Process, Serve, block_on, failed, until},
};

/// Waits until a process has said this.
async fn until_said(process: &Process, words: &str) {
    until(&format!("it says {words:?}"), async || process.log().contains(words).then_some(())).await;
}

async fn until_ready(server: &Serve, status: u16) {
    until(&format!("/readyz says {status}"), async || {
        (server.operator.get("/readyz").await.status == status).then_some(())
    })
    .await;
}

/// Holds a fault for so long.
async fn hold(time: Duration) {
    let began = Instant::now();
    until("the time has passed", async || (began.elapsed() > time).then_some(())).await;
}

/// Starts the job while its agent is stopped: a round is open, and nobody has answered.
async fn begin_before(golden: &Golden, agent: &Process, keys: &[&str]) {
    golden.server.until_clients(CLIENTS).await;
    agent.signal("STOP");
    golden.begin_with(keys).await;
}

const FULL: &str = "there is no space left; free some";

/// A golden job whose server's data are on a disk.
fn on_disk(disk: fn(&Path) -> Disk) -> (Disk, Golden) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("server");
    fs::create_dir(&data).unwrap();
    let disk = disk(&data);
    let golden = Golden::on(Serve::start_in(dir, disk.how()));
    (disk, golden)
}

/// A server refuses what it is asked while its disk takes nothing, and goes on when it does; also in a round.
async fn a_server_waits_for_its_disk(disk: Disk, golden: Golden, fault: fn(&Disk), words: &str) {
    let server = &golden.server;
    let agent = golden.join("agent");
    server.until_clients(CLIENTS).await;
    fault(&disk);
    for _ in 0..2 {
        let refused = server.operator.post("/v1/federations/fitbit/invitations", json!({})).await;
        refused.refused(503, "unavailable");
    }
    until_said(&server.process, words).await;
    until_ready(server, 503).await;
    disk.mend();
    until_ready(server, 200).await;

    begin_before(&golden, &agent, &[]).await;
    fault(&disk);
    agent.signal("CONT");
    until_ready(server, 503).await;
    until_said(&agent, "503 Service Unavailable").await;
    server.operator.post("/v1/federations/fitbit/jobs/1/pause", json!({})).await.refused(503, "unavailable");
    hold(Duration::from_millis(1100)).await;
    assert_eq!(server.operator.get("/readyz").await.status, 503, "it has looked again, and nothing is better");
    disk.mend();
    golden.over().await.assert_unharmed();
    until_ready(server, 200).await;
    let invitations = server.operator.get("/v1/federations/fitbit/invitations").await.ok();
    assert_eq!(invitations.as_array().unwrap().len(), 1, "what was refused was not done: {invitations}");
}

#[test]
fn a_server_on_a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let (disk, golden) = on_disk(Disk::at);
    block_on(a_server_waits_for_its_disk(disk, golden, Disk::fill, FULL));
}

#[test]
fn a_server_on_a_pretended_full_disk_refuses_and_goes_on_when_there_is_space() {
    let (disk, golden) = on_disk(Disk::pretended);
    block_on(a_server_waits_for_its_disk(disk, golden, Disk::fill, FULL));
}

#[test]
fn a_server_that_has_space_for_its_database_and_not_for_updates_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let updates = dir.path().join("server/blobs/updates");
    fs::create_dir_all(&updates).unwrap();
    let disk = Disk::pretended(&updates);
    let golden = Golden::on(Serve::start_in(dir, disk.how()));
    block_on(async {
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &[]).await;
        disk.fill();
        agent.signal("CONT");
        until_ready(&golden.server, 503).await;
        until_said(&agent, "503 Service Unavailable").await;
        hold(Duration::from_millis(1100)).await;
        assert_eq!(
            golden.server.operator.get("/readyz").await.status,
            503,
            "it has looked again, and nothing is better"
        );
        disk.mend();
        golden.over().await.assert_unharmed();
        until_ready(&golden.server, 200).await;
    });
}

#[test]
fn a_server_on_a_disk_that_becomes_read_only_refuses_and_goes_on_when_it_is_not() {
    let (disk, golden) = on_disk(Disk::pretended);
    // SQLite does not say why a write failed.
    block_on(a_server_waits_for_its_disk(disk, golden, Disk::close, "see that its disk and its file are sound"));
}

#[test]
fn a_server_does_not_start_on_a_disk_that_is_read_only_and_says_why() {
    block_on(async {
        let (disk, mut golden) = on_disk(Disk::at);
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &[]).await;
        golden.server.process.kill();
        disk.close();
        let mut serve = golden.server.how.command();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(golden.server.path("server"));
        let refused = failed(&mut serve);
        assert!(refused.contains("it is read-only; make it writable"), "{refused}");
        disk.mend();
        golden.server.restart();
        agent.signal("CONT");
        golden.over().await.assert_unharmed();
    });
}

/// An agent keeps what it cannot write yet, and goes on when it can.
async fn an_agent_waits_for_its_disk(disk: fn(&Path) -> Disk, fault: fn(&Disk), words: &str) {
    let golden = Golden::start();
    let folder = golden.server.path("state-agent");
    fs::create_dir(&folder).unwrap();
    let disk = disk(&folder);
    let agent = golden.join_as("agent", &disk.how());
    golden.server.until_clients(CLIENTS).await;
    fault(&disk);
    golden.begin().await;
    until_said(&agent, "cannot be kept").await;
    assert!(agent.log().contains(words), "{}", agent.log());
    disk.mend();
    golden.over().await.assert_unharmed();
}

#[test]
fn an_agent_on_a_full_disk_keeps_its_answer_until_there_is_space() {
    block_on(an_agent_waits_for_its_disk(Disk::at, Disk::fill, "No space left on device"));
}

#[test]
fn an_agent_on_a_pretended_full_disk_keeps_its_answer_until_there_is_space() {
    block_on(an_agent_waits_for_its_disk(Disk::pretended, Disk::fill, "No space left on device"));
}

#[test]
fn an_agent_on_a_disk_that_becomes_read_only_keeps_its_answer_until_it_is_not() {
    block_on(an_agent_waits_for_its_disk(Disk::pretended, Disk::close, "Read-only file system"));
}

#[test]
fn a_server_without_a_file_to_open_says_so_and_goes_on_when_there_is_one() {
    block_on(async {
        let golden = Golden::start();
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &[]).await;
        golden.server.process.limit("--nofile=5:1000");
        // Whoever has no connection yet waits before the door.
        agent.signal("CONT");
        let waiting = TcpStream::connect(golden.server.url.split("//").nth(1).unwrap()).unwrap();
        until_said(&golden.server.process, "raise the limit (ulimit -n)").await;
        drop(waiting);
        golden.server.process.limit("--nofile=1000:1000");
        golden.over().await.assert_unharmed();
    });
}

#[test]
fn an_agent_without_a_file_to_open_says_so_and_goes_on_when_there_is_one() {
    block_on(async {
        let golden = Golden::start();
        let agent = golden.join("agent");
        golden.server.until_clients(CLIENTS).await;
        agent.limit("--nofile=5:1000");
        golden.begin().await;
        until_said(&agent, "Too many open files").await;
        agent.limit("--nofile=1000:1000");
        golden.over().await.assert_unharmed();
    });
}

#[test]
fn who_may_open_few_files_says_so_at_the_start() {
    block_on(async {
        let golden = Golden::start_as(How::default().under(&["prlimit", "--nofile=140:140"]));
        assert!(
            golden
                .server
                .process
                .log()
                .contains("140 files may be open, so at most 12 connections are; raise the limit")
        );
        let agent = golden.join_as("agent", &How::default().under(&["prlimit", "--nofile=24:24"]));
        until_said(&agent, "24 files may be open").await;
        golden.begin().await;
        golden.over().await.assert_unharmed();
        let mut none = golden.server.how.clone();
        none.under = ["prlimit", "--nofile=14:14"].map(str::to_owned).into();
        let refused = failed(
            none.command().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(golden.server.path("another")),
        );
        assert!(refused.contains("raise the limit (ulimit -n)"), "{refused}");
    });
}

/// A group of processes that may use so many bytes together.
struct Cage(PathBuf);

impl Cage {
    /// `None` where the kernel has none for us.
    fn of(bytes: usize) -> Option<Self> {
        let name = format!("dure-test-{}", std::process::id());
        let (first, second) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        for (root, limit) in [(first, "memory.limit_in_bytes"), (second, "memory.max")] {
            let cage = Self(root.join(&name));
            if fs::create_dir(&cage.0).is_ok() && fs::write(cage.0.join(limit), bytes.to_string()).is_ok() {
                return Some(cage);
            }
        }
        None
    }

    /// How a process is started in it.
    fn how(&self) -> How {
        let script = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", self.0.display());
        How::default().under(&["sh", "-c", &script, "sh"])
    }

    /// Takes all the memory. The kernel ends somebody: whoever it was told to end first.
    fn fill(&self) -> Child {
        let script = format!("echo $$ > '{}/cgroup.procs' && exec tail /dev/zero", self.0.display());
        Command::new("sh").args(["-c", &script]).spawn().unwrap()
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn who_is_ended_for_want_of_memory_comes_back_to_the_same_bits() {
    let Some(cage) = Cage::of(256 << 20) else {
        eprintln!("no memory cgroup can be made here; the next test limits memory by other means");
        return;
    };
    block_on(async {
        let mut golden = Golden::start_as(cage.how());
        let mut agent = golden.join_as("agent", &cage.how());
        begin_before(&golden, &agent, &[]).await;
        for process in [&golden.server.process, &agent] {
            fs::write(format!("/proc/{}/oom_score_adj", process.pid()), "1000").unwrap();
        }
        let mut hog = cage.fill();
        assert_eq!(golden.server.process.ended().await.signal(), Some(9));
        agent.signal("CONT");
        assert_eq!(agent.ended().await.signal(), Some(9));
        drop(hog.kill());
        hog.wait().unwrap();
        golden.server.how = How::default();
        golden.server.restart();
        let _agent = golden.join("agent");
        golden.over().await.assert_unharmed();
    });
}

/// Lets a process have no more memory than it has.
fn starve(process: &Process) {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    process.limit(&format!("--as={}:unlimited", kib << 10));
}

#[test]
fn a_server_that_gets_no_memory_loses_nothing() {
    block_on(async {
        let mut golden = Golden::start();
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &[]).await;
        starve(&golden.server.process);
        let address = golden.server.url.split("//").nth(1).unwrap();
        let head = format!(
            "POST /v1/federations/fitbit/jobs HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n ",
            golden.server.operator.bearer,
            8 << 20
        );
        let mut callers = Vec::new();
        until("there is no memory left", async || {
            if let Ok(mut caller) = TcpStream::connect(address) {
                drop(caller.write_all(head.as_bytes()));
                callers.push(caller);
            }
            golden.server.process.log().contains("memory allocation of").then_some(())
        })
        .await;
        let ended = golden.server.process.ended().await;
        assert!(ended.signal().is_some(), "{ended}");
        agent.signal("CONT");
        golden.server.restart();
        golden.over().await.assert_unharmed();
    });
}

#[test]
fn an_agent_that_gets_no_memory_loses_nothing() {
    block_on(async {
        let golden = Golden::start();
        let mut agent = golden.join("agent");
        golden.server.until_clients(CLIENTS).await;
        starve(&agent);
        golden.begin().await;
        until("it declines, or ends", async || {
            let declined = agent.log().contains("gives no thread");
            (declined || agent.is_over()).then_some(())
        })
        .await;
        agent.kill();
        let _agent = golden.join("agent");
        golden.over().await.assert_same_bits();
    });
}

#[test]
fn a_server_that_is_stopped_for_longer_than_lease_and_deadline_loses_nobody() {
    block_on(async {
        let golden = Golden::start_as(How::default().args(&["--lease", "6s"]));
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &["cohort.deadline_s=6"]).await;
        golden.server.process.signal("STOP");
        agent.signal("CONT");
        hold(Duration::from_secs(8)).await;
        golden.server.process.signal("CONT");
        golden.over().await.assert_unharmed();
    });
}

#[test]
fn a_server_that_is_stopped_for_a_minute_loses_nobody() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        // A minute of its own; the agent renews a lease by the true clock.
        let how = How::default().env("LD_PRELOAD", &clocks::times(dir.path(), 10)).args(&["--lease", "200s"]);
        let golden = Golden::start_as(how);
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &["cohort.deadline_s=50"]).await;
        golden.server.process.signal("STOP");
        agent.signal("CONT");
        hold(Duration::from_millis(6400)).await;
        golden.server.process.signal("CONT");
        golden.over().await.assert_unharmed();
    });
}

#[test]
fn an_agent_that_is_stopped_is_lost_and_returns_to_the_same_bits() {
    block_on(async {
        let golden = Golden::start_as(How::default().args(&["--lease", "3s"]));
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &[]).await;
        for client in ["person-01", "person-02", "person-03"] {
            golden.server.until_client(client, "lost").await;
        }
        agent.signal("CONT");
        let outcome = golden.over().await;
        outcome.assert_same_bits();
        assert_eq!(outcome.of("client_joined").len(), CLIENTS);
        assert_eq!(outcome.of("client_returned").len(), outcome.of("client_lost").len());
    });
}

/// Another process that has the database for itself, until it is told to let go.
struct Holder(Child);

impl Holder {
    fn of(database: &Path) -> Self {
        let code = "import sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n\
            db.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read(); db.execute('ROLLBACK')";
        let mut python = Command::new("python3");
        let mut child =
            python.args(["-c", code]).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }

    fn let_go(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn a_database_that_somebody_else_holds_is_waited_for() {
    block_on(async {
        let golden = Golden::start();
        let server = &golden.server;
        let agent = golden.join("agent");
        begin_before(&golden, &agent, &[]).await;
        let holder = Holder::of(&server.path("server").join("dure.db"));
        agent.signal("CONT");
        server.operator.post("/v1/federations/fitbit/jobs/1/pause", json!({})).await.refused(503, "unavailable");
        until_ready(server, 503).await;
        until_said(&server.process, "another process has it open").await;
        holder.let_go();
        golden.over().await.assert_unharmed();
        until_ready(server, 200).await;
    });
}
