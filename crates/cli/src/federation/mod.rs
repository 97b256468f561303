//! `dure federation`

mod export;
mod manage;
mod verify;

pub use verify::{read_journal, standing};

use crate::{
    args::{self, FederationCommand},
    fail::Fail,
};

/// Makes federations and looks at them; fetches and verifies their journals.
pub fn run(args: &args::Federation) -> Result<String, Fail> {
    match &args.command {
        FederationCommand::Create(args) => manage::create(args),
        FederationCommand::List { server, json } => manage::list(server, *json),
        FederationCommand::Show { remote, json } => manage::show(remote, *json),
        FederationCommand::Export { remote, out } => export::export(remote, out.as_deref()),
        FederationCommand::Verify(args) => verify::run(args),
    }
}
