//! `dure invite`

use std::io::{IsTerminal as _, stderr};

use anyhow::anyhow;
use dure_wire::api::{FederationView, InvitationSpec, InvitationView};
use reqwest::Url;
use serde_json::json;

use crate::{
    args::Invite,
    fail::Fail,
    remote::{Remote, is_loopback},
    show,
    words::plain,
};

/// Makes, lists and takes back invitations.
pub fn run(args: &Invite) -> Result<String, Fail> {
    let (remote, view) = Remote::federation(&args.remote)?;
    match args.revoke {
        Some(id) => {
            remote.delete(&format!("invitations/{id}"), None::<&()>)?;
            Ok(format!("invitation {id} lets nobody join any more\n"))
        }
        None if args.list => list(&remote, args.json),
        None => invite(args, &remote, &view),
    }
}

/// Prints what joins and nothing else, so that it can go to a file.
fn invite(args: &Invite, remote: &Remote, view: &FederationView) -> Result<String, Fail> {
    let Invite { uses, expires: expires_in_s, note, .. } = args;
    let spec = InvitationSpec { uses: *uses, expires_in_s: *expires_in_s, note: note.clone().unwrap_or_default() };
    let (_, told): (bool, InvitationView) = remote.post("invitations", Some(&spec))?;
    let token = told.token.as_ref().ok_or_else(|| anyhow!("the server has told no token of invitation {}", told.id))?;
    let invitation = format!("{}/{}#{token}", remote.server(), view.name);
    if args.json {
        let mut json = json!(told);
        json["invitation"] = invitation.into();
        return Ok(format!("{json:#}\n"));
    }
    hint(remote.server());
    Ok(invitation + "\n")
}

/// What to do with it, where somebody looks.
fn hint(server: &str) {
    if !stderr().is_terminal() {
        return;
    }
    eprintln!("A site joins with what follows, in a file: dure join --invitation FILE --data DIR");
    if Url::parse(server).is_ok_and(|url| is_loopback(&url)) {
        eprintln!("It works on this machine only; for others name the server as they reach it, with --server.");
    }
}

fn list(remote: &Remote, json: bool) -> Result<String, Fail> {
    let views: Vec<InvitationView> = remote.get("invitations")?;
    if json {
        return Ok(serde_json::to_string_pretty(&views)? + "\n");
    }
    if views.is_empty() {
        return Ok("no invitation; `dure invite` makes one\n".into());
    }
    let row = |view: &InvitationView| {
        let uses = view.uses.map_or_else(|| "any number".into(), |uses| uses.to_string());
        let expires = view.expires.as_deref().map_or_else(|| "never".into(), plain);
        vec![view.id.to_string(), format!("{} of {uses}", view.used), expires, plain(&view.note)]
    };
    Ok(format!("{}\n", show::listing(&["invitation", "used", "expires", "note"], views.iter().map(row))))
}
