"""Texts as words, and two ways to find equal texts: shared runs of words, and MinHash (rensa).

`near_duplicate.py` and `decontamination.py` decide which texts are compared, and set the limits.
"""

from __future__ import annotations

import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise

import regex
from rensa import RMinHash

from axolotl_synthetic.records import Question

# Thai, Lao, Burmese, Khmer, Tibetan, Japanese kana and Chinese characters have no spaces between words. Each letter is a word of its
# own, together with its vowel and tone signs.
_SIGNED = r"\p{Thai}\p{Lao}\p{Myanmar}\p{Khmer}\p{Tibetan}\p{Javanese}\p{Tai_Tham}\p{New_Tai_Lue}\p{Tai_Viet}"
_KANA, _HAN = "\u3040-\u30ff", "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_UNSPACED = rf"[[{_SIGNED}{_KANA}{_HAN}]&&\p{{L}}]"
# How many of these characters count as one English word. Of problems written in each language, an English word has 1.7 characters of
# Chinese, 2.3 of Japanese, and with their signs 2.7 letters of Thai, 2.6 of Lao, Burmese and Tibetan, 2.1 of Khmer. Weights are in
# twelfths of a word, so that all sums are exact.
WORD = 12
_PER_WORD = {_HAN: 2, _KANA: 3, _SIGNED: 3}
_PARTS = tuple((regex.compile(f"[{script}]"), WORD // number) for script, number in _PER_WORD.items())
# `5 - 3` and `5 + 3` are two problems, and so are 25 and 2.5.
SIGNS = frozenset("+-*/=<>%^≤≥≠√")
_SPELLINGS = str.maketrans("−×÷", "-*/")
# Invisible characters and those that only select a glyph's form. Within a word they would split it and hide a copy.
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff\U000e0100-\U000e01ef]")
# `re` has no name for the signs of other scripts (Unicode's marks): its `\w` cuts दिन into two letters, and दान into the same two.
_SIGN = re.escape("".join(sorted(SIGNS)))
_WORD = regex.compile(rf"(?:[[\p{{L}}\p{{M}}\p{{N}}_]--{_UNSPACED}]++|(?<=[0-9])\.(?=[0-9]))++|{_UNSPACED}\p{{M}}*+|[{_SIGN}]", regex.V1)
# The same for ASCII, three times as fast: separators become spaces, signs become words, and decimal points become letters.
_ASCII = {code: chr(code) if chr(code).isalnum() or chr(code) == "_" else " " for code in range(128)}
_ASCII |= {ord(sign): f" {sign} " for sign in SIGNS} | {1: "."}
_POINT = re.compile(r"\.(?<=[0-9]\.)(?=[0-9])")
# Words in one shingle: enough for their order to count, few enough to recognise the unchanged half of a half-reworded text.
SHINGLE = 3
# Ten thousand variants of one pattern are all alike, and each would be compared with all others. So of the texts that share a band this
# many are kept, and of those that share a band with a text this many are compared, those with the most bands first.
MOST_PER_BUCKET = 8
MOST_COMPARED = 8
# Several checks use the same words of a text, perhaps only once the samples before it are decided. Long texts are not cached.
REMEMBERED = 4_096
LONGEST_REMEMBERED = 10_000
BANDS = 8
LONGEST_BAND = 16
SEED = 1


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text without case and punctuation, in their order; a sign of arithmetic is a word."""
    return _words(text) if len(text) <= LONGEST_REMEMBERED else _words.__wrapped__(text)


@lru_cache(maxsize=REMEMBERED)
def _words(text: str) -> tuple[str, ...]:
    if not text.isascii():
        return tuple(_WORD.findall(unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).casefold().translate(_SPELLINGS)))
    return tuple(_POINT.sub("\x01", text.replace("\x01", " ")).lower().translate(_ASCII).split())


def asked(question: Question) -> str:
    """Return the text that identifies a question: its choices and the user's earlier turns included.

    A context, a database's schema or a system message belongs to many questions.
    """
    return "\n".join((*(text for role, text in question.turns if role == "user"), question.text, *question.choices))


def shingles(text: str) -> list[str]:
    """Return every run of three words; a shorter text is one run."""
    found = words(text)
    if not text.isascii() and _has_parts(found):
        return [" ".join(found[start:end]) for start, end in _windows(found, SHINGLE)] or [" ".join(found)]
    if len(found) <= SHINGLE:
        return [" ".join(found)]
    return list(map(" ".join, zip(found, found[1:], found[2:], strict=False)))


@lru_cache(maxsize=65_536)
def _weight(word: str) -> int:
    """Return a word's weight in units of 1 / `WORD`."""
    return next((part for script, part in _PARTS if script.match(word)), WORD)


def _has_parts(found: tuple[str, ...]) -> bool:
    return any(_weight(word) < WORD for word in found)


def _windows(found: tuple[str, ...], length: int) -> Iterator[tuple[int, int]]:
    """Yield the shortest run that is worth `length` words from each position, as its start and end.

    Where two texts share a run that is worth as much, they share such a window: the one at the run's start.
    """
    weights = list(map(_weight, found))
    end = worth = 0
    for start, weight in enumerate(weights):
        while worth < length * WORD:
            if end == len(found):
                return
            worth += weights[end]
            end += 1
        yield start, end
        worth -= weight


@dataclass(frozen=True, slots=True)
class Sketch:
    """A text to compare with others.

    Attributes:
        hashes: of its runs of three words.
        bands: its MinHash in bands; texts that share one are compared.
    """

    hashes: frozenset[int]
    bands: tuple[int, ...]


class Alike:
    """An index of texts by their shingles, which finds one whose Jaccard similarity with another reaches a threshold.

    Banded MinHash selects texts, which are then compared exactly, so that no text is wrongly called similar. Of texts with a similarity s
    it
    misses a share of `(1 - s^r)^b` (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4.2), with b = 8 bands and r rows chosen
    so that this
    is at most 4 % at the threshold. It also misses some among very many texts that are all nearly alike.

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
        self._same: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def sketch(self, *texts: str) -> Sketch:
        """Return the sketch of these texts for `nearest` and `add`. No run spans two texts."""
        runs = _runs if max(map(len, texts)) <= LONGEST_REMEMBERED else _runs.__wrapped__
        first, *others = [runs(text, self._rows) for text in texts]
        if not others:
            return Sketch(first[0], _bands(first[1], self._rows))
        # The minimum of a union is the smaller of the two minima.
        digest = tuple(map(min, first[1], *(digest for _, digest in others)))
        return Sketch(first[0].union(*(hashes for hashes, _ in others)), _bands(digest, self._rows))

    def nearest(self, sketch: Sketch) -> tuple[str, float] | None:
        """Return the name of the most similar text and the similarity, None when none reaches the threshold."""
        ours = sketch.hashes
        # Among very many similar texts the bands alone could miss even an equal text.
        if (same := self._same.get(hash(ours))) is not None and ours == frozenset(self._hashes[same]):
            return self._names[same], 1.0
        found = None
        for index in self._most_in_common(sketch):
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
        """Add a text under the name that `nearest` reports."""
        index = len(self._names)
        self._names.append(name)
        self._hashes.append(array("I", sketch.hashes))
        self._same.setdefault(hash(sketch.hashes), index)
        for band in sketch.bands:
            held = self._buckets.get(band)
            if held is None:
                self._buckets[band] = index
            elif isinstance(held, int):
                self._buckets[band] = (held, index)
            elif len(held) < MOST_PER_BUCKET:
                self._buckets[band] = (*held, index)

    def _most_in_common(self, sketch: Sketch) -> list[int]:
        """Return the texts to compare with, those that share the most bands first."""
        held = [one for one in map(self._buckets.get, sketch.bands) if one is not None]
        if not held:
            return []
        count = Counter(chain.from_iterable((one,) if isinstance(one, int) else one for one in held))
        return [index for index, _ in count.most_common(MOST_COMPARED)]


@lru_cache(maxsize=REMEMBERED)
def _runs(text: str, rows: int) -> tuple[frozenset[int], tuple[int, ...]]:
    """Return the runs of three words as 32-bit hashes, and their MinHash for bands of `rows` rows; the same in every process."""
    runs = shingles(text)
    [hashes] = RMinHash.hash_token_sets([runs])
    made = RMinHash(BANDS * rows, SEED)
    made.update(runs)
    return frozenset([value & 0xFFFFFFFF for value in hashes]), tuple(made.digest())


@lru_cache(maxsize=REMEMBERED)
def _bands(digest: tuple[int, ...], rows: int) -> tuple[int, ...]:
    """Return a MinHash as its bands' hashes.

    Tuples of integers have the same hash in every process. A band's number keeps equal rows of two bands apart.
    """
    return tuple(map(hash, zip(range(BANDS), *(digest[row::rows] for row in range(rows)), strict=True)))


class SharedRuns:
    """An index of runs of words, which finds a run that a text shares with any text added before.

    A run of n words, wherever it begins, contains a whole block of (n + 1) / 2 of the blocks that its text is cut into. So only the blocks
    of
    a text are looked up, and the runs around a known one. In scripts without spaces every run is looked up.

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
        """Add all runs of some texts under the name that `find` reports."""
        self._names.append(name)
        for text in texts:
            found = _spoken(text)
            if len(found) >= self.length:
                self._blocks.update(_keys(found, self._block))
                for start, end in _windows(found, self.length):
                    self._runs.setdefault(hash(found[start:end]), len(self._names) - 1)

    def find(self, text: str) -> tuple[str, str] | None:
        """Return the first shared run and the name of its source, None when there is none."""
        if not self._runs:
            return None
        found = _spoken(text)
        if not text.isascii() and _has_parts(found):
            for start, end in _windows(found, self.length):
                if (source := self._runs.get(hash(found[start:end]))) is not None:
                    return _written(found[start:end]), self._names[source]
            return None
        for at in range(0, len(found) - self._block + 1, self._block):
            if hash(found[at : at + self._block]) not in self._blocks:
                continue
            for first in range(max(0, at + self._block - self.length), min(at, len(found) - self.length) + 1):
                run = found[first : first + self.length]
                if (source := self._runs.get(hash(run))) is not None:
                    return " ".join(run), self._names[source]
        return None


def _spoken(text: str) -> tuple[str, ...]:
    """Return the words without the signs: a line of arithmetic has too many of them to count as thirteen words."""
    found = words(text)
    return found if SIGNS.isdisjoint(found) else tuple(word for word in found if word not in SIGNS)


def _written(run: tuple[str, ...]) -> str:
    """Return a run as a text writes it: with spaces between words, and none between characters that are parts of words."""
    spaces = (" " if WORD in (_weight(one), _weight(other)) else "" for one, other in pairwise(run))
    return "".join(chain.from_iterable(zip(run, chain(spaces, ("",)), strict=True)))


def _keys(found: tuple[str, ...], length: int) -> Iterator[int]:
    """Yield the hash of every run of that length. With 64 bits, about one of ten trillion runs collides with one of a million."""
    return (hash(found[at : at + length]) for at in range(len(found) - length + 1))
