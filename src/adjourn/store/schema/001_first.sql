-- The life of an instance, table by table.
--
-- `instances` has one row per id. It is written in every step that touches the instance, in the
-- same transaction as the history rows that the step adds; all but its key, id and start facts
-- could be computed again from history.
-- `history` is the truth: append-only, one JSON event a row, chained by hash per execution.
-- `timers` holds deadlines: durable timers, retries that wait, starts that are scheduled. The
-- engine thread sleeps until the earliest.
-- `receipts` remembers what senders' ids were answered, so that a repeat does nothing.
-- `attributes` are the key-values by which an instance is found.
-- `engine` has one row: who owns the file, and since which epoch. Every write checks the epoch.

CREATE TABLE engine (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    epoch      INTEGER NOT NULL,
    pid        INTEGER NOT NULL,
    opened_at  TEXT NOT NULL,
    clean      INTEGER NOT NULL CHECK (clean IN (0, 1))  -- 1: the last owner closed the file
) STRICT;

INSERT INTO engine VALUES (1, 0, 0, '', 1);

CREATE TABLE instances (
    key              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    name             TEXT NOT NULL,
    version          TEXT NOT NULL,
    execution        INTEGER NOT NULL CHECK (execution > 0),
    status           TEXT NOT NULL CHECK (status IN ('Pending', 'Running', 'Suspended',
                         'Quarantined', 'Completed', 'Failed', 'Terminated')),
    length           INTEGER NOT NULL CHECK (length > 0),
    turned           INTEGER NOT NULL CHECK (turned BETWEEN 0 AND length),
    head             BLOB NOT NULL CHECK (length(head) = 32),
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    visible_at       INTEGER,
    parent           INTEGER REFERENCES instances (key),
    parent_execution INTEGER,
    parent_sequence  INTEGER,
    running          INTEGER NOT NULL CHECK (running >= 0),
    pending_events   INTEGER NOT NULL CHECK (pending_events >= 0),
    waiting_for      TEXT NOT NULL,
    custom_status    TEXT,
    problem          TEXT,
    start_digest     BLOB NOT NULL,
    tags             TEXT NOT NULL,
    CHECK ((finished_at IS NOT NULL) = (status IN ('Completed', 'Failed', 'Terminated'))),
    CHECK ((problem IS NOT NULL) = (status = 'Quarantined'))
) STRICT;

CREATE INDEX instances_by_status ON instances (status, key);
-- What a start must look at; empty while everybody waits.
CREATE INDEX instances_in_flight ON instances (key)
    WHERE running > 0 OR status IN ('Pending', 'Quarantined');

-- A rowid table: rows are appended, so a batch touches the few pages at its end.
CREATE TABLE history (
    instance   INTEGER NOT NULL REFERENCES instances (key),
    execution  INTEGER NOT NULL,
    number     INTEGER NOT NULL CHECK (number > 0),
    body       TEXT NOT NULL,
    hash       BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE UNIQUE INDEX history_in_order ON history (instance, execution, number);

CREATE TRIGGER history_is_append_only_update BEFORE UPDATE ON history
BEGIN SELECT raise(ABORT, 'history is append-only'); END;

CREATE TRIGGER history_is_append_only_delete BEFORE DELETE ON history
BEGIN SELECT raise(ABORT, 'history is append-only'); END;

CREATE TABLE timers (
    fire_at    INTEGER NOT NULL,
    instance   INTEGER NOT NULL REFERENCES instances (key),
    execution  INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    purpose    TEXT NOT NULL CHECK (purpose IN ('timer', 'retry', 'start')),
    PRIMARY KEY (fire_at, instance, execution, sequence, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE receipts (
    instance   INTEGER NOT NULL REFERENCES instances (key),
    kind       TEXT NOT NULL CHECK (kind IN ('event', 'update')),
    event_id   TEXT NOT NULL,
    answer     TEXT,
    PRIMARY KEY (instance, kind, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE attributes (
    instance   INTEGER NOT NULL REFERENCES instances (key),
    name       TEXT NOT NULL,
    value      ANY NOT NULL,
    PRIMARY KEY (instance, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX attributes_by_value ON attributes (name, value, instance);

-- For people: `SELECT * FROM timeline WHERE id = 'order-42'` in the sqlite3 shell.
CREATE VIEW timeline AS
SELECT instances.id, history.execution, history.number,
       history.body ->> 'at' AS at, history.body ->> 'kind' AS kind, history.body
FROM history JOIN instances ON instances.key = history.instance
ORDER BY history.instance, history.execution, history.number;
