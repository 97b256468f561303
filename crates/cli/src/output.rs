//! Files that are there whole or not at all, and standard output.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Seek as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::NamedTempFile;

/// A folder that results go to.
pub struct Output {
    folder: PathBuf,
}

impl Output {
    /// Makes the folder if need be, and sees before any work is done that files called `names` can be written there.
    pub fn open(folder: &Path, names: &[&str]) -> Result<Self> {
        let shown = folder.display();
        std::fs::create_dir_all(folder).with_context(|| format!("{shown}: cannot be made"))?;
        NamedTempFile::new_in(folder).with_context(|| format!("{shown}: cannot be written to"))?;
        for path in names.iter().map(|name| folder.join(name)) {
            ensure!(!path.exists() || path.is_file(), "{}: is in the way and no file; remove it", path.display());
        }
        Ok(Self { folder: folder.into() })
    }

    /// Writes `files` (name, content) in this order. Each is whole: all are written beside their names first, and if one
    /// cannot be, none is there and older ones stay as they were; then all are renamed.
    pub fn write(&self, files: &[(&str, &[u8])]) -> Result<()> {
        let mut written = Vec::new();
        for (name, content) in files {
            let path = self.folder.join(name);
            written.push((temporary(&self.folder, &path, content)?, path));
        }
        written.into_iter().try_for_each(|(file, path)| rename(file, &path))
    }
}

/// Writes one file, whole or not at all. What is no file, such as a pipe or a device, is written to.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = Whole::begin(Some(path))?;
    file.write(content)?;
    file.keep()
}

/// Something that is written piece by piece and is there, whole, once it is kept; if it is dropped it never was.
pub struct Whole {
    file: NamedTempFile,
    /// Where it goes; standard output if `None`.
    path: Option<PathBuf>,
}

impl Whole {
    /// Begins a file at `path`, or what goes to standard output. What is no file, such as a pipe or a device, is written to.
    pub fn begin(path: Option<&Path>) -> Result<Self> {
        let path = path.map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        let file = match path.as_deref().filter(|path| is_file_or_none(path)) {
            Some(path) => like_any_other().tempfile_in(folder_of(path)).with_context(|| unwritten(path))?,
            None => NamedTempFile::new().context("there is no room for temporary files")?,
        };
        Ok(Self { file, path })
    }

    /// Adds to it.
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        let shown = || self.path.as_deref().map_or_else(|| "a temporary file cannot be written".into(), unwritten);
        self.file.write_all(piece).with_context(shown)
    }

    /// It is whole.
    pub fn keep(mut self) -> Result<()> {
        match &self.path {
            Some(path) if is_file_or_none(path) => rename(self.file, path),
            Some(path) => {
                let context = || format!("{}: cannot be written", path.display());
                copy(&mut self.file, &mut File::options().write(true).open(path).with_context(context)?)
                    .with_context(context)
            }
            None => to_standard_output(copy(&mut self.file, &mut io::stdout())),
        }
    }
}

/// Nobody reads the output any more. A reader that has seen enough, like `head`, is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub struct ReaderGone;

/// Prints to standard output.
pub fn print(text: &str) -> Result<()> {
    to_standard_output(io::stdout().write_all(text.as_bytes()))
}

fn to_standard_output(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        written => written.context("standard output"),
    }
}

fn copy(from: &mut NamedTempFile, to: &mut impl Write) -> io::Result<()> {
    from.rewind()?;
    io::copy(from, to).and_then(|_| to.flush())
}

fn is_file_or_none(path: &Path) -> bool {
    path.is_file() || !path.exists()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unwritten(path: &Path) -> String {
    format!("{}: cannot be written; nothing was changed", path.display())
}

fn rename(file: NamedTempFile, path: &Path) -> Result<()> {
    file.persist(path)
        .map(drop)
        .map_err(|failed| failed.error)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// `content` in a file beside `path` that goes away unless it is kept. Like any other file, the umask says who may read it.
fn temporary(folder: &Path, path: &Path, content: &[u8]) -> Result<NamedTempFile> {
    let context = || unwritten(path);
    let mut file = like_any_other().tempfile_in(folder).with_context(context)?;
    file.write_all(content).with_context(context)?;
    Ok(file)
}

#[cfg(unix)]
fn like_any_other() -> tempfile::Builder<'static, 'static> {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};
    let mut builder = tempfile::Builder::new();
    builder.permissions(Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn like_any_other() -> tempfile::Builder<'static, 'static> {
    tempfile::Builder::new()
}
