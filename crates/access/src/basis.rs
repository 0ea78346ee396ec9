//! What credentials stand on.

/// The rows that credentials stand on, as they were when the credentials were read. While these are the same, the
/// credentials mean what they meant then, so that whoever asks for something else in the same database can ask for
/// them along with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Key of the account.
    pub user_id: i64,
    /// Epoch of the account: whatever changes who may sign in to it or what it is raises it.
    pub epoch: i64,
    /// The row beside the account.
    pub anchor: Anchor,
}

/// The row that credentials stand on beside their account: without it they are over. What it allows never changes
/// while it is there; when it ends may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// None: the account alone.
    #[default]
    Account,
    /// A stored token.
    Token(i64),
    /// A binding that trusts an issuer's jobs.
    Binding(i64),
}
