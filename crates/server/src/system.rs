//! What the system says when it has no more to give.

use std::io;

/// Whether this process, or the machine, has as many files open as it may: EMFILE and ENFILE, on Linux and macOS alike.
pub fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
