//! Fetches a model version's file.

use std::path::Path;

use anyhow::anyhow;
use dure_core::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::versions::version;
use crate::{args::RemoteArgs, fail::Fail, output::Whole, remote::Remote, show::bytes};

/// Writes the file, if its digest is the version's.
pub fn get(which: Option<&str>, args: &RemoteArgs, out: &Path) -> Result<String, Fail> {
    let (remote, federation) = Remote::federation(args)?;
    let view = version(&remote, &federation, which)?;
    let mut download = remote.download(&format!("models/{}/weights", view.version), None)?;
    let named = download.etag().map(str::to_owned);
    let (mut file, mut hash, mut size) = (Whole::begin(Some(out))?, Sha256::new(), 0);
    while let Some(piece) = download.next()? {
        hash.update(&piece);
        file.write(&piece)?;
        size += piece.len() as u64;
    }
    let (digest, want) = (Digest(hash.finalize().into()), view.sha256);
    if digest != want || named.is_some_and(|named| named != want.to_string()) {
        let version = view.version;
        return Err(anyhow!(
            "version {version} should have the digest {want}; what came has {digest}. Nothing was written"
        )
        .into());
    }
    file.keep()?;
    Ok(format!("version {} written to {} ({})\nsha256 {digest}\n", view.version, out.display(), bytes(size)))
}
