-- The journals: an event's text is kept as it was hashed, and is never rewritten. wall_ms is an annotation.
CREATE TABLE events (
    federation TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    event TEXT NOT NULL,
    wall_ms INTEGER NOT NULL,
    PRIMARY KEY (federation, sequence)
) STRICT, WITHOUT ROWID;

-- Which job an Idempotency-Key made, and of which body.
CREATE TABLE job_keys (
    federation TEXT NOT NULL,
    key TEXT NOT NULL,
    body_sha256 BLOB NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (federation, key)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a number is never used again, so a secret can name an invitation that is no longer there.
CREATE TABLE invitations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    federation TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    uses INTEGER,
    expires_wall_ms INTEGER,
    note TEXT NOT NULL
) STRICT;

-- What clients authenticate by. No foreign key to invitations: a member stays when its invitation is withdrawn.
CREATE TABLE secrets (
    federation TEXT NOT NULL,
    client TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL UNIQUE,
    invitation INTEGER,
    PRIMARY KEY (federation, client)
) STRICT, WITHOUT ROWID;

-- What there is one of.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Browsers that the operator has signed in with.
CREATE TABLE sessions (
    sha256 BLOB NOT NULL PRIMARY KEY,
    expires_wall_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- When clients were heard of, and what their sites say of themselves (JSON). Losing the last of it harms nobody.
CREATE TABLE seen (
    federation TEXT NOT NULL,
    client TEXT NOT NULL,
    wall_ms INTEGER NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (federation, client)
) STRICT, WITHOUT ROWID;
