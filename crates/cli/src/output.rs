//! Files that are there whole or not at all.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tempfile::NamedTempFile;

/// A folder that results go to.
pub struct Output {
    folder: PathBuf,
}

impl Output {
    /// Makes the folder if need be, and sees that it can be written before any work is done.
    pub fn open(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        std::fs::create_dir_all(folder).with_context(|| format!("{shown}: cannot be made"))?;
        NamedTempFile::new_in(folder).with_context(|| format!("{shown}: cannot be written to"))?;
        Ok(Self { folder: folder.into() })
    }

    /// Writes all of `files` (name, content). If one cannot be written, none is there, and older ones stay as they were.
    pub fn write(&self, files: &[(&str, &[u8])]) -> Result<()> {
        let mut written = Vec::new();
        for (name, content) in files {
            written.push((name, temporary(&self.folder, &self.folder.join(name), content)?));
        }
        for (name, file) in written {
            let path = self.folder.join(name);
            file.persist(&path).with_context(|| format!("{}: cannot be written", path.display()))?;
        }
        Ok(())
    }
}

/// Writes one file, whole or not at all.
pub fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    temporary(folder, path, content)?
        .persist(path)
        .with_context(|| format!("{}: cannot be written", path.display()))?;
    Ok(())
}

/// `content` in a file beside `path` that goes away unless it is kept.
fn temporary(folder: &Path, path: &Path, content: &[u8]) -> Result<NamedTempFile> {
    let context = || format!("{}: cannot be written; nothing was changed", path.display());
    let mut file = NamedTempFile::new_in(folder).with_context(context)?;
    file.write_all(content).with_context(context)?;
    #[cfg(unix)]
    {
        // Temporary files are for their owner alone; results are like any other file.
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).with_context(context)?;
    }
    Ok(file)
}
