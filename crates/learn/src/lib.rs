//! Local training: what a client does with its own rows.
//!
//! Read the modules in this order:

#![warn(clippy::unwrap_used)]

pub mod schema;

pub mod data;
pub mod partition;
pub mod split;
pub mod standardise;

pub mod local_optimizer;
pub mod loss;
pub mod network;

pub mod mask;
pub mod own;

pub mod client;
pub mod task;
pub mod work;
pub mod world;

pub mod recipe;

mod draw;
