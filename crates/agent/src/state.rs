//! The state folder: secrets, kept answers, memories and the witness. Every file is there whole or not at all, also after a
//! power cut. A damaged one stops the agent, for a client that forgets its secret loses its name.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use dure_core::{digest::Digest, journal::Head, name::ClientName};
use dure_machine::{
    Machine,
    disk::Lock,
    files::{make_folder, make_own_folder, write},
};
use rand::{TryRng as _, rngs::SysRng};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Invitation,
    memory::{Memory, Pending},
    witness::Contradiction,
};

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refuses.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another agent runs.
    #[error("{} is in use by another agent; stop that one, or give this one another --state-dir", .0.display())]
    Locked(PathBuf),
    /// It is another federation's.
    #[error("{} belongs to the federation {holds}; use another --state-dir for {wanted}", folder.display())]
    OtherFederation {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        holds: String,
        /// Whose it was to be.
        wanted: String,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {why}; bring it back from a copy, or delete {remedy}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to delete if there is no copy, and what comes of it.
        remedy: String,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers for a secret: {0}")]
    Entropy(String),
}

/// The file of a state folder that names the recipe.
pub const RECIPE_FILE: &str = "recipe";

/// A state folder, which nobody else uses as long as this lives.
#[derive(Debug)]
pub struct StateDir {
    folder: PathBuf,
    machine: Machine,
    _lock: Lock,
}

/// A client's part of it.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
    machine: Machine,
}

/// What proves that a client is itself: 64 hexadecimal digits. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    secret: Secret,
}

/// Whose the folder is.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    server: String,
    federation: String,
}

impl StateError {
    /// Whether it may go well the next time.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    /// What is wrong without saying where: paths are the site's own and go to nobody.
    pub fn words(&self) -> String {
        match self {
            Self::Io { source, .. } => source.kind().to_string(),
            Self::Damaged { .. } => "a file is damaged".into(),
            _ => "its folder cannot be used".into(),
        }
    }
}

impl StateDir {
    /// Opens `folder`, makes it if need be, and takes it for the federation of `invitation`.
    pub fn open(machine: &Machine, folder: &Path, invitation: &Invitation) -> Result<Self, StateError> {
        made(make_own_folder(machine.disk(), folder))?;
        let lock = lock(machine, folder)?;
        sync_names(machine, folder)?;
        make(machine, &folder.join("clients"))?;
        let owner = Owner { server: invitation.server().into(), federation: invitation.federation().into() };
        let path = folder.join("federation.json");
        match read_json::<Owner>(machine, &path, || format!("{} to begin anew", path.display()))? {
            None => write_json(machine, &path, &owner)?,
            Some(holds) if holds == owner => {}
            Some(holds) => {
                let (folder, holds, wanted) = (folder.into(), holds.to_string(), owner.to_string());
                return Err(StateError::OtherFederation { folder, holds, wanted });
            }
        }
        Ok(Self { folder: folder.into(), machine: machine.clone(), _lock: lock })
    }

    /// The folder of a client.
    pub fn home(&self, client: &ClientName) -> Result<Home, StateError> {
        let folder = self.folder.join("clients").join(client.as_str());
        make(&self.machine, &folder)?;
        sync_names(&self.machine, &folder)?;
        Ok(Home { folder, machine: self.machine.clone() })
    }

    /// Keeps the name of the recipe that the rows are read by, for a restart with an invitation that is worth nothing any more.
    pub fn remember(&self, recipe: &str) -> Result<(), StateError> {
        let path = self.folder.join(RECIPE_FILE);
        match self.machine.disk().read(&path) {
            Ok(known) if known == recipe.as_bytes() => Ok(()),
            _ => write_whole(&self.machine, &path, recipe.as_bytes()),
        }
    }

    /// Where a contradiction of the witness is.
    pub fn contradiction(&self) -> PathBuf {
        self.folder.join("witness-problem.json")
    }

    /// Where the witness is.
    pub fn witness(&self) -> PathBuf {
        self.folder.join("witness.json")
    }
}

/// The last head of the journal that was seen.
pub fn read_witness(machine: &Machine, path: &Path) -> Result<Option<Head>, StateError> {
    read_json(machine, path, || "it; what was done to the journal before is then not noticed".into())
}

/// The contradiction that was seen, until somebody takes the file away.
pub fn read_contradiction(machine: &Machine, path: &Path) -> Result<Option<Contradiction>, StateError> {
    read_json(machine, path, || "it; the evidence is then gone".into())
}

/// Keeps a contradiction.
pub fn write_contradiction(machine: &Machine, path: &Path, contradiction: &Contradiction) -> Result<(), StateError> {
    write_json(machine, path, contradiction)
}

/// Keeps a head.
pub fn write_witness(machine: &Machine, path: &Path, head: Head) -> Result<(), StateError> {
    write_json(machine, path, &head)
}

impl Home {
    /// The client's secret, and whether it was there before. A new one is on disk when this returns.
    pub fn secret(&self) -> Result<(Secret, bool), StateError> {
        let path = self.path("identity.json");
        if let Some(Identity { secret }) = read_json(&self.machine, &path, || self.remedy())? {
            let fault = secret.0.parse::<Digest>().map(|_| ()).map_err(|_| "the secret is not 64 hexadecimal digits");
            return fault.map(|()| (secret, true)).map_err(|why| self.damaged(path, why));
        }
        if self.machine.disk().kind(&self.path("memory.json")).map_err(io(&path))?.is_some() {
            return Err(self.damaged(path, "it is gone, and memory.json beside it is not"));
        }
        let secret = Secret::draw()?;
        write_json(&self.machine, &path, &Identity { secret: secret.clone() })?;
        Ok((secret, false))
    }

    /// What the client remembers. The answer that it speaks of must be there.
    pub fn memory(&self) -> Result<Memory, StateError> {
        let memory: Memory = read_json(&self.machine, &self.path("memory.json"), || self.remedy())?.unwrap_or_default();
        if let Some(pending) = &memory.pending {
            self.answer(pending)?;
        }
        self.own(&memory)?;
        Ok(memory)
    }

    /// Keeps an answer, what the client keeps of its own with it, and the memory that speaks of them, in this order.
    pub fn keep(&self, answer: &[u8], own: Option<&[u8]>, memory: &Memory) -> Result<(), StateError> {
        let path = self.path("answer");
        write_whole(&self.machine, &path, answer)?;
        if let Some(own) = own {
            write_whole(&self.machine, &self.own_path(memory.version + 1), own)?;
        }
        write_json(&self.machine, &self.path("memory.json"), memory)
    }

    /// Keeps a memory that speaks of no answer.
    pub fn settle(&self, memory: &Memory) -> Result<(), StateError> {
        write_json(&self.machine, &self.path("memory.json"), memory)?;
        let path = self.path("answer");
        match self.machine.disk().remove(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io(&path)(error)),
            _ => Ok(()),
        }
    }

    /// The bytes of a kept answer.
    pub fn answer(&self, pending: &Pending) -> Result<Vec<u8>, StateError> {
        self.spoken_of(self.path("answer"), pending.sha256)
    }

    /// The bytes of what the client keeps of its own in state k, if that is anything.
    pub fn own(&self, memory: &Memory) -> Result<Option<Vec<u8>>, StateError> {
        let Some(own) = memory.state.own else { return Ok(None) };
        self.spoken_of(self.own_path(memory.version), own.sha256).map(Some)
    }

    /// States k and k+1 lie beside each other; k+2 is written over k, which nobody needs then.
    fn own_path(&self, version: u64) -> PathBuf {
        self.path(if version.is_multiple_of(2) { "own.0" } else { "own.1" })
    }

    /// The bytes of a file that memory.json speaks of.
    fn spoken_of(&self, path: PathBuf, sha256: Digest) -> Result<Vec<u8>, StateError> {
        match self.machine.disk().read(&path) {
            Ok(bytes) if Digest::of(&bytes) == sha256 => Ok(bytes),
            Ok(_) => Err(self.damaged(path, "its digest is not the one in memory.json")),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(self.damaged(path, "it is gone, and memory.json speaks of it"))
            }
            Err(error) => Err(io(&path)(error)),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Who begins anew has another secret.
    fn remedy(&self) -> String {
        let client = self.folder.file_name().unwrap_or_default().display();
        format!("{}, and let the operator run `dure client release {client}`, to begin anew", self.folder.display())
    }

    fn damaged(&self, path: PathBuf, why: &str) -> StateError {
        StateError::Damaged { path, why: why.into(), remedy: self.remedy() }
    }
}

impl Secret {
    fn draw() -> Result<Self, StateError> {
        let mut bytes = [0; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(|error| StateError::Entropy(error.to_string()))?;
        Ok(Self(Digest(bytes).to_string()))
    }

    /// The digits, for the server.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.server, self.federation)
    }
}

/// Makes the names in a folder safe. Whoever gave one may have died before it was: what is read now, and told to the server, must not
/// be gone when the power is lost.
fn sync_names(machine: &Machine, folder: &Path) -> Result<(), StateError> {
    machine.disk().sync_folder(folder).map_err(io(folder))
}

/// The folder's lock, which the system frees when this process ends, however it does.
fn lock(machine: &Machine, folder: &Path) -> Result<Lock, StateError> {
    let path = folder.join("lock");
    machine.disk().lock(&path).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => StateError::Locked(folder.into()),
        _ => io(&path)(error),
    })
}

/// Makes a folder that only its owner may enter, and those above it.
fn make(machine: &Machine, folder: &Path) -> Result<(), StateError> {
    made(make_folder(machine.disk(), folder))
}

fn made(made: Result<(), (PathBuf, io::Error)>) -> Result<(), StateError> {
    made.map_err(|(path, source)| StateError::Io { path, source })
}

/// The system's refusal, with the file or folder that it is about.
fn io(path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.into();
    |source| StateError::Io { path, source }
}

fn read_json<T: DeserializeOwned>(
    machine: &Machine,
    path: &Path,
    remedy: impl FnOnce() -> String,
) -> Result<Option<T>, StateError> {
    let bytes = match machine.disk().read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| StateError::Damaged {
        path: path.into(),
        // The message of a secret's file could quote it.
        why: format!("it cannot be read at line {}, column {}", error.line(), error.column()),
        remedy: remedy(),
    })
}

fn write_json(machine: &Machine, path: &Path, value: &impl Serialize) -> Result<(), StateError> {
    let json = serde_json::to_vec(value).expect("the files of this module have text keys only");
    write_whole(machine, path, &json)
}

/// Writes a file so that it is there whole or not at all. The folder is locked: nobody else writes there.
fn write_whole(machine: &Machine, path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    write(machine.disk(), path, &path.with_added_extension("new"), bytes).map_err(io(path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::memory::Kept;

    fn invitation(url: &str) -> Invitation {
        Invitation::parse(&format!("{url}#{}", "0".repeat(64))).unwrap()
    }

    fn open(folder: &Path) -> Result<StateDir, StateError> {
        StateDir::open(&Machine::this(), folder, &invitation("http://127.0.0.1:1/fitbit"))
    }

    fn name() -> ClientName {
        ClientName::new("person-07").unwrap()
    }

    fn kept(home: &Home) -> Memory {
        let (task, sha256) = ("1-train-1-1-person-07".parse().unwrap(), Digest::of(b"answer"));
        let memory = Memory::default().keeping(Kept { task, sha256, base: None, job: sha256, examples: 7, own: None });
        home.keep(b"answer", None, &memory).unwrap();
        memory
    }

    #[test]
    fn a_secret_is_drawn_once_and_is_on_disk() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("a/b");
        let (first, before) = open(&folder).unwrap().home(&name()).unwrap().secret().unwrap();
        let written = fs::read_to_string(folder.join("clients/person-07/identity.json")).unwrap();
        assert_eq!(written, format!(r#"{{"secret":"{}"}}"#, first.reveal()));
        assert!(!before && first.reveal().parse::<Digest>().is_ok());
        let (again, before) = open(&folder).unwrap().home(&name()).unwrap().secret().unwrap();
        assert!(before && again == first);
        assert_eq!(format!("{first:?}"), "Secret(…)");
    }

    #[test]
    fn a_second_agent_is_refused_until_the_first_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path()).unwrap();
        let error = open(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{} is in use by another agent", folder.path().display())), "{error}");
        drop(first);
        assert!(open(folder.path()).is_ok());
    }

    #[test]
    fn a_folder_belongs_to_one_federation() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()).unwrap());
        for url in ["http://127.0.0.1:1/other", "http://127.0.0.1:2/fitbit"] {
            let error = StateDir::open(&Machine::this(), folder.path(), &invitation(url)).unwrap_err().to_string();
            let want =
                format!("belongs to the federation http://127.0.0.1:1/fitbit; use another --state-dir for {url}");
            assert!(error.contains(&want), "{error}");
        }
        assert!(open(folder.path()).is_ok());
    }

    #[test]
    fn memory_and_answer_come_back_and_go_when_settled() {
        let folder = tempfile::tempdir().unwrap();
        let home = open(folder.path()).unwrap().home(&name()).unwrap();
        assert_eq!(home.memory().unwrap(), Memory::default());
        let memory = kept(&home);
        assert_eq!(home.memory().unwrap(), memory);
        assert_eq!(home.answer(memory.pending.as_ref().unwrap()).unwrap(), b"answer");
        let settled = memory.settled(dure_core::federation::TaskState::Committed).unwrap();
        home.settle(&settled).unwrap();
        assert_eq!(home.memory().unwrap(), settled);
        assert!(!home.path("answer").exists());
    }

    #[test]
    fn the_next_states_own_file_stands_beside_the_current_until_the_round_counts() {
        let folder = tempfile::tempdir().unwrap();
        let home = open(folder.path()).unwrap().home(&name()).unwrap();
        let mut memory = Memory::default();
        for round in 1..=3u8 {
            let (task, own) = (format!("1-train-{round}-1-person-07").parse().unwrap(), [round]);
            let (sha256, kept) = (Digest::of(b"answer"), Some(Digest::of(&own)));
            let next = memory.keeping(Kept { task, sha256, base: None, job: sha256, examples: 7, own: kept });
            home.keep(b"answer", Some(&own), &next).unwrap();
            let before = (round > 1).then(|| vec![round - 1]);
            assert_eq!(home.own(&home.memory().unwrap()).unwrap(), before, "round {round} is open");
            memory = next.settled(dure_core::federation::TaskState::Committed).unwrap();
            home.settle(&memory).unwrap();
            assert_eq!(home.own(&home.memory().unwrap()).unwrap(), Some(vec![round]));
        }
        fs::write(home.path("own.1"), "other").unwrap();
        let error = home.memory().unwrap_err().to_string();
        assert!(error.contains("own.1 is damaged: its digest is not the one in memory.json"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_named_and_no_secret_is_drawn_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let home = open(folder.path()).unwrap().home(&name()).unwrap();
        let check = |file: &str, content: Option<&str>, want: &str| {
            let path = home.path(file);
            let before = fs::read(&path).unwrap();
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let error = home.secret().and_then(|_| home.memory()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{} is damaged: {want}", path.display())), "{error}");
            assert!(!error.contains("5f5f"), "{error}");
            fs::write(&path, before).unwrap();
        };
        home.secret().unwrap();
        kept(&home);
        check("identity.json", Some(r#"{"secret":"5f5f"}"#), "the secret is not 64 hexadecimal digits");
        check("identity.json", Some(r#"{"secret":5f5f"#), "it cannot be read at line 1");
        check("identity.json", Some(""), "it cannot be read at line 1");
        check("identity.json", None, "it is gone, and memory.json beside it is not");
        check("memory.json", Some(r#"{"version":1}"#), "it cannot be read at line 1");
        check("answer", Some("other"), "its digest is not the one in memory.json");
        check("answer", None, "it is gone, and memory.json speaks of it");
        assert!(home.secret().and_then(|_| home.memory()).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_look() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("state");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let state = open(&folder).unwrap();
        let home = state.home(&name()).unwrap();
        home.secret().unwrap();
        kept(&home);
        write_witness(&Machine::this(), &state.witness(), Head::default()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for folder in [&folder, &folder.join("clients"), &home.folder] {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        let files = ["identity.json", "memory.json", "answer"].map(|file| home.path(file));
        let shared = ["lock", "federation.json", "witness.json"].map(|file| folder.join(file));
        for file in files.iter().chain(&shared) {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_of_other_things_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.tex"), "").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        open(folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn what_goes_to_the_server_names_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let home = open(folder.path()).unwrap().home(&name()).unwrap();
        let memory = kept(&home);
        fs::create_dir(home.path("memory.json.new")).unwrap();
        let unwritten = home.settle(&memory).unwrap_err();
        fs::write(home.path("answer"), "other").unwrap();
        let damaged = home.answer(memory.pending.as_ref().unwrap()).unwrap_err();
        assert_eq!((unwritten.words().as_str(), damaged.words().as_str()), ("is a directory", "a file is damaged"));
    }

    #[test]
    fn the_witness_is_a_head() {
        let folder = tempfile::tempdir().unwrap();
        let path = open(folder.path()).unwrap().witness();
        assert_eq!(read_witness(&Machine::this(), &path).unwrap(), None);
        let head = Head { sequence: 12, hash: Digest([1; 32]) };
        write_witness(&Machine::this(), &path, head).unwrap();
        assert_eq!(read_witness(&Machine::this(), &path).unwrap(), Some(head));
        fs::write(&path, "{").unwrap();
        assert!(read_witness(&Machine::this(), &path).unwrap_err().to_string().contains("witness.json is damaged"));
    }
}
