//! The table of credentials and of what ends them, and how a client goes through it.

use std::time::{Duration, Instant};

use testkit::{Output, Sandbox};

use crate::doors::{Door, Doors};
use crate::holder::{Credential, Holder, Login, Named, Platform, Revocation};
use crate::scene::{Fleet, Organization, REPLICAS};

/// What ends everything of an account.
const OF_ACCOUNT: &[Revocation] =
    &[Revocation::MembershipRemoved, Revocation::AccountDisabled, Revocation::AccountDeleted];

/// Each kind of credentials with what ends it beside that.
const ROWS: &[(Credential, &[Revocation])] = &[
    (Credential::Password, &[Revocation::PasswordChanged]),
    (Credential::PersonalToken, &[Revocation::TokenDeleted]),
    (Credential::ServiceToken, &[Revocation::TokenDeleted]),
    (Credential::JobToken(Platform::GitHub, Named::Any), &[Revocation::BindingDeleted]),
    (Credential::JobToken(Platform::GitHub, Named::Account), &[Revocation::BindingDeleted]),
    (Credential::JobToken(Platform::GitLab, Named::Any), &[Revocation::BindingDeleted]),
    (Credential::JobToken(Platform::GitLab, Named::Account), &[Revocation::BindingDeleted]),
    (Credential::Exchanged(Platform::GitHub), &[Revocation::BindingDeleted, Revocation::TokenBurned]),
    (Credential::Exchanged(Platform::GitLab), &[Revocation::BindingDeleted, Revocation::TokenBurned]),
    (Credential::Minted(Platform::GitHub), &[Revocation::BindingDeleted, Revocation::TokenBurned]),
    (Credential::Minted(Platform::GitLab), &[Revocation::BindingDeleted, Revocation::TokenBurned]),
];

/// Within which time what was revoked has to be over, the client's own failure not counted.
const OVER_WITHIN: Duration = Duration::from_secs(2);

/// What a client says when it is refused, depending on whether it shows the server's words or the status.
const REFUSED: &[&str] = &["unauthorized", "denied", "401", "403"];

/// A program that pushes to a registry.
pub(crate) trait Client {
    /// Gives the credentials to the client, where it keeps any between two runs.
    fn sign_in(&self, visit: &Visit<'_>) -> Option<Output>;

    /// Sends something to the repository of the visit.
    fn push(&self, visit: &Visit<'_>) -> Output;

    /// Gets it back, where the client does that.
    fn pull(&self, _visit: &Visit<'_>) -> Option<Output> {
        None
    }
}

/// What a client has in front of it.
pub(crate) struct Visit<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) login: Login,
    /// A home that no other visit has.
    pub(crate) home: Sandbox,
    /// `localhost:PORT`, the balancer's.
    pub(crate) host: String,
    /// The last part of the repository's name.
    pub(crate) name: String,
}

impl Visit<'_> {
    /// The full reference of the repository.
    pub(crate) fn reference(&self) -> String {
        format!("{}/{}", self.host, self.organization.repository(&self.name))
    }
}

/// Goes with a client through the whole table.
pub(crate) fn go_through(client: &dyn Client) {
    let fleet = Fleet::shared();
    let organization = Organization::new(fleet);
    let cells = ROWS.iter().flat_map(|(credential, own)| {
        own.iter().chain(OF_ACCOUNT).map(move |revocation| (*credential, *revocation))
    });
    for (number, (credential, revocation)) in cells.enumerate() {
        // Whoever reads of a failure reads where it happened.
        eprintln!("--- {credential:?}, {revocation:?}");
        let holder = Holder::new(&organization, credential);
        let visit = Visit {
            organization: &organization,
            login: holder.login.clone(),
            home: Sandbox::new(),
            host: fleet.host(),
            name: format!("app-{number}"),
        };
        let number = u8::try_from(number).expect("the table is short");
        go(client, fleet, &visit, &holder, (credential, revocation), number);
    }
}

fn go(
    client: &dyn Client,
    fleet: &Fleet,
    visit: &Visit<'_>,
    holder: &Holder<'_>,
    (credential, revocation): (Credential, Revocation),
    number: u8,
) {
    if let Some(output) = client.sign_in(visit) {
        output.success();
    }
    client.push(visit).success();
    if let Some(output) = client.pull(visit) {
        output.success();
    }

    // Every server lets them in, and remembers whatever it remembers.
    let repository = visit.organization.repository(&visit.name);
    let doors = Doors::open(fleet, &visit.login, &repository, number);
    let mut expected = vec![Door::Registry, Door::Index, Door::TokenService, Door::AccessToken];
    // A token of its own is given for a password alone: nothing else need be kept out of what docker writes down.
    assert_eq!(doors.has_refresh_token(), credential == Credential::Password);
    if doors.has_refresh_token() {
        expected.push(Door::RefreshToken);
    }
    for server in 0..REPLICAS {
        assert_eq!(doors.open_at(server), expected, "at server {server}");
    }

    holder.revoke(revocation);
    let revoked = Instant::now();
    // Not within two seconds: with the next request.
    for server in 0..REPLICAS {
        assert_eq!(doors.open_at(server), [], "still open at server {server}");
    }
    assert!(revoked.elapsed() < OVER_WITHIN, "it took {:?} to ask", revoked.elapsed());

    client.push(visit).failure().says_one_of(REFUSED);
    if let Some(output) = client.pull(visit) {
        output.failure().says_one_of(REFUSED);
    }
    // Who is no member any more has an account nevertheless.
    match client.sign_in(visit) {
        Some(output) if revocation == Revocation::MembershipRemoved => drop(output.success()),
        Some(output) => drop(output.failure().says_one_of(REFUSED)),
        None => {}
    }
}
