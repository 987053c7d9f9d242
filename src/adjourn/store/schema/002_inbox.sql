-- The inbox: the questions that wait for people, as a supervisor's page lists them, and what became
-- of them. A projection: each row follows from its instance's history, and is written in the same
-- transaction as the history rows that change it.
--
-- `inbox_rows` holds what the page shows, and is read for few rows at a time.
-- `inbox` is small and holds what rows are ordered by.
-- `inbox_snoozes` says until when a row is out of somebody's sight.
-- `inbox_open_words` and `inbox_ended_words` find rows: by whom it is addressed to, by whoever holds
-- it, by its kind, its amount, any piece of its title (`store/words.py`).

CREATE TABLE inbox_rows (
    instance     INTEGER PRIMARY KEY REFERENCES instances (key),
    facts        TEXT NOT NULL,  -- of its words, those that are facts; a blank on both sides of each
    row          TEXT NOT NULL  -- an `InboxRow` as JSON; its execution is `inbox.execution`
) STRICT;

-- All times are microseconds since 1970, UTC.
CREATE TABLE inbox (
    instance     INTEGER PRIMARY KEY REFERENCES instances (key),
    opened_at    INTEGER NOT NULL,
    due_at       INTEGER,
    ended_at     INTEGER,
    amount       REAL,
    risk         TEXT NOT NULL CHECK (risk IN ('low', 'medium', 'high')),
    status       TEXT NOT NULL CHECK (status IN ('open', 'claimed', 'info_requested', 'approved',
                     'rejected', 'expired', 'cancelled', 'superseded')),
    execution    TEXT NOT NULL CHECK (execution IN ('none', 'queued', 'running', 'done', 'failed',
                     'unknown')),
    search       TEXT NOT NULL,  -- what text is looked for in: a line a field, case folded
    -- What has no due date, or no amount, comes last.
    due_order    INTEGER NOT NULL AS (ifnull(due_at, 9223372036854775807)),
    amount_order REAL NOT NULL AS (ifnull(-amount, 9e999)),
    risk_order   INTEGER NOT NULL AS (CASE risk WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END),
    CHECK ((ended_at IS NULL) = (status IN ('open', 'claimed', 'info_requested')))
) STRICT;

-- One for each order of the page; ended rows are in none but their own.
CREATE INDEX inbox_by_due ON inbox (due_order, opened_at) WHERE ended_at IS NULL;
CREATE INDEX inbox_by_age ON inbox (opened_at) WHERE ended_at IS NULL;
CREATE INDEX inbox_by_amount ON inbox (amount_order, opened_at) WHERE ended_at IS NULL;
CREATE INDEX inbox_by_risk ON inbox (risk_order, due_order, opened_at) WHERE ended_at IS NULL;
CREATE INDEX inbox_by_end ON inbox (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE inbox_snoozes (
    instance     INTEGER NOT NULL REFERENCES instances (key),
    person       TEXT NOT NULL,
    until        INTEGER NOT NULL,
    PRIMARY KEY (instance, person)
) STRICT, WITHOUT ROWID;

-- Two, so that what waits is found as fast after years of decisions. They keep no text, and of a
-- word only the rows it is in. Small pages: FTS5 merges 64 of them at once, while others wait.
CREATE VIRTUAL TABLE inbox_open_words USING fts5 (
    word, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);
INSERT INTO inbox_open_words (inbox_open_words, rank) VALUES ('pgsz', 1000);
CREATE VIRTUAL TABLE inbox_ended_words USING fts5 (
    word, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);
INSERT INTO inbox_ended_words (inbox_ended_words, rank) VALUES ('pgsz', 1000);

-- What waits already for the plain form's event, in any letter case. The other tables are filled
-- from these rows by the code, in the transaction of this script (`Inbox.derive_missing`).
INSERT INTO inbox_rows (instance, facts, row)
SELECT key, '', json_object(
    'id', id,
    'title', substr(CASE
        WHEN json_valid(custom_status) AND json_type(custom_status) = 'text'
            AND trim(custom_status ->> '$') <> '' THEN custom_status ->> '$'
        ELSE name || ' ' || id
    END, 1, 300),
    'opened_at', strftime('%Y-%m-%dT%H:%M:%S', created_at / 1000000, 'unixepoch')
        || printf('.%06dZ', created_at % 1000000),
    'pattern', 'event',
    'kind', name,
    'case', id,
    'problem', CASE status
        WHEN 'Quarantined' THEN problem
        WHEN 'Suspended' THEN 'Its instance is suspended.'
        ELSE ''
    END
)
FROM instances
WHERE finished_at IS NULL AND EXISTS (
    SELECT 1 FROM json_each(CASE WHEN json_valid(waiting_for) THEN waiting_for ELSE '[]' END)
    WHERE lower(value) = 'approval'
);
