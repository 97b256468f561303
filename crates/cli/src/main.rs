//! The `dure` binary.

#![warn(clippy::unwrap_used)]

mod args;
mod bench;
mod data;
mod demo;
mod fail;
mod federation;
mod model;
mod output;
mod recipe;
mod show;
mod simulate;
mod source;

use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
    time::Instant,
};

use args::{Args, Command};
use clap::Parser;
use fail::Fail;

fn main() -> ExitCode {
    let started = Instant::now();
    let said = run(Args::parse(), started).and_then(|text| print(&text));
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) => {
            eprintln!("dure: {fail}");
            fail.code()
        }
    }
}

/// What a command has to say, once it is done.
fn run(args: Args, started: Instant) -> Result<String, Fail> {
    match args.command {
        Command::Simulate(args) => simulate::run(&args, started),
        Command::Demo(args) => demo::run(&args, started),
        Command::Federation(args) => federation::run(&args),
        Command::Recipe(args) => recipe::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// Prints to standard output. A reader that has seen enough, like `head`, is no failure.
fn print(text: &str) -> Result<(), Fail> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("standard output").into())
        }
        _ => Ok(()),
    }
}
