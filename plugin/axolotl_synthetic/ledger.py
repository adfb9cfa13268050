"""Ledger of every call to a model, durable before and after the call, on which budgets and reruns rely.

It is one SQLite file (WAL) in the output folder. Before a request leaves, its call is written as `sent` with a reservation: one query and
the worst case of tokens and dollars. After the reply it is settled. A process that is killed in between leaves a `sent` row. Its
reservation stays spent, because the server may have billed it. The transaction that reserves enforces the limits and is exclusive, so
several processes cannot exceed them together.

Writes come in groups (`commit` takes many), because a transaction costs a disk flush; `pipelines/calls.py` groups them. The ledger knows
nothing of strategies or verdicts. It also holds the few counters through which a running pipeline's steps and the terminal communicate
(`Progress`).
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import orjson

from axolotl_synthetic.config import Budget, Generation, Price
from axolotl_synthetic.errors import Cost, StorageError
from axolotl_synthetic.records import PURPOSES, Message, Purpose, Reply, Request, Role

FORMAT = 1
# Values of `Progress.ended_by` besides the budget's limits: too many candidates per sample; a long stretch without an accepted one; all
# seeds exhausted.
CANDIDATES, FRUITLESS, EXHAUSTED = "candidates", "fruitless", "exhausted"
# Prompts kept in memory by their hash, so that the thousandth answer to a seed needs no lookup.
REMEMBERED_PROMPTS = 20_000
# Rows in one statement: with at most 13 values each, far below SQLite's limit of 32,766 values.
ROWS_AT_ONCE = 500
# Cached statements retain their bound values, and each number of rows has its own statement; keep few.
STATEMENTS_KEPT = 16
# First version with UPDATE … FROM.
OLDEST_SQLITE = (3, 33)

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prompts (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, messages TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,              -- model, messages, sampling parameters but for max_new_tokens, sample number
    purpose TEXT NOT NULL,
    role TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt INTEGER NOT NULL REFERENCES prompts,
    parameters TEXT NOT NULL,
    max_new_tokens INTEGER NOT NULL,
    sample INTEGER NOT NULL,
    attempt INTEGER NOT NULL,       -- 0 for the first, more for a retry
    started REAL NOT NULL,          -- Unix time
    outcome TEXT NOT NULL,          -- sent, ok, failed; unsent when it provably never left
    error TEXT,
    reply TEXT,                     -- as it was received, also of a failed call that was billed
    finish_reason TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,      -- as billed, reasoning included
    seconds REAL,
    usd REAL,                       -- NULL when the price is unknown; its upper bound where the server counts no tokens
    thinking TEXT,                  -- reasoning that came apart from the reply
    reasoning_tokens INTEGER,       -- of completion_tokens
    cached_tokens INTEGER,          -- of prompt_tokens: read from the server's cache
    written_tokens INTEGER          -- of prompt_tokens: written to it
);
CREATE INDEX IF NOT EXISTS calls_by_key ON calls (key) WHERE outcome = 'ok';
CREATE TABLE IF NOT EXISTS spent (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    queries INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,   -- settled and reserved together
    usd REAL NOT NULL DEFAULT 0          -- likewise
);
CREATE TABLE IF NOT EXISTS progress (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seen INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    reused INTEGER NOT NULL DEFAULT 0,
    ended_by TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS batches (  -- see batch_ledger.py
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    protocol TEXT NOT NULL,
    model TEXT NOT NULL,
    base_url TEXT NOT NULL,
    intended REAL NOT NULL,
    file TEXT,
    remote TEXT,
    state TEXT NOT NULL,
    told TEXT NOT NULL,
    total INTEGER NOT NULL,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    spelling TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS batched (
    call INTEGER PRIMARY KEY REFERENCES calls,
    batch INTEGER REFERENCES batches,    -- NULL until the call is in one
    tokens INTEGER NOT NULL,             -- reserved for the call
    usd REAL NOT NULL                    -- likewise
);
INSERT OR IGNORE INTO spent (one) VALUES (1);
INSERT OR IGNORE INTO progress (one) VALUES (1);
"""
# Names in `meta` for what a run reports: waiting calls, a notice, a request to stop, the calls' process, and a wait for the cluster.
WAITING, NOTICE, STOP, CALLING, CLUSTER = "waiting", "notice", "stop", "calling", "cluster"
# Columns of `calls` that ledgers of version 1.0 lack.
ADDED = {"thinking": "TEXT", "reasoning_tokens": "INTEGER", "cached_tokens": "INTEGER", "written_tokens": "INTEGER"}
REPLY = ("reply", "finish_reason", "prompt_tokens", "completion_tokens", "seconds", *ADDED)


@dataclass(frozen=True)
class Call:
    """A request as it is sent to one model. Derived values are cached, because they are read several times.

    Attributes:
        price: the model's price, None when it is unknown.
        surplus: largest prompt and completion tokens billed beyond what was asked for; reserved in case they recur.
        batched: whether the call waits for a batch, so that it may be sent long after its reservation.
        reserved: tokens and dollars that an earlier run reserved for it; None for a call of this run.
        shares_prompt: whether it is made together with the call before it, which pays for the prompt.
    """

    request: Request
    model: str
    generation: Generation
    price: Price | None
    attempt: int = 0
    surplus: tuple[int, int] = (0, 0)
    batched: bool = False
    reserved: tuple[int, float] | None = None
    shares_prompt: bool = False

    @cached_property
    def prompt(self) -> bytes:
        """Return the messages as JSON."""
        return orjson.dumps([{"role": message["role"], "content": message["content"]} for message in self.request.messages])

    @cached_property
    def key(self) -> bytes:
        """Return a hash that equal samples share: of model, messages, sampling parameters without the length limit, and sample number."""
        sampling: list[Any] = [self.model, self.generation.temperature, self.generation.top_p, self.request.sample]
        # Add these only if set: then older ledgers' keys stay valid.
        sampling += [self.generation.further] if self.generation.further else []
        return hashlib.blake2b(orjson.dumps(sampling, option=orjson.OPT_SORT_KEYS) + self.prompt, digest_size=16).digest()

    @cached_property
    def most_tokens(self) -> tuple[int, int]:
        """Return upper bounds of the prompt's and the completion's tokens, for a server that respects the request's limit."""
        return 0 if self.shares_prompt else worst_prompt_tokens(self.request.messages), self.generation.max_new_tokens

    @cached_property
    def worst_tokens(self) -> int:
        """Return an upper bound of prompt and completion tokens together."""
        return sum(self.most_tokens) + sum(self.surplus) if self.reserved is None else self.reserved[0]

    @cached_property
    def worst_usd(self) -> float:
        """Return an upper bound of the cost in US dollars, 0 when the price is unknown."""
        if self.reserved is not None:
            return self.reserved[1]
        (prompt, completion), (more, longer) = self.most_tokens, self.surplus
        return 0.0 if self.price is None else self.price.worst_usd(prompt + more, completion + longer)

    @cached_property
    def surplus_usd(self) -> float:
        """Return the part of `worst_usd` that the surplus accounts for."""
        return 0.0 if self.price is None else self.price.worst_usd(*self.surplus)


@dataclass(frozen=True, slots=True)
class Settled:
    """End of a call: with a reply, or with an error's text and its cost, or with both for an unusable reply."""

    call_id: int
    call: Call
    reply: Reply | None = None
    error: str | None = None
    cost: Cost = "unknown"


@dataclass(frozen=True, slots=True)
class Stored:
    """A reply from the ledger."""

    call_id: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a running pipeline.

    Attributes:
        seen: candidates that verification has received, whatever their outcome.
        accepted, rejected, failed: candidates with a final verdict.
        waiting: candidates that passed all checks of their own and wait to be compared with earlier ones.
        reused: replies taken from the ledger in this run.
        ended_by: the limit that ended the run: samples, queries, tokens, usd, candidates, fruitless, exhausted; empty while it runs.
    """

    seen: int = 0
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    waiting: int = 0
    reused: int = 0
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Calls that wait for their next attempt: their number, when the first resumes (Unix time), and the failure in one word."""

    calls: int
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Past:
    """One past call without its texts.

    `started` is Unix time; `seconds`, the tokens and `usd` are None where unknown. Reasoning tokens are part of the completion's, cached
    ones of the prompt's.
    """

    started: float
    purpose: Purpose
    role: Role
    model: str
    outcome: str
    attempt: int
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None
    usd: float | None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call with its texts, for people to read. Unknown values are None; `seconds` is the call's duration, `usd` US dollars."""

    id: int
    purpose: Purpose
    role: Role
    model: str
    attempt: int
    outcome: str
    messages: Sequence[Message]
    parameters: Mapping[str, Any]
    reply: str | None
    thinking: str | None
    error: str | None
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None
    usd: float | None

    def to_dict(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Totals:
    """All calls to models that were ever made for this folder.

    `queries` has a count for each purpose, `total` and `retried`. Tokens and `usd` are as billed, unusable replies included; `usd` is None
    when the price of any call is unknown. `reasoning_tokens` are part of the completion's and `cached_tokens` of the prompt's; they are
    None where no reply reported any.
    """

    queries: Mapping[str, int]
    prompt_tokens: int
    completion_tokens: int
    usd: float | None
    seconds: float
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(slots=True)
class _Spent:
    """Amounts spent and reserved, within one transaction."""

    queries: int
    tokens: int
    usd: float

    def add(self, queries: int, tokens: int, usd: float) -> None:
        self.queries += queries
        self.tokens += tokens
        self.usd += usd

    def reserve(self, call: Call, limits: Budget) -> bool:
        """Add a call at its worst case if every limit allows it; return whether it does."""
        if limits.queries is not None and self.queries + 1 > limits.queries:
            return False
        if limits.tokens is not None and self.tokens + call.worst_tokens > limits.tokens:
            return False
        if limits.usd is not None and self.usd + call.worst_usd > limits.usd:
            return False
        self.add(1, call.worst_tokens, call.worst_usd)
        return True


@lru_cache(maxsize=128)
def _with_places(statement: str, rows: int, values: int) -> str:
    row = f"({', '.join('?' * values)})"
    return statement.format(rows=", ".join([row] * rows))


def _storable(said: str) -> str:
    """Return a server's text as UTF-8 can hold it: half of a surrogate pair would make the whole group's transaction fail."""
    return said if said.isascii() else said.encode(errors="replace").decode()


def worst_prompt_tokens(messages: Sequence[Message]) -> int:
    """Return an upper bound of a chat's tokens.

    A byte-level tokenizer never makes more tokens than bytes, and no chat template in use adds more than 16 per turn.
    """
    return sum(len(message["content"].encode()) + 16 for message in messages) + 16


class Ledger:
    """One open connection to `ledger.sqlite`. Two threads must not use it at once; open one for each.

    Args:
        path: the file, created if it is missing.
        limits: limits for all calls together; None for a connection that makes no calls.
        read_only: whether only to read; then nothing is created or changed, and a missing file is an error.

    Raises:
        StorageError: if the file cannot be opened or is not a ledger of this format, or SQLite is too old.
    """

    def __init__(self, path: Path, limits: Budget | None = None, *, read_only: bool = False) -> None:
        self.path = path
        self._limits = limits
        self._prompts: OrderedDict[bytes, int] = OrderedDict()
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StorageError(
                f"{path}: needs SQLite {'.'.join(map(str, OLDEST_SQLITE))} or newer, and this Python has {sqlite3.sqlite_version}; use"
                " another Python"
            )
        with _told(path):
            self._db = _connect(path, "ro" if read_only else "rwc")
            if read_only and not _can_read(self._db) and not os.access(path.parent, os.W_OK):
                # SQLite cannot create the file that it needs beside the ledger, so open it as immutable. A running run has that file.
                self._db.close()
                self._db = _connect(path, "ro&immutable=1")
            if not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
                # With FULL a committed call survives a power failure; counters need only survive the process.
                self._db.execute(f"PRAGMA synchronous = {'NORMAL' if limits is None else 'FULL'}")
                self._db.executescript(SCHEMA)
            had = {column[1] for column in self._db.execute("PRAGMA table_info(calls)")}
            self._missing = ADDED.keys() - had
            if not read_only:
                for name in sorted(self._missing):
                    self._db.execute(f"ALTER TABLE calls ADD COLUMN {name} {ADDED[name]}")
                self._missing = set()
            self._reply = self._columns(REPLY)
            found = self.meta("format")
        if found is None and not read_only:
            self.set_meta(format=str(FORMAT))
        elif found != str(FORMAT):
            raise StorageError(f"{path}: is a ledger of format {found}; this version reads {FORMAT}: use another output_dir")

    def _columns(self, names: Iterable[str]) -> str:
        """Return columns of `calls` to select; NULL for those missing in an older ledger that is open read-only."""
        known = {name: "NULL" if name in self._missing else name for name in ADDED}
        known["thinking"] = f"coalesce({known['thinking']}, '')"
        return ", ".join(known.get(name, name) for name in names)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Metadata of the folder

    def meta(self, key: str) -> str | None:
        with _read(self.path):
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, **values: str) -> None:
        with _told(self.path):
            self._db.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", values.items())

    # Calls

    def find(self, call: Call) -> Stored | None:
        """Return the reply to an equal call, if a stored one still serves; None otherwise.

        A whole reply serves if it fits today's limit. A reply that was cut off serves if its limit was no lower than today's.
        """
        with _told(self.path):
            rows = self._db.execute(
                f"SELECT id, max_new_tokens, {self._reply} FROM calls WHERE key = ? AND outcome = 'ok' ORDER BY id DESC",
                (call.key,),
            ).fetchall()
        limit = call.generation.max_new_tokens
        for call_id, had, *values in rows:
            reply = Reply(*values)
            if not reply.text.strip() or not (reply.whole or reply.cut_off):
                continue  # an older version stored it as an answer
            serves = had >= limit if reply.cut_off else had == limit or (reply.completion_tokens or 0) <= limit
            if serves:
                return Stored(call_id, reply)
        return None

    def replies(self, ids: Sequence[int]) -> list[tuple[str, Reply]]:
        """Return the calls' replies with their purposes, in the order of `ids`; calls without a reply are left out."""
        with _read(self.path):
            rows = self._db.execute(
                f"SELECT id, purpose, {self._reply} FROM calls WHERE outcome = 'ok' AND id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(ids)),),
            ).fetchall()
        found = {call_id: (purpose, Reply(*reply)) for call_id, purpose, *reply in rows}
        return [found[call_id] for call_id in ids if call_id in found]

    def commit(self, calls: Sequence[Call], settled: Sequence[Settled]) -> list[int | None]:
        """Settle calls and write others as sent, in one durable transaction.

        Returns:
            For each of `calls` its id in the ledger; None where a limit refused it or the call that pays for its prompt.

        Raises:
            StorageError: if the disk is full or the file cannot be written; then nothing of the group was written.
        """
        limits = self._limits or Budget()
        with _told(self.path), self._transaction():
            spent = _Spent(*self._db.execute("SELECT queries, tokens, usd FROM spent").fetchone())
            self._settle(settled, spent)
            granted: list[bool] = []
            leads = False
            for call in calls:
                granted.append((leads or not call.shares_prompt) and spent.reserve(call, limits))
                leads = leads if call.shares_prompt else granted[-1]
            ids = iter(self._send([call for call, may in zip(calls, granted, strict=True) if may]))
            self._db.execute("UPDATE spent SET queries = ?, tokens = ?, usd = ?", (spent.queries, spent.tokens, spent.usd))
            return [next(ids) if may else None for may in granted]

    def _send(self, calls: Sequence[Call]) -> range:
        """Write calls as sent; return their ids."""
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()
        ids, now = range(last + 1, last + 1 + len(calls)), time.time()
        prompts = self._prompt_ids(calls)
        self._on_rows(
            "INSERT INTO calls (id, key, purpose, role, model, prompt, parameters, max_new_tokens, sample, attempt, started, outcome,"
            " usd) VALUES {rows}",
            [
                (
                    *(number, call.key, call.request.purpose, call.request.role, call.model, prompt, call.generation.parameters),
                    *(call.generation.max_new_tokens, call.request.sample, call.attempt, now, "sent", None if call.price is None else 0.0),
                )
                for number, call, prompt in zip(ids, calls, prompts, strict=True)
            ],
        )
        held = [(number, call.worst_tokens, call.worst_usd) for number, call in zip(ids, calls, strict=True) if call.batched]
        self._on_rows("INSERT INTO batched (call, tokens, usd) VALUES {rows}", held)
        return ids

    def _prompt_ids(self, calls: Sequence[Call]) -> list[int]:
        """Return the ids of the calls' prompts, each of which is stored once."""
        digests = [hashlib.blake2b(call.prompt, digest_size=16).digest() for call in calls]
        known = {digest: self._prompts[digest] for digest in digests if digest in self._prompts}
        new = {digest: call.prompt.decode() for digest, call in zip(digests, calls, strict=True) if digest not in known}
        self._on_rows("INSERT OR IGNORE INTO prompts (hash, messages) VALUES {rows}", list(new.items()))
        found = self._on_rows("SELECT hash, id FROM prompts WHERE hash IN (VALUES {rows})", [(digest,) for digest in new])
        self._prompts.update(found)
        while len(self._prompts) > REMEMBERED_PROMPTS:
            self._prompts.popitem(last=False)
        known.update(found)
        return [known[digest] for digest in digests]

    def _settle(self, settled: Sequence[Settled], spent: _Spent) -> None:
        ended: list[tuple[Any, ...]] = []
        for one in settled:
            call, reply, outcome = one.call, one.reply, "ok"
            if one.error is not None:
                outcome = "unsent" if one.cost == "none" and reply is None else "failed"
            said: tuple[Any, ...] = (None,) * 9
            cost = None if call.price is None else 0.0
            if reply is not None:
                said = (_storable(reply.raw), _storable(reply.finish_reason), reply.prompt_tokens, reply.completion_tokens, reply.seconds)
                said += (_storable(reply.thinking) or None, reply.reasoning_tokens, reply.cached_tokens, reply.written_tokens)
                cost = usd_of(call, reply)
            ended.append((one.call_id, outcome, None if one.error is None else _storable(one.error), cost, *said))
            if reply is not None:
                if (used := _used(reply)) is not None:
                    spent.add(0, used - call.worst_tokens, (cost or 0.0) - call.worst_usd)
                # If the server counts no tokens, the worst case stays reserved.
            elif one.cost != "unknown":
                spent.add(-1 if one.cost == "none" else 0, -call.worst_tokens, -call.worst_usd)
        self._on_rows(
            "UPDATE calls SET outcome = column2, error = column3, usd = column4, reply = column5, finish_reason = column6,"
            " prompt_tokens = column7, completion_tokens = column8, seconds = column9, thinking = column10, reasoning_tokens = column11,"
            " cached_tokens = column12, written_tokens = column13"
            " FROM (VALUES {rows}) WHERE id = column1",
            ended,
        )

    def _on_rows(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Run a statement on many rows, whose placeholders replace its `{rows}`; return its result.

        Many rows share one statement, because each statement releases the interpreter's lock, and gets it back only when the thread that
        makes the calls next waits.
        """
        found: list[Any] = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            found += self._db.execute(_with_places(statement, len(some), len(some[0])), [value for row in some for value in row])
        return found

    # Counters of a run

    def progress(self) -> Progress:
        names = ", ".join(field.name for field in fields(Progress))
        with _read(self.path):
            return Progress(*self._db.execute(f"SELECT {names} FROM progress").fetchone())

    def report(self, **values: Any) -> None:
        """Set some fields of `Progress`."""
        columns = ", ".join(f"{name} = ?" for name in values)
        with _told(self.path):
            self._db.execute(f"UPDATE progress SET {columns}", tuple(values.values()))

    def set_waiting(self, waiting: Waiting | None) -> None:
        """Report that calls wait, or that none waits any more."""
        self.set_meta(**{WAITING: "" if waiting is None else json.dumps(astuple(waiting))})

    def waiting(self) -> Waiting | None:
        """Return the last reported wait, None once it is over."""
        told = self.meta(WAITING)
        waiting = Waiting(*json.loads(told)) if told else None
        return None if waiting is None or waiting.until < time.time() else waiting

    def ask_to_stop(self) -> None:
        """Tell the current run that no new call may leave."""
        self.set_meta(**{STOP: "1"})

    def is_asked_to_stop(self) -> bool:
        return self.meta(STOP) is not None

    def set_calling(self, process: int) -> None:
        """Store the id of the process that makes calls; 0 when no call is open any more."""
        self.set_meta(**{CALLING: str(process)})

    def calling(self) -> int:
        """Return the id of the process that makes calls, 0 while there is none."""
        return int(self.meta(CALLING) or 0)

    def begin_run(self) -> None:
        """Reset the previous run's counters, and store when this run began."""
        runs = json.dumps([*self.runs(), time.time()])
        with _told(self.path), self._transaction():
            self._db.execute("DELETE FROM progress")
            self._db.executemany("DELETE FROM meta WHERE key = ?", [(WAITING,), (NOTICE,), (STOP,), (CALLING,), (CLUSTER,)])
            self._db.execute("INSERT INTO progress (one) VALUES (1)")
            self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('runs', ?)", (runs,))

    def runs(self) -> list[float]:
        """Return the Unix time at which each run began, ascending; versions that did not store it are missing."""
        with _read(self.path):
            return sorted(float(began) for began in json.loads(self.meta("runs") or "[]"))

    def spent(self) -> tuple[int, int, float]:
        """Return the queries, tokens and dollars that are spent or reserved."""
        with _read(self.path):
            queries, tokens, usd = self._db.execute("SELECT queries, tokens, usd FROM spent").fetchone()
        return queries, tokens, usd

    def totals(self) -> Totals:
        """Return the totals of all calls that were ever made for this folder."""
        counts = dict.fromkeys(("total", *PURPOSES, "retried"), 0)
        with _read(self.path):
            rows = self._db.execute(
                "SELECT purpose, count(*), sum(attempt > 0) FROM calls WHERE outcome != 'unsent' GROUP BY purpose"
            ).fetchall()
            prompt, completion, usd, unpriced, seconds, reasoning, cached = self._db.execute(
                "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0), sum(usd),"
                " coalesce(sum(usd IS NULL AND reply IS NOT NULL), 0), coalesce(sum(seconds) FILTER (WHERE outcome = 'ok'), 0),"
                f" {', '.join(f'sum({name})' for name in self._columns(('reasoning_tokens', 'cached_tokens')).split(', '))} FROM calls"
            ).fetchone()
            for purpose, count, retried in rows:
                counts[purpose] += count
                counts["total"] += count
                counts["retried"] += retried
        return Totals(counts, prompt, completion, None if unpriced else 0.0 if not rows else usd, seconds, reasoning, cached)

    def paid(self, ids: Sequence[int]) -> dict[int, tuple[Role, int | None, int | None, float, int | None, int | None]]:
        """Return role, prompt and completion tokens, seconds, and cached and written prompt tokens of calls with a reply, by id."""
        with _read(self.path):
            rows = self._db.execute(
                f"SELECT id, role, prompt_tokens, completion_tokens, seconds, {self._columns(('cached_tokens', 'written_tokens'))}"
                " FROM calls WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(list(ids)),),
            ).fetchall()
        return {number: tuple(values) for number, *values in rows}

    def exchanges(self, ids: Sequence[int]) -> list[Exchange]:
        """Return the given calls with their texts, in the order in which they were sent."""
        names = ", ".join(field.name for field in fields(Exchange))
        with _read(self.path):
            rows = self._db.execute(
                f"SELECT {names.replace('id,', 'calls.id,', 1)} FROM calls JOIN prompts ON prompts.id = calls.prompt"
                " WHERE calls.id IN (SELECT value FROM json_each(?)) ORDER BY calls.id",
                (json.dumps(list(ids)),),
            ).fetchall()
            found = [Exchange(*row) for row in rows]
            return [replace(call, **{name: orjson.loads(getattr(call, name)) for name in ("messages", "parameters")}) for call in found]

    def failures(self) -> dict[str, int]:
        """Return the number of failed calls by error name, which ends at the first colon followed by a space."""
        with _read(self.path):
            rows = self._db.execute(
                "SELECT substr(error, 1, instr(error || ': ', ': ') - 1) AS reason, count(*) FROM calls"
                " WHERE outcome IN ('failed', 'unsent') GROUP BY reason ORDER BY count(*) DESC"
            ).fetchall()
        return dict(rows)

    def history(self) -> Iterator[Past]:
        """Yield every call that left or may have left, in the order of sending; rows are read lazily to save memory."""
        names = self._columns(field.name for field in fields(Past))
        with _read(self.path):
            for row in self._db.execute(f"SELECT {names} FROM calls WHERE outcome != 'unsent' ORDER BY id"):
                yield _past(row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._prompts.clear()  # some of these ids may be rolled back
            if self._db.in_transaction:  # SQLite rolls back by itself on a full disk
                self._db.execute("ROLLBACK")
            raise


def _past(row: Sequence[Any]) -> Past:
    """Return a row of `calls` without its texts.

    Raises:
        TypeError: if it holds a value that no version writes.
    """
    past = Past(*row)
    tokens = (past.prompt_tokens, past.completion_tokens, past.reasoning_tokens, past.cached_tokens)
    numbers = (past.started, past.attempt, past.seconds, past.usd, *tokens)
    if not isinstance(past.started, float) or not all(isinstance(one, int | float | None) for one in numbers):
        raise TypeError(f"a call has {numbers!r:.80} as its numbers")
    if not all(isinstance(text, str) for text in (past.purpose, past.role, past.model, past.outcome)):
        raise TypeError("a call has no text as its purpose, role, model or outcome")
    return past


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        *(f"{path.absolute().as_uri()}?mode={mode}", 60),
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_KEPT,
    )


def _can_read(db: sqlite3.Connection) -> bool:
    """Return whether SQLite can open the connection's file."""
    try:
        db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        return "unable to open" not in str(error) and "readonly" not in str(error)
    return True


def usd_of(call: Call, reply: Reply) -> float | None:
    """Return the US dollars for a reply: an upper bound if the server counts no tokens, None when the price is unknown."""
    if call.price is None:
        return None
    if reply.prompt_tokens is None or reply.completion_tokens is None:
        return call.worst_usd
    return call.price.usd(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens or 0, reply.written_tokens or 0)


def _used(reply: Reply) -> int | None:
    if reply.prompt_tokens is None or reply.completion_tokens is None:
        return None
    return reply.prompt_tokens + reply.completion_tokens


@contextmanager
def _read(path: Path) -> Iterator[None]:
    """Raise errors as `_told` does, and treat values that we never write as a damaged file."""
    with _told(path):
        try:
            yield
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise sqlite3.DatabaseError(f"malformed: {type(error).__name__}: {error}") from error


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as `StorageError`."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite may quote a damaged name
        text = str(error) if isinstance(error, sqlite3.Error) else "malformed: its text is not UTF-8"
        if "full" in text or "disk I/O" in text:
            remedy = "free some space on that disk, then run the same command again: what was paid for is kept"
        elif "readonly" in text or "unable to open" in text:
            remedy = "make the folder writable, or choose another output_dir"
        elif "malformed" in text or "not a database" in text:
            remedy = (
                "the file is damaged: move it away and recover it (`sqlite3 damaged.sqlite .recover | sqlite3 ledger.sqlite`), or choose"
                " another output_dir"
            )
        else:
            remedy = "see whether another program holds the file; what was committed is kept"
        raise StorageError(f"{path}: {text}; {remedy}") from error
