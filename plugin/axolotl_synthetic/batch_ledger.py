"""The batches of a run in its ledger: which were intended, the provider's names for them, and the calls in each.

A batch is written as intended before any of it leaves, and with its provider's id before anything waits for it. So a run that resumes after
a kill knows what to look for at the provider. A batch's call is a row of `calls` like any other. `batched` holds its reservation, which
settles it even if the config has changed.
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
"""State of a batch.

`intended`: it is not known whether the provider has it. `open`: the provider has it. `ended`: its results were read. `void`: nothing of it
was or will be done.
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch.

    Attributes:
        id: the ledger's id.
        token: our name for it, in its metadata and in its calls' ids.
        protocol, model, base_url: where it was sent.
        intended: Unix time at which it was written to the ledger.
        file: the provider's id of the uploaded calls; None before the upload and where the protocol has none.
        remote: the provider's id of the batch, None while it is unknown.
        told: the provider's word for its state, empty before the first look.
        total, done, failed: its calls, those that succeeded and those that failed, by the provider's last count.
        spelling: parameter names of its calls, as JSON.
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
        """Return a call's id within this batch."""
        return f"{self.token}-{call}"


_COLUMNS = ", ".join(f"batches.{field.name}" for field in fields(Batch))
_OPEN = (
    f"SELECT {_COLUMNS}, count(*) FROM batches JOIN batched ON batched.batch = batches.id JOIN calls ON calls.id = batched.call"
    " WHERE calls.outcome = 'sent' AND batches.state != 'void' GROUP BY batches.id ORDER BY batches.id"
)


class BatchLedger(Ledger):
    """Connection to the ledger for senders of batches; like every connection, two threads must not use it at once."""

    def intend(self, batch: Batch, calls: Sequence[int]) -> Batch:
        """Write a batch with its calls before any of it leaves; return it with its id."""
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
        """Return the batches not known to have ended. It may be called many times a minute: it reads no calls."""
        with _read(self.path):
            if not self._has_batches():
                return []
            return [Batch(*row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM batches WHERE state IN ('intended', 'open')")]

    def open_batches(self) -> list[tuple[Batch, int]]:
        """Return the batches with missing results, each with the number of its waiting calls."""
        with _read(self.path):
            if not self._has_batches():
                return []
            return [(Batch(*row[:-1]), row[-1]) for row in self._db.execute(_OPEN)]

    def _has_batches(self) -> bool:
        """Return whether the ledger has tables of batches: one of an older version that is open read-only may lack them."""
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'batched'").fetchone() is not None

    def waiting_calls(self, batch: int, price: Price | None) -> dict[int, tuple[bytes, Call]]:
        """Return a batch's unsettled calls as they were sent, each with its key, by their ids."""
        with _read(self.path):
            rows = self._db.execute(
                "SELECT calls.id, key, purpose, role, model, prompts.messages, parameters, max_new_tokens, sample, attempt, tokens,"
                " batched.usd FROM batched JOIN calls ON calls.id = batched.call JOIN prompts ON prompts.id = calls.prompt"
                " WHERE batched.batch = ? AND outcome = 'sent' ORDER BY calls.id",
                (batch,),
            ).fetchall()
            return {row[0]: (row[1], _call(row[2:], price)) for row in rows}

    def release(self, calls: Sequence[int] | None = None) -> int:
        """Delete calls that never left, because no batch has taken them, and their reservations; return their number.

        Args:
            calls: ids of the calls that may be deleted; None for all.
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
