-- What several servers over one database and one store have to share.

-- What the storage needs to go on with a session; null when it needs nothing but the key.
ALTER TABLE uploads ADD COLUMN staged BYTEA;

-- What the storage has to discard together with the object.
ALTER TABLE trash ADD COLUMN staged BYTEA;
-- In bytes; 0 when nobody knows.
ALTER TABLE trash ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
-- How often deleting was begun.
ALTER TABLE trash ADD COLUMN attempts BIGINT NOT NULL DEFAULT 0;

-- Whether a large blob is answered with a redirect to the store, when the store can sign one.
ALTER TABLE registries ADD COLUMN redirect BIGINT NOT NULL DEFAULT 1;

-- Which store this database belongs to.
CREATE TABLE blob_store (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    identity TEXT COLLATE "C" NOT NULL
);

-- Work that one server does at a time, who does it, and until when that is so.
CREATE TABLE leases (
    name   TEXT COLLATE "C" PRIMARY KEY,
    holder TEXT COLLATE "C" NOT NULL,
    until  BIGINT NOT NULL
);

-- What collection has given back since the database was made.
CREATE TABLE collection_totals (
    id      BIGINT PRIMARY KEY CHECK (id = 1),
    objects BIGINT NOT NULL,
    bytes   BIGINT NOT NULL
);

INSERT INTO collection_totals (id, objects, bytes) VALUES (1, 0, 0);

-- Queues: rows come and go all the time, and what is dead stands in the way of whoever takes the next ones.
ALTER TABLE review_queue SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE trash SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE uploads SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
    autovacuum_analyze_scale_factor = 0.05);
