//! The dashboard, which this binary carries.

use dure_server::page::Page;
use include_dir::{Dir, include_dir};

/// What `npm run build` has made; empty where the dashboard was not built.
static BUILT: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../dashboard/dist");

/// Its files.
pub fn built() -> Page {
    &BUILT
}
