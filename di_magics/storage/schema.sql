-- The tables of conversations.sqlite3, version 4. Times are POSIX seconds, amounts are decimal USD.

CREATE TABLE notebooks (
    id     TEXT PRIMARY KEY,
    path   TEXT,                        -- where it was last seen
    kernel TEXT NOT NULL DEFAULT '',    -- the id of the kernel that it last ran in
    state  TEXT NOT NULL DEFAULT '{}',  -- JSON: heads, and the turn that each cell shows
    budget TEXT,
    spent  TEXT NOT NULL DEFAULT '0',   -- the sum of its sealed entries in the ledger
    file   TEXT NOT NULL DEFAULT ''     -- the identity of the file at its path
) STRICT;

CREATE TABLE turns (
    number   INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    notebook TEXT NOT NULL REFERENCES notebooks (id),
    cell     TEXT,
    prompt   TEXT NOT NULL,
    identity TEXT NOT NULL,             -- JSON: what is known before sending, without the prompt
    reply    TEXT NOT NULL DEFAULT '',
    outcome  TEXT,                      -- JSON: status, usage and cost of the reply, without its text
    begun    REAL NOT NULL,
    touched  REAL NOT NULL,
    sealed   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX turns_by_notebook ON turns (notebook, number);
CREATE INDEX turns_by_cell ON turns (cell);

-- Apart from the turn, whose row is written each second: an attachment may be large.
CREATE TABLE attachments (
    turn    TEXT NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (turn, number)
) STRICT;

-- The log-probabilities of a reply's tokens, compressed (core/packed_tokens.py).
CREATE TABLE logprobs (
    turn   TEXT PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
    tokens BLOB NOT NULL
) STRICT;

-- The replies of sweeps, found again by a digest of what was sent.
CREATE TABLE runs (
    notebook TEXT NOT NULL,
    key      TEXT NOT NULL,
    reply    TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    PRIMARY KEY (notebook, key)
) STRICT;

-- Has no reference to the turns, because costs stay when turns are forgotten.
CREATE TABLE ledger (
    turn              TEXT PRIMARY KEY,
    notebook          TEXT NOT NULL,
    conversation      TEXT NOT NULL,
    model             TEXT NOT NULL,
    endpoint          TEXT NOT NULL,
    begun             REAL NOT NULL,
    touched           REAL NOT NULL,
    sealed            INTEGER NOT NULL DEFAULT 0,
    status            TEXT NOT NULL,
    prompt_tokens     INTEGER,
    completion_tokens INTEGER,
    cached_tokens     INTEGER,
    reasoning_tokens  INTEGER,
    cost              TEXT,
    estimate          TEXT NOT NULL,
    reserve           TEXT,
    policies          TEXT NOT NULL DEFAULT '[]',  -- JSON: the policy's files it was sent under
    process           TEXT NOT NULL DEFAULT ''     -- the process that waits for the reply
) STRICT;
CREATE INDEX ledger_by_notebook ON ledger (notebook, begun);
CREATE INDEX ledger_by_time ON ledger (begun);
CREATE INDEX ledger_open ON ledger (notebook) WHERE NOT sealed;

-- What was spent under each file of a policy, in all notebooks.
CREATE TABLE policies (
    file  TEXT PRIMARY KEY,
    spent TEXT NOT NULL DEFAULT '0'  -- the sum of its sealed entries in the ledger
) STRICT;
