//! A whole federation in one thread: the real server and the real agents, under a virtual clock, on disks that forget what was
//! not synced, over a network that loses and repeats. What happens is drawn from a seed; whatever it is, the laws hold.
//!
//! Read the modules in this order:

pub mod history;

pub mod life;

pub mod database;
pub mod disk;
pub mod network;
pub mod records;

pub mod operator;
pub mod server;
pub mod site;

pub mod laws;

pub mod world;
