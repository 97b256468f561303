//! Joins federations: one process runs the clients whose rows it has. Each keeps its lease, asks for tasks, works on its own
//! rows and sends its answer; an answer is on disk before it is sent, so that no restart and no outage loses work.
//!
//! Read the modules in this order:

#![warn(clippy::unwrap_used)]

mod invitation;

mod backoff;
mod calls;
mod http;
mod reply;

mod memory;
mod state;
mod witness;

pub mod policy;

mod share;

mod prepare;
mod recent;
mod work;

mod site;

mod asking;
mod client;
mod fetch;
mod join;
mod upload;

pub mod page;
pub mod status;

mod config;
mod error;
mod run;

pub use config::{AgentConfig, Clock, Ended, Place};
pub use error::AgentError;
pub use http::Carrier;
pub use invitation::{Invitation, InvitationError};
pub use memory::{Memory, Pending, Remembered, Tally};
pub use policy::{Policy, PolicyError};
pub use run::{federation, federation_when_there, run, run_at};
pub use state::{RECIPE_FILE, StateError};
