//! The program is killed, and what it had acknowledged has to be there when it comes back: at random moments
//! under load (`kills`), and at each of the points in its own code that a test can ask for (`points`).
//!
//! Built with the feature `failpoints`. `LARDER_CRASH_KILLS` sets the number of random kills, and
//! `LARDER_CRASH_SEED` makes the clients choose again what they chose before.

mod content;
mod kills;
mod model;
mod package;
mod points;
mod scenario;
mod verify;
mod wire;
mod worker;

use testkit::{Server, run};

/// The server's collector and its check of everything, run over the data of a server: afterwards nothing
/// half-written may be left. Gives the numbers of objects and of manifests.
#[track_caller]
fn collect_and_scrub(server: &Server) -> (usize, usize) {
    run(server.command(&["gc", "--once"]).env("LARDER_GC__GRACE", "0s").env("LARDER_GC__TRASH_DELAY", "0s"))
        .success();
    let scrub = run(&mut server.command(&["scrub"])).success().says(" 0 suspects");
    let numbers: Vec<usize> = scrub.stdout.split(' ').filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        // "read N objects and N manifests, N bytes: N suspects"
        &[objects, manifests, _, 0] => (objects, manifests),
        _ => panic!("scrub says something else than expected:\n{scrub}"),
    }
}
