//! The mathematics and the rules of a federation.
//!
//! Pure and synchronous: no clock, no file, no socket, no entropy. Callers pass the time, the seed and the bytes, so the
//! same code runs in a test, in the simulator and behind the server.
//!
//! Read the modules in this order:

#![warn(clippy::unwrap_used)]

pub mod model;
pub mod update;

pub mod combine;
pub mod optimizer;
pub mod strategy;

pub mod codec;
pub mod statistics;

pub mod cohort;
pub mod plan;

pub mod round;

pub mod federation;
pub mod job;

pub mod event;
pub mod journal;

pub mod digest;
pub mod excerpt;
pub mod name;
pub mod random;
pub mod time;
