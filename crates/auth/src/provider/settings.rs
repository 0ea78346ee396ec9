//! What can be set about identity providers. Differences between products are settings, not code.

use std::collections::BTreeMap;
use std::str::FromStr;

use secrecy::SecretString;

/// One identity provider that people sign in with (OpenID Connect Core 1.0).
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    /// Name in paths and in the roles of groups: lower case letters, digits and dashes.
    pub name: String,
    /// Name on the sign-in page.
    pub label: String,
    /// The issuer, byte for byte as its tokens spell it.
    pub issuer: String,
    /// Our name at the provider.
    pub client_id: String,
    /// Our secret at the provider; none for a public client.
    pub client_secret: Option<SecretString>,
    /// How the secret is shown.
    pub client_authentication: ClientAuthentication,
    /// What is asked for at sign-in; `openid` has to be among them.
    pub scopes: Vec<String>,
    /// Algorithms that its signatures may have.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Where its parts are, when that is not to be read from its discovery document.
    pub endpoints: Endpoints,
    /// Where a browser signs out, with `{client_id}` and `{return_to}` to be filled in; for providers whose
    /// discovery document names no end of session.
    pub logout_url: Option<String>,
    /// The claim that a new user is named after; without it `preferred_username`, else the part of the address
    /// before the `@`.
    pub username_claim: Option<String>,
    /// The claim that lists the user's groups; dots lead into objects.
    pub groups_claim: String,
    /// Claims that an ID token has to have with exactly these values, beside what the specification asks.
    pub required_claims: BTreeMap<String, String>,
    /// Whether the first sign-in of somebody unknown makes a user.
    pub create_users: bool,
    /// When not empty: only members of one of these groups come in.
    pub allowed_groups: Vec<String>,
    /// When not empty: only those come in whose verified address is in one of these domains.
    pub allowed_domains: Vec<String>,
    /// Whether, and which, access tokens of the provider count as bearer tokens here.
    pub access_tokens: Option<ProviderAccessTokens>,
    /// Whether clients without a browser may send the provider's passwords through us.
    pub password_grant: PasswordGrant,
}

impl ProviderSettings {
    /// A provider that does what the specifications say, with all that is optional off.
    pub fn new(name: &str, issuer: &str, client_id: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: name.to_owned(),
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            client_authentication: ClientAuthentication::Basic,
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            algorithms: vec![SigningAlgorithm::Rs256],
            endpoints: Endpoints::default(),
            logout_url: None,
            username_claim: None,
            groups_claim: "groups".to_owned(),
            required_claims: BTreeMap::new(),
            create_users: true,
            allowed_groups: Vec::new(),
            allowed_domains: Vec::new(),
            access_tokens: None,
            password_grant: PasswordGrant::Off,
        }
    }
}

/// Where the parts of a provider are. Each that is set takes the place of what discovery says.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// The keys that it signs with (RFC 7517 §5).
    pub jwks_uri: Option<String>,
    /// Where browsers are sent to (RFC 6749 §3.1).
    pub authorization: Option<String>,
    /// Where codes become tokens (RFC 6749 §3.2).
    pub token: Option<String>,
    /// More claims about a user (OpenID Connect Core 1.0 §5.3).
    pub userinfo: Option<String>,
    /// Where browsers sign out (OpenID Connect RP-Initiated Logout 1.0).
    pub end_session: Option<String>,
}

/// How a client shows its secret (OpenID Connect Core 1.0 §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

/// Which access tokens of a provider count here as bearer tokens.
#[derive(Clone, Debug)]
pub struct ProviderAccessTokens {
    /// The claim that says whom the token is for.
    pub audience_claim: AudienceClaim,
    /// What it has to say; our client's name when none is set.
    pub audience: Option<String>,
    /// Claims that the token has to have with exactly these values.
    pub required_claims: BTreeMap<String, String>,
}

/// The claim of an access token that says whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudienceClaim {
    /// `aud` (RFC 9068 §2.2).
    Aud,
    /// `client_id`, where there is no audience.
    ClientId,
}

/// How a password of the provider is checked for clients that have no browser. It goes around the provider's
/// second factor and lets us see passwords, so it is off unless somebody insists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordGrant {
    /// Not at all.
    Off,
    /// By the OAuth 2.0 resource owner password grant (RFC 6749 §4.3).
    OAuth2,
    /// By the `InitiateAuth` call of Amazon Cognito, flow `USER_PASSWORD_AUTH`.
    Cognito {
        /// Where to; the issuer's host when none is set.
        endpoint: Option<String>,
    },
}

/// Asymmetric signature algorithms (RFC 7518 §3.1, RFC 8037 §3.1). There are no others to choose from: what a
/// shared secret signs, or nothing, proves nothing about a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// As a token's header spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The text is not the name of an algorithm that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown signature algorithm, expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA"
)]
pub struct UnknownAlgorithm;

impl FromStr for SigningAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(UnknownAlgorithm)
    }
}
