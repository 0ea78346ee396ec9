-- Times are milliseconds since the Unix epoch. Digests are the strings that clients gave. Names of
-- organisations, registries, repositories and tags compare by bytes, which is the order that lists promise.

-- Identity ------------------------------------------------------------------------------------------------

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT NOT NULL UNIQUE,
    email         TEXT NOT NULL,
    password_hash TEXT,
    system_admin  INTEGER NOT NULL DEFAULT 0,
    -- Rises when what was issued before must no longer count: a new password, for one.
    epoch         INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX users_by_system_admin ON users (system_admin, username);

CREATE TABLE tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    public_id    TEXT NOT NULL UNIQUE,
    user_id      INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    name         TEXT NOT NULL,
    secret_hash  BLOB NOT NULL UNIQUE,
    hint         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE INDEX tokens_by_user ON tokens (user_id, kind, public_id);
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE signing_keys (
    kid        TEXT PRIMARY KEY,
    secret     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;

CREATE INDEX signing_keys_by_creation ON signing_keys (created_at);

-- One row once the first start is complete; a first start that was cut off is begun again.
CREATE TABLE first_start (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    completed_at INTEGER NOT NULL
) STRICT;

-- Tenancy -------------------------------------------------------------------------------------------------

CREATE TABLE organizations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE registries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id INTEGER NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    -- 'organization/registry/': followed by a repository's name, it orders as the full names do.
    path            TEXT NOT NULL UNIQUE,
    visibility      TEXT NOT NULL,
    -- Whether manifests may name content that the repository does not hold.
    sparse          INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    -- Set when it is being deleted: its name is free again and its content goes bit by bit.
    deleted_at      INTEGER,
    UNIQUE (organization_id, name)
) STRICT;

CREATE INDEX registries_by_visibility ON registries (visibility, path);
CREATE INDEX registries_deleted ON registries (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE organization_members (
    organization_id INTEGER NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role            TEXT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX organization_members_by_user ON organization_members (user_id, organization_id);

CREATE TABLE registry_members (
    registry_id INTEGER NOT NULL REFERENCES registries (id) ON DELETE CASCADE,
    user_id     INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role        TEXT NOT NULL,
    PRIMARY KEY (registry_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX registry_members_by_user ON registry_members (user_id, registry_id);

-- Content -------------------------------------------------------------------------------------------------

CREATE TABLE repositories (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    registry_id INTEGER NOT NULL REFERENCES registries (id),
    -- Without the organisation and the registry.
    name        TEXT NOT NULL,
    format      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    UNIQUE (registry_id, name)
) STRICT;

-- One row for every stored byte string. The key says where the bytes lie and is never a digest, so that a
-- deletion can never hit a later upload of the same content.
CREATE TABLE objects (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    key        TEXT NOT NULL UNIQUE,
    size       INTEGER NOT NULL,
    sha256     BLOB NOT NULL UNIQUE,
    sha512     BLOB,
    created_at INTEGER NOT NULL
) STRICT;

-- The only door to an object: a repository's link, under the digest that the client used.
CREATE TABLE blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    digest        TEXT NOT NULL,
    object_id     INTEGER NOT NULL REFERENCES objects (id),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (repository_id, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX blobs_by_object ON blobs (object_id);
-- Finds a repository that the caller may pull from, for a mount that names none.
CREATE INDEX blobs_by_digest ON blobs (digest, repository_id);

CREATE TABLE manifests (
    -- Rises with every push: newest first is highest first.
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    digest        TEXT NOT NULL,
    media_type    TEXT NOT NULL,
    artifact_type TEXT,
    config_type   TEXT,
    size          INTEGER NOT NULL,
    pushed_by     TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    body          BLOB NOT NULL,
    UNIQUE (repository_id, digest)
) STRICT;

-- What a manifest names in its own repository: blobs, and an index's children. A child may be a blob.
CREATE TABLE edges (
    manifest_id   INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    digest        TEXT NOT NULL,
    repository_id INTEGER NOT NULL,
    PRIMARY KEY (manifest_id, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX edges_by_target ON edges (repository_id, digest, manifest_id);

-- Which manifests refer to which subject, ready to be listed. The subject need not exist.
CREATE TABLE referrers (
    manifest_id   INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    repository_id INTEGER NOT NULL,
    subject       TEXT NOT NULL,
    artifact_type TEXT,
    -- When the artifact says it was made (io.cncf.oras.artifact.created); 0 when it does not say.
    made_at       INTEGER NOT NULL,
    -- The descriptor as the referrers API lists it, annotations included.
    descriptor    TEXT NOT NULL
) STRICT;

CREATE INDEX referrers_by_subject ON referrers (repository_id, subject, made_at DESC, manifest_id DESC);
CREATE INDEX referrers_by_type
    ON referrers (repository_id, subject, artifact_type, made_at DESC, manifest_id DESC);

CREATE TABLE tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    name          TEXT NOT NULL,
    manifest_id   INTEGER NOT NULL REFERENCES manifests (id),
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_manifest ON tags (manifest_id, name);

CREATE TABLE tag_history (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    -- Null: the tag was deleted.
    digest        TEXT,
    changed_by    TEXT NOT NULL,
    changed_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX tag_history_by_tag ON tag_history (repository_id, name, id);

-- Uploads -------------------------------------------------------------------------------------------------

CREATE TABLE uploads (
    id              TEXT PRIMARY KEY,
    registry_id     INTEGER NOT NULL REFERENCES registries (id),
    -- The repository may not exist before the first blob of it is complete.
    repository_name TEXT NOT NULL,
    user_id         INTEGER NOT NULL,
    object_key      TEXT NOT NULL,
    -- Bytes received so far, and the running hash over them.
    offset_bytes    INTEGER NOT NULL,
    hash_state      BLOB NOT NULL,
    -- Set once the upload is complete, so that a client that lost the answer gets it again.
    completed       TEXT,
    expires_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX uploads_by_expiry ON uploads (expires_at);
CREATE INDEX uploads_by_user ON uploads (user_id, completed);
CREATE INDEX uploads_by_registry ON uploads (registry_id);
CREATE INDEX uploads_by_object ON uploads (object_key);

-- Lifecycle -----------------------------------------------------------------------------------------------

-- What may have become garbage, and when to look. Nothing is removed without asking again then.
CREATE TABLE review_queue (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    -- 'blob', 'orphan' (a manifest whose parent or subject went) or 'untagged' (a manifest without a tag).
    kind          TEXT NOT NULL,
    digest        TEXT NOT NULL,
    review_after  INTEGER NOT NULL,
    PRIMARY KEY (repository_id, kind, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX review_queue_by_time ON review_queue (review_after);

-- Objects that nothing names any more; their bytes go after the time given.
CREATE TABLE trash (
    object_key   TEXT PRIMARY KEY,
    delete_after INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX trash_by_time ON trash (delete_after);
