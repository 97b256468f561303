//! The built binary, real processes, real sockets on loopback.

mod golden;
mod harness;

mod bits;
mod callers;
mod curl;
mod demo;
mod membership;
mod serving;
