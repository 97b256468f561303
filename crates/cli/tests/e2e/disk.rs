//! A disk that only some processes have: it fills up, and becomes read-only.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    clocks::library,
    harness::{How, said},
};

/// A disk at some folder.
pub struct Disk {
    folder: PathBuf,
    kind: Kind,
}

enum Kind {
    /// A file system in memory, mounted in a namespace that lives as long as this process in it.
    Mounted(Child),
    /// Where the kernel refuses mounts: a library that refuses in the disk's place while a file says so.
    Pretended { library: String, fault: PathBuf },
}

/// How many bytes it has.
const SIZE: usize = 16 << 20;

impl Disk {
    /// A disk at `folder`, which is there and empty: a real one if this machine allows it.
    pub fn at(folder: &Path) -> Self {
        let refused = match mounted(folder) {
            Ok(holder) => return Self { folder: folder.into(), kind: Kind::Mounted(holder) },
            Err(refused) => refused,
        };
        eprintln!("no disk can be mounted here ({}), so one is pretended", refused.trim());
        Self::pretended(folder)
    }

    /// A disk that a library pretends. The kernel makes none read-only while a file on it is open for writing: a disk that
    /// fails does.
    pub fn pretended(folder: &Path) -> Self {
        let fault = folder.with_extension("fault");
        let library = library(folder.parent().unwrap(), "disk", include_str!("disk.c"));
        Self { folder: folder.into(), kind: Kind::Pretended { library, fault } }
    }

    /// How a process is started that has it.
    pub fn how(&self) -> How {
        match &self.kind {
            Kind::Mounted(holder) => {
                How::default().under(&["nsenter", "--target", &holder.id().to_string(), "--mount", "--"])
            }
            Kind::Pretended { library, fault } => How::default()
                .env("LD_PRELOAD", library)
                .env("DISK", self.folder.to_str().unwrap())
                .env("DISK_FAULT", fault.to_str().unwrap()),
        }
    }

    /// Where its files are for everybody else.
    pub fn inside(&self) -> PathBuf {
        match &self.kind {
            Kind::Mounted(holder) => PathBuf::from(format!("/proc/{}/root{}", holder.id(), self.folder.display())),
            Kind::Pretended { .. } => self.folder.clone(),
        }
    }

    /// Leaves no space on it.
    pub fn fill(&self) {
        match &self.kind {
            Kind::Mounted(_) => {
                let mut ballast = File::create(self.inside().join("ballast")).unwrap();
                // Ever smaller pieces, until nothing fits any more.
                for size in [1 << 20, 4096, 1] {
                    let piece = vec![0; size];
                    while ballast.write_all(&piece).is_ok() {}
                }
            }
            Kind::Pretended { fault, .. } => fs::write(fault, "full").unwrap(),
        }
    }

    /// Makes it read-only. Only a pretended one can be so under processes that write to it.
    pub fn close(&self) {
        match &self.kind {
            Kind::Mounted(holder) => remount(holder, &self.folder, "ro"),
            Kind::Pretended { fault, .. } => fs::write(fault, "read-only").unwrap(),
        }
    }

    /// Lets it be written again.
    pub fn mend(&self) {
        match &self.kind {
            Kind::Mounted(holder) => {
                remount(holder, &self.folder, "rw");
                drop(fs::remove_file(self.inside().join("ballast")));
            }
            Kind::Pretended { fault, .. } => fs::remove_file(fault).unwrap(),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Kind::Mounted(holder) = &mut self.kind {
            drop(holder.kill());
            drop(holder.wait());
        }
    }
}

/// A process in a mount namespace of its own, with a small file system at `folder`.
fn mounted(folder: &Path) -> Result<Child, String> {
    // `cat` ends when this process does, however that happens.
    let script =
        format!("mount -t tmpfs -o size={SIZE},mode=700 none '{}' && echo there && exec cat", folder.display());
    let mut holder = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("unshare: {error}"))?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.as_mut().unwrap()), &mut line).unwrap();
    if line == "there\n" {
        return Ok(holder);
    }
    let output = holder.wait_with_output().unwrap();
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn remount(holder: &Child, folder: &Path, how: &str) {
    let target = holder.id().to_string();
    let mount = format!("remount,{how}");
    said(Command::new("nsenter").args(["--target", &target, "--mount", "mount", "-o", &mount]).arg(folder));
}
