//! The built binary, real processes, real sockets on loopback.

mod between;
mod clocks;
mod disk;
mod golden;
mod harness;
mod layer;

mod asynchronous;
mod bits;
mod callers;
mod curl;
mod demo;
mod faults;
mod kills;
mod membership;
mod own_table;
mod proxy;
mod resources;
mod serving;
mod trace;
mod view;
