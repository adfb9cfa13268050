"""Words around a number that are not units of the table: when two answers' words agree, and when they contradict.

No words contradict nothing: `12` equals `12 apples`, and `12 apples` equals `12 red apples`. If each side has a word that the other lacks,
they differ: `red apples` and `green apples`.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Words that do not say what is counted. Chinese, Japanese and Korean classifiers count anything.
_ENGLISH = """a an the of in is are was were be there he she it they we i you all altogether total totals overall together more extra
    additional whole full left remaining remain remains each per every apiece exactly only just also and for to from has have had would will
    his her their its my our your long tall wide high deep away worth unit units square
    squared cubic cubed amount number answer result value final sum"""
_OTHERS = """insgesamt noch jeweils de du des la le les un une der die das den au total en von です だ である 입니다 이다 개 명 마리 권
    个 個 つ 只 支 枝 本 颗 顆 粒 枚 张 張 条 位 名 件 块"""
_FILLERS = frozenset((*_ENGLISH.split(), *_OTHERS.split()))
_CLASSIFIER = re.compile("^[个個つ只支枝本颗顆粒枚张張条位名件块개명]|(?:です|である|だ|입니다|이다)$")
# Each line has opposites on its two sides.
_CONTRARIES = """
increase increased increases rise rose growth grew gain gained up ahead | decrease decreased decreases fall fell drop lost loss down behind
profit surplus income revenue | loss deficit expense expenses cost
above over | below under beneath
more extra | less fewer
north northern | south southern
east eastern | west western
before ago earlier early | after later late
left | right
long | short
square squared | cubic cubed
long length | wide width
long length | deep depth
tall high height | deep depth
tall high height | wide width
older | younger
taller longer larger bigger higher greater | shorter smaller lower
faster | slower
heavier | lighter
hotter warmer | colder cooler
positive | negative
most maximum | least minimum
deposit deposited | withdrawal withdrawn
credit | debit
won win wins | lost lose loses
forward forwards | backward backwards
clockwise | counterclockwise anticlockwise
full | empty
left remaining unsold uneaten unread | sold eaten used spent read
missing | extra
male males boys men | female females girls women
"""
_SIDES: dict[str, set[tuple[int, int]]] = {}
for _row, _line in enumerate(_CONTRARIES.strip().splitlines()):
    for _side, _words in enumerate(_line.split("|")):
        for _word in _words.split():
            _SIDES.setdefault(_word, set()).add((_row, _side))
_IRREGULAR = {
    "people": "person", "children": "child", "kids": "child", "kid": "child", "men": "man", "women": "woman", "mice": "mouse",
    "geese": "goose", "teeth": "tooth", "dice": "die", "age": "old", "людей": "человек", "люди": "человек", "лет": "год",
}  # fmt: skip
_TOKEN = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f\u0900-\u0dff\u0e30-\u0e4e]+[^\W\d_]*)*|[^\w\s\x00-\xff‘’“”—–-]")
LONGEST_ENDING = 3  # letters of an inflection, outside of English


@lru_cache(maxsize=4_096)
def tokens(text: str) -> tuple[str, ...]:
    """Return the words of a text in one case, and its emoji."""
    return tuple(
        word
        for word in _TOKEN.findall(text.casefold().replace("²", " squared ").replace("³", " cubed "))
        if word not in "\u200c\u200d\ufe0f"
    )


@lru_cache(maxsize=4_096)
def say_the_same(one: str, other: str) -> bool:
    """Say whether two texts may name the same thing: one has all words of the other, and no words are opposites."""
    first, second = tokens(one), tokens(other)
    if first == second:
        return True
    if contrary(first, second):
        return False
    mine, others = _meant(first), _meant(second)
    return _within(mine, others) or _within(others, mine)


def _within(some: set[str], others: set[str]) -> bool:
    return all(any(_alike(word, other) for other in others) for word in some)


def contrary(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    """Say whether two texts contain opposites, such as `increase` and `decrease`."""
    mine = {side for word in some for side in _SIDES.get(word, ())}
    return any((row, 1 - side) in mine for word in others for row, side in _SIDES.get(word, ()))


def says_nothing(text: str) -> bool:
    """Say whether a text has only filler words: `in total`, `each`."""
    return not _meant(tokens(text))


def _meant(words: tuple[str, ...]) -> set[str]:
    return {stem for word in words if word not in _FILLERS and (stem := _CLASSIFIER.sub("", word))}


def _alike(one: str, other: str) -> bool:
    """Say whether two words are forms of one. In scripts without spaces, one text such as `支铅笔` holds several words."""
    one, other = _IRREGULAR.get(one, one), _IRREGULAR.get(other, other)
    if one == other:
        return True
    if _is_unspaced(one) or _is_unspaced(other):
        pairs = {one[at : at + 2] for at in range(len(one) - 1)}
        return one in other or other in one or any(other[at : at + 2] in pairs for at in range(len(other) - 1))
    if one.isascii() and other.isascii():
        return not singulars(one).isdisjoint(singulars(other))
    shared = next((at for at, (mine, its) in enumerate(zip(one, other, strict=False)) if mine != its), min(len(one), len(other)))
    return shared >= 3 and max(len(one), len(other)) - shared <= LONGEST_ENDING


def _is_unspaced(word: str) -> bool:
    return word[0] >= "\u2e80" or "\u0e00" <= word[0] < "\u0f00"


def singulars(word: str) -> set[str]:
    """Return the word and all its possible singulars. German plurals count, too: `Kisten`, `Schrauben`."""
    found = {word}
    for ending, singular in (
        ("ies", "y"),
        ("ves", "f"),
        ("ves", "fe"),
        ("es", ""),
        ("s", ""),
        ("en", ""),
        ("n", ""),
        ("er", ""),
        ("e", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= (2 if ending in ("s", "es") else 3):
            found.add(word[: len(word) - len(ending)] + singular)
    return found
