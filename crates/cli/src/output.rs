//! Files that are there whole or not at all.

use std::{
    io::Write as _,
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
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if path.exists() && !path.is_file() {
        return std::fs::write(path, content).with_context(|| format!("{}: cannot be written", path.display()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rename(temporary(folder, path, content)?, path)
}

fn rename(file: NamedTempFile, path: &Path) -> Result<()> {
    file.persist(path)
        .map(drop)
        .map_err(|failed| failed.error)
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// `content` in a file beside `path` that goes away unless it is kept. Like any other file, the umask says who may read it.
fn temporary(folder: &Path, path: &Path, content: &[u8]) -> Result<NamedTempFile> {
    let context = || format!("{}: cannot be written; nothing was changed", path.display());
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
