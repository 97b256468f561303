//! The `dure` binary.

#![warn(clippy::unwrap_used)]

mod args;
mod bench;
mod data;
mod demo;
mod fail;
mod model;
mod output;
mod recipe;
mod show;
mod simulate;
mod source;

use std::{process::ExitCode, time::Instant};

use args::{Args, Command};
use clap::Parser;
use fail::Fail;

fn main() -> ExitCode {
    let started = Instant::now();
    match run(Args::parse(), started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            eprintln!("dure: {fail}");
            fail.code()
        }
    }
}

fn run(args: Args, started: Instant) -> Result<(), Fail> {
    match args.command {
        Command::Simulate(args) => simulate::run(&args, started),
        Command::Demo(args) => demo::run(&args, started),
        Command::Recipe(args) => recipe::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
