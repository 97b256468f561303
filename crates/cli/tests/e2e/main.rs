//! The built binary, real processes, real sockets on loopback.

mod golden;
mod harness;
mod layer;

mod bits;
mod callers;
mod curl;
mod demo;
mod faults;
mod membership;
mod serving;
