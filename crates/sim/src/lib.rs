//! A whole federation in one process: the same state machine, updates and bytes as a real one, with memory in place of
//! stores and sockets. Clients are trained on as many threads as are given; the bits do not depend on how many.
//!
//! Read the modules in this order:

#![warn(clippy::unwrap_used)]

pub mod clients;
mod past;
pub mod simulation;

pub mod baselines;
pub mod replay;
pub mod report;

pub mod repeat;

pub use replay::replay;
pub use simulation::{Progress, SimError, Simulation, simulate, simulate_into};
