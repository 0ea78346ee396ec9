//! The page "From one machine to many", as a reader would type it.

use std::path::Path;
use std::time::Duration;

use testkit::bucket::S3;
use testkit::page::Page;
use testkit::postgres::Postgres;
use testkit::{Sandbox, Server, run, run_within};

use crate::{options, push};

const LIMIT: Duration = Duration::from_mins(2);
const PORTS: [&str; 3] = ["5001", "5002", "5003"];

/// The commands of the page, in order, on ports that are free here.
fn commands(ports: &[String; 3]) -> String {
    let page = Page::read("docs/from-one-machine-to-many.md");
    let page = PORTS.iter().zip(ports).fold(page, |page, (shown, free)| page.with(shown, free));
    page.commands(&["grow"])
}

#[test]
fn the_page_works_line_by_line() {
    let home = Sandbox::new();
    let (database, bucket) = (Postgres::shared().database(), S3::shared().bucket());
    let mut small = Server::start(options());
    push(&small.api(), "v1");
    small.stop();
    run(&mut small.command(&["backup", "--to", &home.file("larder-backup")])).success();
    std::fs::create_dir(home.file("larder-data")).expect("the home of the test is empty");
    std::fs::copy(small.data_directory().join("sealing.key"), home.file("larder-data/sealing.key"))
        .expect("a server on one machine has made its key");

    let ports = [0; 3].map(|_| testkit::free_port().to_string());
    let program = Path::new(env!("CARGO_BIN_EXE_larder")).parent().expect("a file is in a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    // Servers that run in the background end with the script, however that ends.
    let script = format!("trap 'kill $(jobs -p); wait' EXIT\n{}", commands(&ports));
    let script = home.write("grow.sh", script);
    let mut command = home.command("bash");
    command
        .args(["-euxo", "pipefail", &script])
        .env("PATH", path)
        .env("PUBLIC_URL", format!("http://localhost:{}", ports[0]))
        .env("LARDER_DATABASE__URL", database.url())
        .env("LARDER_STORAGE__URL", bucket.url())
        .envs(bucket.env());
    run_within(LIMIT, &mut command)
        .success()
        .says("the configuration is in order")
        .says("would apply 0001")
        .says(": 0 suspects")
        .says("ready")
        .says("review queue: ");
}
