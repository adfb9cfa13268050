"""Cache of the generated databases, for later queries with the same schema and the same literals."""

from __future__ import annotations

from collections import OrderedDict

from axolotl_synthetic.sql.filling import Ground
from axolotl_synthetic.sql.hints import Hints, hints_of_schema
from axolotl_synthetic.sql.images import image_of, rearranged
from axolotl_synthetic.sql.profiles import Profile
from axolotl_synthetic.sql.schema import Schema

# A suite takes some 80 kB, so this holds more than 2,000 gold queries' suites; dropped suites are made again.
KEPT_BYTES = 192 * 2**20


class Suite:
    """The fillings of one schema for one set of hints, each made on first use."""

    def __init__(self, schema: Schema, hints: Hints) -> None:
        self.schema = schema
        self.bytes = 0
        self._ground = Ground(schema, hints | hints_of_schema(schema.text, schema.columns))
        self._images: dict[str, bytes] = {}
        self._rearranged: dict[str, tuple[bytes, ...]] = {}

    def image(self, profile: Profile) -> bytes:
        """Return the database with this filling."""
        if profile.name not in self._images:
            rows = self._ground.fill(profile)
            self._images[profile.name] = image_of(self.schema, rows, plain=profile.reversed)
            self.bytes += len(self._images[profile.name])
        return self._images[profile.name]

    def rearranged(self, profile: Profile) -> tuple[bytes, ...]:
        """Return the same rows in other orders."""
        if profile.name not in self._rearranged:
            self._rearranged[profile.name] = rearranged(self.schema, self.image(profile))
            self.bytes += sum(map(len, self._rearranged[profile.name]))
        return self._rearranged[profile.name]


class Suites:
    """Cache of suites. The least recently used are dropped when they take too much memory."""

    def __init__(self) -> None:
        self._suites: OrderedDict[tuple[str, str], tuple[Suite, int]] = OrderedDict()
        self._bytes = 0

    def of(self, schema: Schema, hints: Hints) -> Suite:
        key = (schema.text, hints.key)
        suite, counted = self._suites.pop(key, (None, 0))
        suite = suite or Suite(schema, hints)
        # A suite grows with use, so its size is updated on each access.
        self._bytes += suite.bytes - counted
        self._suites[key] = suite, suite.bytes
        while self._bytes > KEPT_BYTES and len(self._suites) > 1:
            _, (_, gone) = self._suites.popitem(last=False)
            self._bytes -= gone
        return suite
