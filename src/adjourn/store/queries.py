"""The SQL of the store, by name. Only `sqlite.py` uses it."""

from __future__ import annotations

INSTANCE_COLUMNS = (
    "key, id, name, version, execution, status, length, turned, head, created_at, updated_at, "
    "finished_at, visible_at, parent, parent_execution, parent_sequence, running, "
    "pending_events, waiting_for, custom_status, problem, start_digest, tags, tenant"
)

_INSTANCE_MARKS = ", ".join("?" for _ in INSTANCE_COLUMNS.split(", "))

INSERT_INSTANCE = f"INSERT INTO instances ({INSTANCE_COLUMNS}) VALUES ({_INSTANCE_MARKS})"

UPDATE_INSTANCE = """
    UPDATE instances SET created_at = ?, parent = ?, parent_execution = ?, parent_sequence = ?,
        name = ?, version = ?, execution = ?, status = ?, length = ?, turned = ?,
        head = ?, updated_at = ?, finished_at = ?, visible_at = ?, running = ?, pending_events = ?,
        waiting_for = ?, custom_status = ?, problem = ?, start_digest = ?, tags = ?
    WHERE key = ?
"""

# Touches no index: half the cost of UPDATE_INSTANCE (benchmarks/approval.py).
ADVANCE_INSTANCE = """
    UPDATE instances SET length = ?, turned = ?, head = ?, updated_at = ?, pending_events = ?,
        waiting_for = ?, custom_status = ?
    WHERE key = ?
"""

INSERT_HISTORY = (
    "INSERT INTO history (instance, execution, number, body, hash) VALUES (?, ?, ?, ?, ?)"
)

INSERT_TIMER = "INSERT INTO timers VALUES (?, ?, ?, ?, ?)"

DELETE_TIMER = """
    DELETE FROM timers
    WHERE fire_at = ? AND instance = ? AND execution = ? AND sequence = ? AND purpose = ?
"""

# An answer replaces an open receipt, and nothing else.
UPSERT_RECEIPT = """
    INSERT INTO receipts (instance, kind, event_id, answer) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET answer = excluded.answer WHERE answer IS NULL
"""

CLEAR_RECEIPTS = "DELETE FROM receipts WHERE instance = ?"

UPSERT_ATTRIBUTE = """
    INSERT INTO attributes (instance, name, value) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value
"""

DELETE_ATTRIBUTE = "DELETE FROM attributes WHERE instance = ? AND name = ?"

FIND = f"SELECT {INSTANCE_COLUMNS} FROM instances WHERE id = ?"

LOAD = f"SELECT {INSTANCE_COLUMNS} FROM instances WHERE key = ?"

# As bytes: a flipped bit may leave text that is no UTF-8, and the hash chain is what tells.
HISTORY = """
    SELECT number, CAST(body AS BLOB), hash FROM history
    WHERE instance = ? AND execution = ? ORDER BY number
"""

ROW = "SELECT CAST(body AS BLOB) FROM history WHERE instance = ? AND execution = ? AND number = ?"

LAST_ROW = """
    SELECT CAST(body AS BLOB) FROM history
    WHERE instance = ? AND execution = ? ORDER BY number DESC LIMIT 1
"""

# Whether their keys are there is asked at the opening; of older ones, when they are read.
NEWEST_ROWS = """
    SELECT instances.id, history.execution, history.number, CAST(history.body AS BLOB)
    FROM history JOIN instances ON instances.key = history.instance
    ORDER BY history.rowid DESC LIMIT 200
"""

RECEIPT = "SELECT answer FROM receipts WHERE instance = ? AND kind = ? AND event_id = ?"

ATTRIBUTES = "SELECT name, value FROM attributes WHERE instance = ?"

DUE_TIMERS = "SELECT * FROM timers WHERE fire_at <= ? ORDER BY fire_at LIMIT ?"

EARLIEST_TIMER = "SELECT min(fire_at) FROM timers"

UNFINISHED = (
    f"SELECT {INSTANCE_COLUMNS} FROM instances "
    "WHERE running > 0 OR status IN ('Pending', 'Quarantined') ORDER BY key"
)
