//! The `dure` binary.

#![warn(clippy::unwrap_used)]

mod args;
mod bench;
mod browser;
mod client;
mod data;
mod demo;
mod facts;
mod fail;
mod federation;
mod invite;
mod job;
mod join;
mod model;
mod output;
mod page;
mod process;
mod recipe;
mod remote;
mod report;
mod serve;
mod show;
mod simulate;
mod source;
mod view;
mod words;

use std::{process::ExitCode, time::Instant};

use args::{Args, Command};
use clap::Parser;
use fail::Fail;

fn main() -> ExitCode {
    let started = Instant::now();
    let said = run(Args::parse(), started).and_then(|text| Ok(output::print(&text)?));
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(fail) if fail.is_reader_gone() => ExitCode::SUCCESS,
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
        Command::Serve(args) => serve::run(&args),
        Command::Join(args) => join::join(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Federation(args) => federation::run(&args),
        Command::Invite(args) => invite::run(&args),
        Command::Client(args) => client::run(&args),
        Command::Job(args) => job::run(&args),
        Command::Recipe(args) => recipe::run(&args),
        Command::Data(args) => data::run(&args),
        Command::Model(args) => model::run(&args),
        Command::View(args) => view::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
