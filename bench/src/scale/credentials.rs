//! What it costs to know who is asking: reads of manifests with each kind of credentials, beside those of nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use testkit::{Method, Visibility};
use tokio::task::JoinSet;

use super::load::block_on;
use super::place::{Kind, Place};
use crate::client::{Client, REPOSITORY, Target};
use crate::workload::{Fixture, Workload};

/// Connections that read at once.
const CONNECTIONS: usize = 8;
/// How long one kind of credentials is used before it is another's turn.
const TURN: Duration = Duration::from_millis(250);
/// Images whose manifests are read.
const IMAGES: usize = 200;

/// What a client sends to say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Credential {
    /// A bearer token that anybody gets for a public registry.
    Anonymous,
    /// A bearer token that a user fetched.
    Bearer,
    /// A user's name and password on every request.
    Password,
    /// A personal token on every request.
    PersonalToken,
}

impl Credential {
    /// All, the one first that the others are compared with.
    pub(crate) const ALL: [Self; 4] = [Self::Anonymous, Self::Bearer, Self::Password, Self::PersonalToken];

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous bearer token",
            Self::Bearer => "user's bearer token",
            Self::Password => "password (Basic)",
            Self::PersonalToken => "personal token (Basic)",
        }
    }
}

/// What one pair of a database and a store found.
#[derive(Debug, Serialize)]
pub(crate) struct Credentials {
    /// On what.
    pub(crate) kind: Kind,
    /// Manifests read in a second, in the order of [`Credential::ALL`].
    pub(crate) rates: [f64; 4],
}

impl Credentials {
    /// How many a second with these credentials.
    pub(crate) fn rate(&self, credential: Credential) -> f64 {
        let found = Credential::ALL.iter().zip(self.rates).find(|(known, _)| **known == credential);
        found.map_or(f64::NAN, |(_, rate)| rate)
    }

    /// The same in relation to those of nobody.
    pub(crate) fn ratio(&self, credential: Credential) -> f64 {
        self.rate(credential) / self.rate(Credential::Anonymous)
    }
}

/// Measures one server with all kinds in turn, so that whatever else the machine does slows down each of them.
pub(crate) fn measure(program: &Path, kind: Kind, rounds: u32) -> anyhow::Result<Credentials> {
    let place = Place::start(kind, program, &[("LARDER_LOG__LEVEL", "warn")]);
    place.server().api().registry_update("demo", "main", Visibility::Public).expect(&[200]);
    let targets = Credential::ALL.map(|credential| target(&place, credential));
    block_on(async move {
        let owner = place.target()?;
        let fixture = Arc::new(Fixture::set_up(&owner, &[Workload::ManifestGet], IMAGES).await?);
        let mut crews = Vec::new();
        for target in targets {
            crews.push(Crew::new(target?, &fixture).await?);
        }
        // The first request of each is not counted: a password costs a slow hash once.
        for crew in &mut crews {
            crew.work(TURN).await?;
        }
        let mut counts = [0_u64; 4];
        let mut times = [Duration::ZERO; 4];
        for round in 0..rounds as usize {
            for turn in 0..crews.len() {
                let index = (round + turn) % crews.len();
                let begun = Instant::now();
                counts[index] += crews[index].work(TURN).await?;
                times[index] += begun.elapsed();
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "nobody counts to 2^52 here")]
        let rate = |index: usize| counts[index] as f64 / times[index].as_secs_f64();
        Ok(Credentials { kind, rates: [rate(0), rate(1), rate(2), rate(3)] })
    })?
}

fn target(place: &Place, credential: Credential) -> anyhow::Result<Target> {
    let address = place.server().address();
    let api = place.server().api();
    let bearer = |api: &testkit::Api| {
        let path = format!("/token?service=larder&scope=repository:{REPOSITORY}:pull");
        let answer = api.send(api.request(Method::GET, &path)).expect(&[200]).json();
        let token = answer["token"].as_str().context("the token service's answer has no token")?;
        anyhow::Ok(format!("Bearer {token}"))
    };
    let basic = |name: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
    let authorization = match credential {
        Credential::Anonymous => bearer(&api.as_nobody())?,
        Credential::Bearer => bearer(&api)?,
        Credential::Password => basic(api.username(), api.password()),
        Credential::PersonalToken => {
            let made = api.token_create("bench");
            basic("__token__", made["token"].as_str().context("the answer has no token")?)
        }
    };
    Ok(Target::at(address, authorization))
}

/// Some connections with the same credentials.
struct Crew {
    clients: Vec<Client>,
    fixture: Arc<Fixture>,
}

impl Crew {
    async fn new(target: Target, fixture: &Arc<Fixture>) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(target.connect().await?);
        }
        Ok(Self { clients, fixture: Arc::clone(fixture) })
    }

    /// Reads for some time, and tells how many manifests.
    async fn work(&mut self, time: Duration) -> anyhow::Result<u64> {
        let until = Instant::now() + time;
        let mut working = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let fixture = Arc::clone(&self.fixture);
            working.spawn(async move {
                let mut count = 0_u64;
                while Instant::now() < until {
                    fixture.operate(Workload::ManifestGet, &mut client).await?;
                    count += 1;
                }
                anyhow::Ok((client, count))
            });
        }
        let mut total = 0;
        while let Some(ended) = working.join_next().await {
            let (client, count) = ended.context("a client's task ended early")??;
            self.clients.push(client);
            total += count;
        }
        Ok(total)
    }
}
