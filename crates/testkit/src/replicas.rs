//! Several servers over one database and one bucket behind one address.

use crate::balancer::Haproxy;
use crate::bucket::{Bucket, S3};
use crate::postgres::{Database, Postgres};
use crate::{Api, Options, Server, random_word};

/// Servers that share everything they keep, and the balancer in front of them.
#[derive(Debug)]
pub struct Replicas {
    // The balancer ends first: it would log the end of the others.
    balancer: Haproxy,
    servers: Vec<Server>,
    database: Database,
    bucket: Bucket,
    admin_password: String,
}

impl Replicas {
    /// Starts `count` servers at the same time, as an orchestrator does, and the balancer. They have a new
    /// database and a new bucket unless `options` name some.
    ///
    /// Panics with the log of whatever does not start.
    pub fn start(count: usize, options: Options) -> Self {
        let mut balancer = Haproxy::new();
        let database = options.database.clone().unwrap_or_else(|| Postgres::shared().database());
        let bucket = options.bucket.clone().unwrap_or_else(|| S3::shared().bucket());
        let admin_password = options.admin_password.clone().unwrap_or_else(random_word);
        let mut options = options.postgres(&database).bucket(&bucket).admin_password(&admin_password);
        // What the test sets counts more.
        options.env.splice(0..0, balancer.environment());
        let servers: Vec<Server> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..count)
                .map(|_| {
                    let options = options.clone();
                    scope.spawn(|| Server::start_one(options))
                })
                .collect();
            // All of them first: a server that does not start must not leave the others' threads behind.
            let ends: Vec<_> = starts.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            ends.into_iter().map(|end| end.expect("every replica starts, see its log above")).collect()
        });
        balancer.start(&servers.iter().map(Server::address).collect::<Vec<_>>());
        let replicas = Self { balancer, servers, database, bucket, admin_password };
        replicas.balancer.wait_until_healthy(count);
        replicas
    }

    /// The balancer's address, without a slash at the end: `http://localhost:PORT`.
    pub fn url(&self) -> String {
        self.balancer.url()
    }

    /// What stands before the first slash of a reference: the balancer's `localhost:PORT`.
    pub fn host(&self) -> String {
        self.balancer.host()
    }

    /// A full reference to `name`, such as `demo/main/hello:1`, through the balancer.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// The password of the account `admin`.
    pub fn admin_password(&self) -> &str {
        &self.admin_password
    }

    /// The management API and the raw registry as the administrator, through the balancer.
    pub fn api(&self) -> Api {
        Api::new(self.url(), "admin", &self.admin_password)
    }

    /// How many there are, running or not.
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// One of them, counted from 0, past the balancer.
    pub fn replica(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    /// One of them as its administrator, past the balancer.
    pub fn replica_api(&self, number: usize) -> Api {
        self.servers[number].api()
    }

    /// The balancer.
    pub fn balancer(&mut self) -> &mut Haproxy {
        &mut self.balancer
    }

    /// What they all keep their rows in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What they all keep their objects in.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Ends one of them as a crash would. The balancer finds out by itself.
    pub fn kill9(&mut self, number: usize) {
        self.servers[number].kill9();
    }

    /// Asks one of them to end, as a service manager does, and waits for it.
    pub fn stop(&mut self, number: usize) {
        self.servers[number].stop();
    }

    /// Starts one of them again on its port, ending it first if it still runs, and waits until it is ready.
    /// The balancer gives it requests a moment later: [`Haproxy::wait_until_healthy`].
    pub fn restart(&mut self, number: usize) {
        self.servers[number].restart();
    }
}
