"""The batches that a run has made, in its ledger: what was intended, by which names the provider knows it, and which calls are in it.

A batch is written down as intended before anything of it leaves, and its provider's id before anybody waits for it. A run that goes on
after a kill finds here what to look for at the provider. A call of a batch is a row of `calls` like any other; `batched` holds its
reservation, so that it is settled by what was reserved even if the config was changed since.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from axolotl_synthetic.config import Generation, Price
from axolotl_synthetic.ledger import Call, Ledger, _read, _told
from axolotl_synthetic.records import Request

State = Literal["intended", "open", "ended", "void"]
"""`intended`: whether the provider has it is not known yet. `open`: it has. `ended`: its results were read. `void`: nothing of it was or
will be done."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch.

    Attributes:
        id: the ledger's.
        token: our own name for it, in its metadata and in the ids of its calls.
        protocol, model, base_url: whom it was sent to.
        intended: Unix time at which it was written down.
        file: the provider's id of the uploaded calls; None before there is one, and where there is no such step.
        remote: the provider's id of the batch, None while it is not known.
        told: the provider's word for where it stands, empty before the first look.
        total, done, failed: its calls, and those that have ended well and badly, as the provider counted them at the last look.
        spelling: names that its calls' parameters were sent under, as JSON.
    """

    id: int
    token: str
    protocol: Literal["openai", "anthropic"]
    model: str
    base_url: str
    intended: float
    file: str | None
    remote: str | None
    state: State
    told: str
    total: int
    done: int
    failed: int
    spelling: str

    def custom_id(self, call: int) -> str:
        """Return the name under which a call of the ledger is in this batch."""
        return f"{self.token}-{call}"


_COLUMNS = ", ".join(f"batches.{field.name}" for field in fields(Batch))
_OPEN = (
    f"SELECT {_COLUMNS}, count(*) FROM batches JOIN batched ON batched.batch = batches.id JOIN calls ON calls.id = batched.call"
    " WHERE calls.outcome = 'sent' AND batches.state != 'void' GROUP BY batches.id ORDER BY batches.id"
)


class BatchLedger(Ledger):
    """A connection to the ledger for whoever sends batches. Like every connection it is not for two threads at once."""

    def intend(self, batch: Batch, calls: Sequence[int]) -> Batch:
        """Write a batch down, with its calls, before anything of it leaves; returns it with its id."""
        values = {field.name: getattr(batch, field.name) for field in fields(Batch) if field.name != "id"}
        names, places = ", ".join(values), ", ".join("?" * len(values))
        with _told(self.path), self._transaction():
            self._db.execute(f"INSERT INTO batches ({names}) VALUES ({places})", tuple(values.values()))
            (number,) = self._db.execute("SELECT last_insert_rowid()").fetchone()
            self._db.executemany("UPDATE batched SET batch = ? WHERE call = ?", [(number, call) for call in calls])
        return self.batch(number)

    def note(self, batch: int, **values: Any) -> None:
        """Set some of a batch's columns."""
        columns = ", ".join(f"{name} = ?" for name in values)
        with _told(self.path):
            self._db.execute(f"UPDATE batches SET {columns} WHERE id = ?", (*values.values(), batch))

    def batch(self, number: int) -> Batch:
        with _read(self.path):
            return Batch(*self._db.execute(f"SELECT {_COLUMNS} FROM batches WHERE id = ?", (number,)).fetchone())

    def known(self) -> set[str]:
        """Return the provider's ids of all batches, ended ones included."""
        with _read(self.path):
            return {remote for (remote,) in self._db.execute("SELECT remote FROM batches WHERE remote IS NOT NULL")}

    def under_way(self) -> list[Batch]:
        """Return the batches that have not ended, as far as is known. For looks many times a minute: it reads no calls."""
        with _read(self.path):
            if not self._has_batches():
                return []
            return [Batch(*row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM batches WHERE state IN ('intended', 'open')")]

    def open_batches(self) -> list[tuple[Batch, int]]:
        """Return the batches whose results are not all in, each with the number of its calls that wait."""
        with _read(self.path):
            if not self._has_batches():
                return []
            return [(Batch(*row[:-1]), row[-1]) for row in self._db.execute(_OPEN)]

    def _has_batches(self) -> bool:
        """Return whether there are tables of batches: a ledger that is only read may be of a version without."""
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'batched'").fetchone() is not None

    def waiting_calls(self, batch: int, price: Price | None) -> dict[int, tuple[bytes, Call]]:
        """Return the calls of a batch that are not settled, as they were sent, each with its key, by their ids."""
        with _read(self.path):
            rows = self._db.execute(
                "SELECT calls.id, key, purpose, role, model, prompts.messages, parameters, max_new_tokens, sample, attempt, tokens,"
                " batched.usd FROM batched JOIN calls ON calls.id = batched.call JOIN prompts ON prompts.id = calls.prompt"
                " WHERE batched.batch = ? AND outcome = 'sent' ORDER BY calls.id",
                (batch,),
            ).fetchall()
            return {row[0]: (row[1], _call(row[2:], price)) for row in rows}

    def release(self, calls: Sequence[int] | None = None) -> int:
        """Take back calls that never left, because no batch has taken them, with what is reserved for them; returns how many.

        Args:
            calls: ids of those that may be taken back; None for all.
        """
        where = "(batched.batch IS NULL OR EXISTS (SELECT 1 FROM batches WHERE batches.id = batched.batch AND state = 'void'))"
        values: tuple[str, ...] = ()
        if calls is not None:
            where += " AND batched.call IN (SELECT value FROM json_each(?))"
            values = (json.dumps(list(calls)),)
        with _told(self.path), self._transaction():
            rows = self._db.execute(
                f"SELECT call, tokens, batched.usd FROM batched JOIN calls ON calls.id = call WHERE outcome = 'sent' AND {where}", values
            ).fetchall()
            for table, column in (("calls", "id"), ("batched", "call")):
                self._db.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(row[0],) for row in rows])
            self._db.execute(
                "UPDATE spent SET queries = queries - ?, tokens = tokens - ?, usd = max(0, usd - ?)",
                (len(rows), sum(row[1] for row in rows), sum(row[2] for row in rows)),
            )
        return len(rows)


def new_batch(token: str, protocol: Literal["openai", "anthropic"], model: str, base_url: str, calls: int, spelling: str) -> Batch:
    """Return a batch that is about to be sent."""
    return Batch(0, token, protocol, model, base_url, time.time(), None, None, "intended", "", calls, 0, 0, spelling)


def _call(row: Sequence[Any], price: Price | None) -> Call:
    purpose, role, model, messages, parameters, most, sample, attempt, tokens, usd = row
    sampling: Mapping[str, Any] = {"temperature": None, **json.loads(parameters), "max_new_tokens": most}
    request = Request(purpose, role, tuple(json.loads(messages)), sample)
    return Call(request, model, Generation(**sampling), price, attempt, batched=True, reserved=(tokens, usd))
