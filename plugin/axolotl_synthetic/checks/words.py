"""Texts as words, and two ways of telling that texts say the same: runs of words that they share, and MinHash (rensa).

What is compared with what, and where the limits lie, is for `near_duplicate.py` and `decontamination.py`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rensa import RMinHash

from axolotl_synthetic.records import Question

# Chinese, Japanese, Thai, Lao, Burmese and Khmer put no space between words: there each character stands for one.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
# `5 - 3` and `5 + 3` are two problems, and so are 25 and 2.5.
SIGNS = "+-*/=<>%^"
_WORD_OR_SIGN = re.compile(rf"[{_UNSPACED}]|(?:[^\W{_UNSPACED}]|(?<=[0-9])\.(?=[0-9]))+|[{re.escape(SIGNS)}]")
# The same for ASCII, ten times as fast: what is no part of a word becomes a space, a sign a word, a decimal point a letter.
_OTHER = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "_")}
_OTHER_BUT_SIGNS = _OTHER | {ord(sign): f" {sign} " for sign in SIGNS} | {1: "."}
_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9])")
# Words in one shingle: enough for their order to count, few enough for a reworded half to leave the other half recognised.
SHINGLE = 3
# Ten thousand variants of one pattern are all alike, and all of them would be compared for ever. So of the texts with the same rows in
# a band so many are kept, and of those that have a band in common with a text so many are compared, the most bands first.
MOST_PER_BUCKET = 8
MOST_COMPARED = 8
BANDS = 8
LONGEST_BAND = 16
SEED = 1


def words(text: str, *, signs: bool = False) -> list[str]:
    """The words of a text without case and punctuation, in their order; with the signs of arithmetic where they matter."""
    if not text.isascii():
        return (_WORD_OR_SIGN if signs else _WORD).findall(unicodedata.normalize("NFKC", text).casefold())
    if signs:
        return _POINT.sub("\x01", text.replace("\x01", " ")).lower().translate(_OTHER_BUT_SIGNS).split()
    return text.lower().translate(_OTHER).split()


def asked(question: Question) -> str:
    """What makes a question this one, choices included. A context or a database's schema belongs to many."""
    return "\n".join((question.text, *question.choices))


def shingles(text: str) -> list[str]:
    """Every run of three words; a shorter text is one run."""
    found = words(text, signs=True)
    if len(found) <= SHINGLE:
        return [" ".join(found)]
    return [f"{one} {two} {three}" for one, two, three in zip(found, found[1:], found[2:], strict=False)]


@dataclass(frozen=True, slots=True)
class Sketch:
    """A text to compare with others.

    Attributes:
        hashes: of its shingles, each once.
        rows: its MinHash, cut into bands; texts are compared that have a band in common.
    """

    hashes: array[int]
    bands: tuple[int, ...]


class Alike:
    """Texts by their shingles: finds one whose Jaccard similarity with another reaches a threshold.

    Candidates are found by banded MinHash and then compared exactly, so nothing is taken for alike that is not. What is missed: of
    texts with a similarity s, `(1 - s^r)^b` (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4.2), with b = 8 bands and
    r rows chosen so that this is at most 4 % at the threshold; and some among very many that are all nearly alike.

    Args:
        threshold: from 0.5 to 1.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        # s^r ≥ 1/3 at the threshold: (1 - 1/3)^8 = 3.9 %.
        self._rows = LONGEST_BAND if threshold >= 1 else min(LONGEST_BAND, int(math.log(1 / 3) / math.log(threshold)))
        self._buckets: dict[int, int | tuple[int, ...]] = {}
        self._names: list[str] = []
        self._hashes: list[array[int]] = []

    def __len__(self) -> int:
        return len(self._names)

    def sketch(self, text: str) -> Sketch:
        """What `nearest` and `add` take."""
        return _sketch(text, self._rows)

    def nearest(self, sketch: Sketch) -> tuple[str, float] | None:
        """The name of the text that is most like this one and their similarity, None when none reaches the threshold."""
        found = None
        in_common = Counter(self._candidates(sketch))
        ours = set(sketch.hashes) if in_common else set()
        for index, _ in in_common.most_common(MOST_COMPARED):
            theirs = self._hashes[index]
            shorter, longer = sorted((len(ours), len(theirs)))
            if shorter < self.threshold * longer:
                continue
            shared = len(ours.intersection(theirs))
            similarity = shared / (len(ours) + len(theirs) - shared)
            if similarity >= self.threshold and (found is None or similarity > found[1]):
                found = self._names[index], similarity
        return found

    def add(self, name: str, sketch: Sketch) -> None:
        """Remember a text, by a name to report it with."""
        index = len(self._names)
        self._names.append(name)
        self._hashes.append(sketch.hashes)
        for band in sketch.bands:
            held = self._buckets.get(band)
            if held is None:
                self._buckets[band] = index
            elif isinstance(held, int):
                self._buckets[band] = (held, index)
            elif len(held) < MOST_PER_BUCKET:
                self._buckets[band] = (*held, index)

    def _candidates(self, sketch: Sketch) -> Iterator[int]:
        for band in sketch.bands:
            held = self._buckets.get(band)
            if isinstance(held, int):
                yield held
            elif held is not None:
                yield from held


# The question of a sample is looked up by one check, and by another when the samples before it are known.
@lru_cache(maxsize=4_096)
def _sketch(text: str, rows: int) -> Sketch:
    runs = shingles(text)
    [hashes] = RMinHash.hash_token_sets([runs])
    made = RMinHash(BANDS * rows, SEED)
    made.update(runs)
    digest = made.digest()
    # A tuple of integers has the same hash in every process; the band's own number keeps equal rows of two bands apart.
    bands = tuple(hash((band, *digest[band * rows : (band + 1) * rows])) for band in range(BANDS))
    return Sketch(array("I", {value & 0xFFFFFFFF for value in hashes}), bands)


class SharedRuns:
    """Finds a run of words that a text shares with any of those added before.

    A run of n words, wherever it begins, holds a whole block of (n + 1) / 2 of those into which its text is cut. So only the blocks of
    a text are looked up, and the runs around one that is known.

    Args:
        length: in words.
    """

    def __init__(self, length: int) -> None:
        self.length = length
        self._block = (length + 1) // 2
        self._blocks: set[int] = set()
        self._runs: dict[int, int] = {}
        self._names: list[str] = []

    def add(self, name: str, texts: Iterable[str]) -> None:
        """Remember all runs of some texts, by a name to report them with."""
        self._names.append(name)
        for text in texts:
            found = words(text)
            if len(found) >= self.length:
                self._blocks.update(_keys(found, self._block))
                for key in _keys(found, self.length):
                    self._runs.setdefault(key, len(self._names) - 1)

    def find(self, text: str) -> tuple[str, str] | None:
        """The first shared run and the name of where it was, None when there is none."""
        if not self._runs:
            return None
        found = words(text)
        for at in range(0, len(found) - self._block + 1, self._block):
            if hash(tuple(found[at : at + self._block])) not in self._blocks:
                continue
            for first in range(max(0, at + self._block - self.length), min(at, len(found) - self.length) + 1):
                run = found[first : first + self.length]
                if (source := self._runs.get(hash(tuple(run)))) is not None:
                    return " ".join(run), self._names[source]
        return None


def _keys(found: Sequence[str], length: int) -> Iterator[int]:
    """Of every run of that length: 64 bits, so that of ten billion runs looked up among a million one is taken for another."""
    return (hash(tuple(found[at : at + length])) for at in range(len(found) - length + 1))
