//! The dashboard in a browser.

use std::{
    io::{self, IsTerminal as _},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

/// The address that shows `path` of a server's dashboard and signs in by itself. The token is in the fragment, which browsers send
/// nowhere; the page exchanges it for a session and takes it out of the address.
pub fn link(server: &str, path: &str, token: &str) -> String {
    format!("{}/sign-in?back={path}#token={token}", server.trim_end_matches('/'))
}

/// Whether somebody is likely to look: there is a terminal, and a display to show a browser on.
pub fn is_there() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let display = cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY");
    display && std::io::stdout().is_terminal() && !set("CI")
}

/// Opens a link by what the desktop has for that. Whoever sees the list of processes sees the link
/// for as long as that runs.
pub fn open(link: &str) -> io::Result<()> {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // In a group of its own: a browser that it becomes outlives a Ctrl-C.
    let mut child =
        command.process_group(0).spawn().map_err(|error| io::Error::new(error.kind(), format!("{opener}: {error}")))?;
    std::thread::spawn(move || child.wait());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_the_fragment_alone() {
        let made = link("http://127.0.0.1:3873/", "/federations/fitbit", "5ec2e7");
        assert_eq!(made, "http://127.0.0.1:3873/sign-in?back=/federations/fitbit#token=5ec2e7");
    }
}
