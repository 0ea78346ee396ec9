//! Signing out at a provider as well.

use url::Url;

use super::client::Endpoint;
use crate::Auth;

impl Auth {
    /// Where to send a browser that signed out here so that it signs out at the provider too, and comes back to
    /// `return_to`, an absolute address that the provider has to know. None when the provider has no such place, or
    /// does not answer: whoever signed out here is signed out here.
    pub async fn provider_logout_url(&self, name: &str, return_to: &str) -> Option<String> {
        let provider = self.0.providers.find(name)?;
        let settings = &provider.settings;
        if let Some(template) = &settings.logout_url {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let filled = template
                .replace("{client_id}", &encode(&settings.client_id))
                .replace("{return_to}", &encode(return_to));
            return Some(filled);
        }
        let endpoint = provider.endpoint(&self.0.providers.issuers, Endpoint::EndSession).await.ok()??;
        let mut url = Url::parse(&endpoint).ok()?;
        if url.scheme() != "https" && !provider.issuer.reach.contains(url.as_str()) {
            return None;
        }
        // OpenID Connect RP-Initiated Logout 1.0 §2: without an ID token at hand the provider asks the user first.
        url.query_pairs_mut()
            .append_pair("client_id", &settings.client_id)
            .append_pair("post_logout_redirect_uri", return_to);
        Some(url.into())
    }
}
