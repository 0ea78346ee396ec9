use std::time::Duration;

use access::Anchor;
use secrecy::ExposeSecret as _;

use super::Fingerprint;
use crate::testing::{PASSWORD, Setup, setup};

impl Setup {
    /// Shows a password as a request does that asks for content.
    async fn remembered_password(&self, username: &str) -> Fingerprint {
        let fingerprint = self.auth.fingerprint_basic(username, PASSWORD);
        let identity = self.sign_in(username, PASSWORD).await.unwrap();
        self.auth.remember(fingerprint, &identity);
        fingerprint
    }
}

#[tokio::test]
async fn what_a_password_stood_for_is_recalled_for_half_a_minute() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let fingerprint = setup.remembered_password("alice").await;
    setup.clock.advance(Duration::from_secs(29));
    let recalled = setup.auth.recall(&fingerprint).expect("it was shown a moment ago");
    assert_eq!(recalled.principal.user_id(), Some(user.id));
    assert_eq!((recalled.basis.user_id, recalled.basis.anchor), (user.id, Anchor::Account));
    assert!(recalled.limit.is_none());
    setup.clock.advance(Duration::from_secs(1));
    assert!(setup.auth.recall(&fingerprint).is_none());
}

#[tokio::test]
async fn nothing_is_recalled_for_other_credentials() {
    let setup = setup().await;
    setup.user("alice").await;
    setup.remembered_password("alice").await;
    let auth = &setup.auth;
    let moved = format!("e{PASSWORD}");
    for other in [
        auth.fingerprint_basic("alice", "another long password"),
        auth.fingerprint_basic("bob", PASSWORD),
        auth.fingerprint_basic("alic", &moved),
        auth.fingerprint_bearer(PASSWORD),
        auth.fingerprint_bearer(&format!("alice{PASSWORD}")),
    ] {
        assert!(auth.recall(&other).is_none());
    }
}

#[tokio::test]
async fn a_token_is_recalled_with_its_row_and_not_past_its_end() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let end = setup.clock.now() + Duration::from_secs(10);
    let (_, token) = setup.token(user.id, "laptop", Some(end)).await.unwrap();
    let identity = setup.bearer(token.expose_secret()).await.unwrap();
    let fingerprint = setup.auth.fingerprint_bearer(token.expose_secret());
    setup.auth.remember(fingerprint, &identity);
    let recalled = setup.auth.recall(&fingerprint).expect("it was shown a moment ago");
    assert!(matches!(recalled.basis.anchor, Anchor::Token(_)), "{:?}", recalled.basis);
    setup.clock.advance(Duration::from_secs(10));
    assert!(setup.auth.recall(&fingerprint).is_none());
}

#[tokio::test]
async fn an_access_token_is_recalled_with_what_it_came_from() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let (_, token) = setup.token(user.id, "laptop", None).await.unwrap();
    let identity = setup.bearer(token.expose_secret()).await.unwrap();
    let issued = setup.auth.access_token(&identity, Vec::new());
    let identity = setup.bearer(issued.token.expose_secret()).await.unwrap();
    let fingerprint = setup.auth.fingerprint_bearer(issued.token.expose_secret());
    setup.auth.remember(fingerprint, &identity);
    let recalled = setup.auth.recall(&fingerprint).expect("it was shown a moment ago");
    assert!(matches!(recalled.basis.anchor, Anchor::Token(_)), "{:?}", recalled.basis);
    assert!(recalled.limit.grants().is_some(), "what it was issued for limits it as before");
}

#[tokio::test]
async fn nobody_and_refresh_tokens_are_never_recalled() {
    let setup = setup().await;
    setup.user("alice").await;
    let alice = setup.sign_in("alice", PASSWORD).await.unwrap();
    let token = setup.auth.refresh_token_issue(&alice, "docker").await.unwrap().unwrap();
    let refresh = setup.auth.identify_refresh(token.expose_secret()).await.unwrap();
    for identity in [crate::Identity::anonymous(), refresh] {
        let fingerprint = setup.auth.fingerprint_bearer(token.expose_secret());
        setup.auth.remember(fingerprint, &identity);
        assert!(setup.auth.recall(&fingerprint).is_none());
    }
}
