//! The program: command line, configuration, wiring, signals.

mod bootstrap;
mod command;
mod logging;
mod open;
mod sealing;
mod settings;
mod snapshot;
mod worker;

use std::process::ExitCode;

use clap::Parser as _;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _scenario = fail::FailScenario::setup();
    let command = command::Larder::parse();
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            // One line: what, why. The causes follow on the same line, outermost first.
            eprintln!("larder: {error:#}");
            ExitCode::FAILURE
        }
    }
}
