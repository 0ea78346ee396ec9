//! The ways into a repository: the credentials as they are, what they were traded for before, and what they can be
//! traded for at the time.

use testkit::{Answer, Api, Method};

use crate::holder::Login;
use crate::scene::{Fleet, text};

/// A caller of one repository, who keeps what the token service once gave.
pub(crate) struct Doors<'a> {
    fleet: &'a Fleet,
    login: Login,
    repository: String,
    /// An access token from when the credentials were good.
    access_token: String,
    /// A refresh token, which docker keeps in place of a password.
    refresh_token: Option<String>,
    /// From where the servers think that it is asked: failures slow down their address, and the clients have another
    /// one.
    address: String,
}

/// What a door leads through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The registry, with name and secret.
    Registry,
    /// The Python index, with name and secret.
    Index,
    /// The registry, with an access token that is made for name and secret.
    TokenService,
    /// The registry, with the access token from before.
    AccessToken,
    /// The registry, with an access token that is made for the refresh token from before.
    RefreshToken,
}

impl<'a> Doors<'a> {
    /// Signs in, which has to be possible.
    pub(crate) fn open(fleet: &'a Fleet, login: &Login, repository: &str, number: u8) -> Self {
        let mut doors = Self {
            fleet,
            login: login.clone(),
            repository: repository.to_owned(),
            access_token: String::new(),
            refresh_token: None,
            address: format!("198.51.100.{number}"),
        };
        let issued = doors.token(&doors.holder(&fleet.admin)).expect(&[200]).json();
        doors.access_token = text(&issued, "token");
        doors.refresh_token = issued["refresh_token"].as_str().map(str::to_owned);
        doors
    }

    /// Whether a refresh token was given beside the access token.
    pub(crate) fn has_refresh_token(&self) -> bool {
        self.refresh_token.is_some()
    }

    /// The doors that are open at one server.
    #[track_caller]
    pub(crate) fn open_at(&self, server: usize) -> Vec<Door> {
        let server = &self.fleet.each[server];
        let all = [Door::Registry, Door::Index, Door::TokenService, Door::AccessToken, Door::RefreshToken];
        all.into_iter().filter(|door| self.is_open(server, *door)).collect()
    }

    #[track_caller]
    fn is_open(&self, server: &Api, door: Door) -> bool {
        let holder = self.holder(server);
        match door {
            Door::Registry => self.may_pull(&holder),
            Door::Index => {
                let organization = self.repository.split('/').next().unwrap_or_default();
                is_let_in(&self.ask(&holder, &format!("/api/v1/{organization}/main/python/simple/")))
            }
            Door::TokenService => self.may_pull_with(server, &self.token(&holder)),
            Door::AccessToken => self.may_pull(&server.as_bearer(&self.access_token)),
            Door::RefreshToken => {
                let Some(token) = &self.refresh_token else { return false };
                self.may_pull_with(server, &self.refreshed(server, token))
            }
        }
    }

    fn holder(&self, server: &Api) -> Api {
        server.as_user(&self.login.username, &self.login.secret)
    }

    #[track_caller]
    fn may_pull(&self, caller: &Api) -> bool {
        is_let_in(&self.ask(caller, &format!("/v2/{}/tags/list", self.repository)))
    }

    /// Whether what the token service answered is good for a pull.
    #[track_caller]
    fn may_pull_with(&self, server: &Api, issued: &Answer) -> bool {
        is_let_in(issued) && self.may_pull(&server.as_bearer(&text(&issued.json(), "token")))
    }

    /// A token for pulls, as docker asks for it when somebody logs in.
    #[track_caller]
    fn token(&self, caller: &Api) -> Answer {
        let scope = format!("repository:{}:pull", self.repository);
        self.ask(caller, &format!("/token?service=larder&client_id=docker&offline_token=true&scope={scope}"))
    }

    /// The same for the refresh token.
    #[track_caller]
    fn refreshed(&self, server: &Api, token: &str) -> Answer {
        let nobody = server.as_nobody();
        let form = format!(
            "grant_type=refresh_token&service=larder&client_id=docker&refresh_token={token}\
             &scope=repository:{}:pull",
            self.repository
        );
        let request = nobody
            .request(Method::POST, "/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-forwarded-for", &self.address)
            .body(form);
        nobody.send(request)
    }

    #[track_caller]
    fn ask(&self, caller: &Api, path: &str) -> Answer {
        caller.send(caller.request(Method::GET, path).header("x-forwarded-for", &self.address))
    }
}

/// Whether somebody was let in, when they were either that or refused.
#[track_caller]
fn is_let_in(answer: &Answer) -> bool {
    assert!([200, 401, 403].contains(&answer.status), "neither let in nor refused: {answer}");
    answer.status == 200
}
