//! Runs a command beside a PostgreSQL server of its own, whose address is in `LARDER_TEST_POSTGRES_URL`:
//! `cargo run -p testkit --example with_postgres -- cargo test -p db`.

use std::process::{Command, ExitCode};

use testkit::postgres::Postgres;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("name the command to run");
        return ExitCode::FAILURE;
    };
    let server = Postgres::start_with(&[("fsync", "off")]);
    let database = server.database();
    // Each test of the command makes a database for itself.
    server.execute("ALTER ROLE larder CREATEDB");
    let status = Command::new(program)
        .args(arguments)
        .env("LARDER_TEST_POSTGRES_URL", database.url())
        .status()
        .expect("the command can be started");
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
