-- The Python index: what of it lies beside the manifests that every format has.

-- While it is set, nothing in the registry is pushed or deleted.
ALTER TABLE registries ADD COLUMN read_only INTEGER NOT NULL DEFAULT 0;
-- How uploads of Python packages are judged; JSON, because only the program reads it, as a whole.
ALTER TABLE registries ADD COLUMN python_settings TEXT NOT NULL DEFAULT '{}';
-- Rises whenever a project joins the list of projects.
ALTER TABLE registries ADD COLUMN python_serial INTEGER NOT NULL DEFAULT 0;
-- Why nobody may pull from it; null when whoever has the right may.
ALTER TABLE repositories ADD COLUMN quarantine TEXT;

CREATE TABLE python_projects (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    registry_id    INTEGER NOT NULL REFERENCES registries (id),
    repository_id  INTEGER NOT NULL UNIQUE REFERENCES repositories (id) ON DELETE CASCADE,
    -- Normalized, which is also the name of the repository.
    name           TEXT NOT NULL,
    -- As the first upload spelled it.
    display_name   TEXT NOT NULL,
    -- Names that people mistake for each other have the same.
    similarity_key TEXT NOT NULL,
    status         TEXT NOT NULL,
    status_reason  TEXT,
    -- Rises with every change that a page can show. It also tells milliseconds, so that a database that was
    -- set back does not repeat one.
    serial         INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    UNIQUE (registry_id, name)
) STRICT;

CREATE INDEX python_projects_by_similarity ON python_projects (registry_id, similarity_key);

CREATE TABLE python_releases (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES python_projects (id) ON DELETE CASCADE,
    -- Compares by bytes as versions do, and is the same for equal versions.
    sort_key   TEXT NOT NULL,
    -- As the first upload spelled it.
    version    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (project_id, sort_key)
) STRICT;

-- METADATA files byte for byte; the wheels of a release mostly share one.
CREATE TABLE python_metadata (
    sha256 TEXT PRIMARY KEY,
    body   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE python_files (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id      INTEGER NOT NULL REFERENCES python_projects (id) ON DELETE CASCADE,
    release_id      INTEGER NOT NULL REFERENCES python_releases (id),
    -- Equal for spellings of the same file name.
    canonical       TEXT NOT NULL,
    filename        TEXT NOT NULL,
    kind            TEXT NOT NULL,
    -- In hexadecimal digits, as the index and the URLs have it.
    sha256          TEXT NOT NULL,
    size            INTEGER NOT NULL,
    requires_python TEXT,
    metadata_sha256 TEXT NOT NULL REFERENCES python_metadata (sha256),
    manifest_digest TEXT NOT NULL,
    manifest_size   INTEGER NOT NULL,
    tag             TEXT NOT NULL,
    -- Null: it is not. Empty: it is, and nobody said why.
    yanked          TEXT,
    -- How many attestations came with it.
    attestations    INTEGER NOT NULL DEFAULT 0,
    -- What was odd about it but let through: a JSON array of sentences.
    warnings        TEXT NOT NULL,
    uploaded_at     INTEGER NOT NULL,
    uploaded_by     TEXT NOT NULL,
    -- A deleted file keeps its row, so that its name never stands for other content.
    deleted_at      INTEGER,
    deleted_by      TEXT,
    delete_reason   TEXT,
    -- The manifest of a deleted file, so that it can come back.
    manifest        BLOB,
    UNIQUE (project_id, canonical)
) STRICT;

CREATE INDEX python_files_by_release ON python_files (release_id, filename);
CREATE INDEX python_files_by_name ON python_files (project_id, filename);
CREATE INDEX python_files_by_manifest ON python_files (project_id, manifest_digest);
CREATE INDEX python_files_by_metadata ON python_files (metadata_sha256);
