-- Who is asking: people with sessions and identity providers, machines with tokens and bindings.

-- 'person', or 'service' for an account that only machines use.
ALTER TABLE users ADD COLUMN kind TEXT NOT NULL DEFAULT 'person';
-- The organization that a service account belongs to, and falls with; null for a person.
ALTER TABLE users ADD COLUMN organization_id INTEGER REFERENCES organizations (id) ON DELETE CASCADE;
-- What a service account is for.
ALTER TABLE users ADD COLUMN description TEXT NOT NULL DEFAULT '';
-- Since when nothing of this account counts any more; null while it does.
ALTER TABLE users ADD COLUMN disabled_at INTEGER;
-- When mail to the address was last known to arrive; null when nobody knows.
ALTER TABLE users ADD COLUMN email_verified_at INTEGER;
-- 1 from signing up until the link in the mail was followed; nobody signs in to such an account.
ALTER TABLE users ADD COLUMN is_unconfirmed INTEGER NOT NULL DEFAULT 0;

CREATE INDEX users_by_organization ON users (organization_id, username) WHERE organization_id IS NOT NULL;
CREATE INDEX users_by_email ON users (lower(email));
CREATE INDEX users_unconfirmed ON users (created_at) WHERE is_unconfirmed = 1;

-- A browser that is signed in. The cookie's value is stored as a hash.
CREATE TABLE sessions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id    TEXT NOT NULL UNIQUE,
    secret_hash  BLOB NOT NULL UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Epoch of the user when it began; with another one it is over.
    epoch        INTEGER NOT NULL,
    -- The identity provider that vouched; null for a password.
    provider     TEXT,
    -- 1 until the second factor was shown.
    is_partial   INTEGER NOT NULL DEFAULT 0,
    user_agent   TEXT NOT NULL,
    address      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    -- When the user last proved who it is: what is delicate asks for that to be recent.
    proved_at    INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_by_user ON sessions (user_id, public_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Links and codes that were sent by mail: 'verify' an address, 'reset' a password.
CREATE TABLE mail_codes (
    secret_hash BLOB PRIMARY KEY,
    kind        TEXT NOT NULL,
    user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The address that it was sent to: it proves nothing about a later one.
    email       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX mail_codes_by_user ON mail_codes (user_id, kind, created_at);
CREATE INDEX mail_codes_by_expiry ON mail_codes (expires_at);

-- Time-based one-time passwords (RFC 6238). The secret is sealed with the key of the configuration.
CREATE TABLE second_factors (
    user_id      INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret       BLOB NOT NULL,
    -- Null until the user has shown a first code.
    confirmed_at INTEGER,
    -- The newest time step that was used: no code counts twice.
    last_step    INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
    user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash BLOB NOT NULL,
    PRIMARY KEY (user_id, code_hash)
) STRICT, WITHOUT ROWID;

-- Who somebody is at an identity provider: issuer and subject never change hands, an address may.
CREATE TABLE identities (
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- Name of the provider in the configuration when it was linked.
    provider     TEXT NOT NULL,
    email        TEXT NOT NULL,
    linked_at    INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_by_user ON identities (user_id, issuer, subject);

-- The groups that a provider named at the user's last sign-in through it.
CREATE TABLE user_groups (
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider   TEXT NOT NULL,
    group_name TEXT NOT NULL,
    PRIMARY KEY (user_id, provider, group_name)
) STRICT, WITHOUT ROWID;

-- The role that a provider's group has, on an organization or on one registry of it.
CREATE TABLE group_roles (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id       TEXT NOT NULL UNIQUE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- Null: on the whole organization.
    registry_id     INTEGER REFERENCES registries (id) ON DELETE CASCADE,
    provider        TEXT NOT NULL,
    group_name      TEXT NOT NULL,
    -- 1 viewer, 2 writer, 3 admin: the highest of several counts.
    level           INTEGER NOT NULL,
    created_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX group_roles_by_organization ON group_roles (organization_id, public_id);
CREATE INDEX group_roles_by_registry ON group_roles (registry_id) WHERE registry_id IS NOT NULL;
CREATE INDEX group_roles_by_group ON group_roles (provider, group_name, organization_id, registry_id);

-- A role that waits for whoever brings the link.
CREATE TABLE invitations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id       TEXT NOT NULL UNIQUE,
    secret_hash     BLOB NOT NULL UNIQUE,
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- Null: on the whole organization.
    registry_id     INTEGER REFERENCES registries (id) ON DELETE CASCADE,
    email           TEXT NOT NULL,
    role            TEXT NOT NULL,
    invited_by      TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX invitations_by_organization ON invitations (organization_id, public_id);
CREATE INDEX invitations_by_registry ON invitations (registry_id) WHERE registry_id IS NOT NULL;
CREATE INDEX invitations_by_expiry ON invitations (expires_at);

-- Which jobs of which issuer may act as a service account without any stored secret.
CREATE TABLE bindings (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id    TEXT NOT NULL UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    audience     TEXT NOT NULL,
    -- What the claims have to be, as JSON.
    claims       TEXT NOT NULL,
    -- As tokens.scopes.
    scopes       TEXT,
    -- Life of the tokens made through it, in seconds.
    token_ttl    INTEGER NOT NULL,
    -- The issuer's keys, when they cannot be fetched.
    jwks         TEXT,
    created_by   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

CREATE INDEX bindings_by_user ON bindings (user_id, public_id);
CREATE INDEX bindings_by_issuer ON bindings (issuer, audience, id);
CREATE INDEX bindings_with_keys ON bindings (issuer, audience, id) WHERE jwks IS NOT NULL;

-- What a token may do at most, as JSON; null for all that its owner may.
ALTER TABLE tokens ADD COLUMN scopes TEXT;
-- Who made it: a user name, or the binding that a job's token matched.
ALTER TABLE tokens ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
-- Where it was last used from.
ALTER TABLE tokens ADD COLUMN last_used_from TEXT;
-- The binding that it was made through, and falls with.
ALTER TABLE tokens ADD COLUMN binding_id INTEGER REFERENCES bindings (id) ON DELETE CASCADE;

CREATE INDEX tokens_by_binding ON tokens (binding_id) WHERE binding_id IS NOT NULL;

-- Tokens of jobs that were exchanged: each only once.
CREATE TABLE used_assertions (
    fingerprint BLOB PRIMARY KEY,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX used_assertions_by_expiry ON used_assertions (expires_at);
