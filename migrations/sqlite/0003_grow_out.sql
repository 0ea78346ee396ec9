-- What several servers over one database and one store have to share.

-- What the storage needs to go on with a session; null when it needs nothing but the key.
ALTER TABLE uploads ADD COLUMN staged BLOB;

-- What the storage has to discard together with the object.
ALTER TABLE trash ADD COLUMN staged BLOB;
-- In bytes; 0 when nobody knows.
ALTER TABLE trash ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
-- How often deleting was begun.
ALTER TABLE trash ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;

-- Whether a large blob is answered with a redirect to the store, when the store can sign one.
ALTER TABLE registries ADD COLUMN redirect INTEGER NOT NULL DEFAULT 1;

-- Which store this database belongs to.
CREATE TABLE blob_store (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    identity TEXT NOT NULL
) STRICT;

-- Work that one server does at a time, who does it, and until when that is so.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What collection has given back since the database was made.
CREATE TABLE collection_totals (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    objects INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT;

INSERT INTO collection_totals (id, objects, bytes) VALUES (1, 0, 0);
