use std::time::{Duration, Instant};

use testkit::fault::Proxy;
use testkit::postgres::Postgres;

#[test]
fn a_database_has_an_owner_rows_and_a_collation_that_is_not_byte_order() {
    let database = Postgres::shared().database();
    database.execute(
        "CREATE TABLE letters (letter TEXT); INSERT INTO letters VALUES ('b'), ('a'), ('B'), (NULL), ('x y'), ('')",
    );
    let rows = database.query("SELECT letter, 1 FROM letters WHERE letter < 'c' ORDER BY letter");
    assert_eq!(rows, [["", "1"], ["a", "1"], ["b", "1"], ["B", "1"]]);
    assert!(database.query("SELECT letter FROM letters WHERE letter = 'z'").is_empty());
    let session = "SELECT current_user, current_setting('TimeZone'), current_setting('is_superuser')";
    assert_eq!(database.query(session), [["larder", "UTC", "off"]]);
}

#[test]
fn a_dropped_database_is_gone_and_others_stay() {
    let (one, other) = (Postgres::shared().database(), Postgres::shared().database());
    let again = one.clone();
    let exist = || {
        let names = format!(
            "SELECT count(*) FROM pg_database WHERE datname IN ('{}', '{}')",
            again.name(),
            other.name()
        );
        Postgres::shared().query(&names)
    };
    drop(one);
    assert_eq!(exist(), [["2"]], "one handle is left");
    let name = again.name().to_owned();
    drop(again);
    let left = Postgres::shared().query(&format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"));
    assert!(left.is_empty());
}

#[test]
fn data_outlive_a_stop_and_a_crash_on_the_same_port() {
    let mut postgres = Postgres::start();
    assert_eq!(postgres.query("SHOW fsync"), [["on"]]);
    let database = postgres.database();
    database.execute("CREATE TABLE kept (number BIGINT); INSERT INTO kept VALUES (1)");
    let address = postgres.address();
    postgres.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
    postgres.start_again();
    database.execute("INSERT INTO kept VALUES (2)");
    postgres.kill9();
    postgres.start_again();
    assert_eq!(
        (postgres.address(), database.query("SELECT count(*) FROM kept")),
        (address, vec![vec!["2".to_owned()]])
    );
}

#[test]
fn connections_are_cut_on_the_server_and_in_between() {
    let postgres = Postgres::shared();
    let database = postgres.database();
    let sleeping = || {
        let sessions = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND query LIKE '%pg_sleep%'",
            database.name()
        );
        postgres.query(&sessions) == [["1"]]
    };
    let proxy = Proxy::tcp(postgres.address());
    let through = database.through(&proxy);
    assert!(through.url().contains(&format!("127.0.0.1:{}/", proxy.port())));
    for cut in [&(|| assert_eq!(database.cut_connections(), 1)) as &dyn Fn(), &|| proxy.cut()] {
        let mut client = std::process::Command::new("psql")
            .args([&through.url(), "-c", "SELECT pg_sleep(60)"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("psql can be started");
        let start = Instant::now();
        while !sleeping() {
            assert!(start.elapsed() < Duration::from_secs(20), "the session does not begin");
        }
        cut();
        assert!(!client.wait().expect("psql ends").success());
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
