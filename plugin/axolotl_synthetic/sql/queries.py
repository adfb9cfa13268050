"""Reads one query with sqlglot: its tree, its normal form, and whether order matters in it. Nothing is run here.

Used in the sandbox's worker (`worker.py`) alone, because a hostile text may keep a parser busy for ever.
"""

from __future__ import annotations

import logging
import re

from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.errors import SqlglotError

# It warns on standard error of every statement that it does not know; what it does not know is refused here anyway.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

# Spider's longest query has some 600 characters; what is longer than this is no query that a model was asked for.
LONGEST_QUERY = 10_000
# Words that SQLite takes in any case (sqlite.org/lang_keywords.html).
_WORDS = (
    "ALL AND AS ASC BETWEEN BY CASE CAST COLLATE CROSS CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DESC DISTINCT ELSE END ESCAPE EXCEPT"
    " EXISTS FILTER FIRST FROM FULL GLOB GROUP HAVING IN INNER INTERSECT IS ISNULL JOIN LAST LEFT LIKE LIMIT NATURAL NOT NOTNULL NULL"
    " NULLS OFFSET ON OR ORDER OUTER OVER PARTITION RECURSIVE RIGHT SELECT THEN UNION USING VALUES WHEN WHERE WINDOW WITH"
)
_KEYWORDS = frozenset(_WORDS.split())
# A bracket behind one of these opens the arguments of a call, as behind any name.
_CALLED = {"CAST", "GLOB", "LIKE"}
_NAMES = {TokenType.IDENTIFIER, TokenType.VAR, TokenType.R_PAREN}
_SIGNS = {TokenType.DASH, TokenType.PLUS}
_SQLITE = Dialect.get_or_raise("sqlite")
# Made once: to make them takes as long as to read a short query.
_TOKENIZER, _PARSER = _SQLITE.tokenizer(), _SQLITE.parser()


# As many joins as a query may well have; sqlglot reads 10 without ON in 5 ms.
MANY_JOINS = 10
# Among the dates of generated rows (`values.py`), so that there are rows on both sides of it.
NOW = "2012-06-15 13:45:30"
_CURRENT = {"current_timestamp": f"'{NOW}'", "current_date": f"'{NOW[:10]}'", "current_time": f"'{NOW[11:]}'"}
_OF_TIME = ("date", "time", "datetime", "julianday", "unixepoch")
_CLOCK = re.compile(r"now|current_|(?:date|time|julianday|unixepoch)\s*\(\s*\)|strftime\s*\([^,()]*\)", re.IGNORECASE)


# The last normal form and its tree: what is read next is mostly what a text was brought into.
_last: dict[str, exp.Query] = {}


class NotAQuery(Exception):
    """Why a text is not one query of SQLite's, in words that a person can read."""


def parsed(text: str) -> exp.Query:
    """The tree of a query.

    Raises:
        NotAQuery: if it is not exactly one SELECT (with or without WITH) that sqlglot can read as SQLite's.
    """
    return _last[text] if text in _last else _read(text)[1]


def _read(text: str) -> tuple[list[Token], exp.Query]:
    """A query's words and its tree, or `NotAQuery`."""
    if len(text) > LONGEST_QUERY:
        raise NotAQuery(f"{len(text):,} characters, more than {LONGEST_QUERY:,}")
    if re.search("[\0\ud800-\udfff]", text):
        raise NotAQuery("it holds a NUL character or half of a surrogate pair, which no text of SQLite's can")
    try:
        tokens = _TOKENIZER.tokenize(text)
        statements = [one for one in _PARSER.parse(_with_crosses(tokens), text) if one is not None and not isinstance(one, exp.Semicolon)]
    except (SqlglotError, RecursionError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if (grouped := re.search(r"(?<![\w'\"])\d+(?:_\d+)+\b", text)) is not None:
            raise NotAQuery(f"the number {grouped[0][:40]} has `_` in it, which SQLite takes since 3.46 alone; write it without") from None
        raise NotAQuery(f"sqlglot cannot read it as SQLite's: {said[:160]}") from None
    if len(statements) != 1:
        raise NotAQuery(f"{len(statements)} statements, where one SELECT is asked for")
    (tree,) = statements
    if not isinstance(tree, exp.Select | exp.SetOperation):
        what = tree.name if isinstance(tree, exp.Command) else type(tree).__name__
        raise NotAQuery(f"a statement of the kind {what.upper()}, where a SELECT is asked for")
    return tokens, tree


def _with_crosses(tokens: list[Token]) -> list[Token]:
    """The words with every join a CROSS JOIN, where there are many joins: for one without ON sqlglot reads everything behind it
    twice, and so 20 of them a million times. ON may follow all the same, and nothing here asks for a join's kind."""
    if sum(token.token_type is TokenType.JOIN for token in tokens) < MANY_JOINS:
        return tokens
    found: list[Token] = []
    for token in tokens:
        if token.token_type is TokenType.JOIN:
            if found and found[-1].token_type in (TokenType.INNER, TokenType.OUTER, TokenType.CROSS):
                found.pop()
            found.append(Token(TokenType.CROSS, "CROSS", token.line, token.col, token.start, token.end))
        found.append(token)
    return found


def at_one_time(text: str) -> str:
    """The query with its clock stopped: what it gives must not change between the seed's query and a candidate, or from day to day.

    Args:
        text: in it `'now'` in a call of SQLite's date functions, a call that leaves the time out, and CURRENT_DATE and its like become
            the time NOW. Texts that sqlglot cannot read are left as they are.
    """
    if not _CLOCK.search(text):
        return text
    try:
        tokens = _TOKENIZER.tokenize(text)
    except (SqlglotError, ValueError):
        return text
    written, end = "", 0
    for at, token in enumerate(tokens):
        before = [one.text.lower() for one in tokens[max(0, at - 4) : at]]
        current = _CURRENT.get(token.text.lower()) if token.token_type not in (TokenType.STRING, TokenType.IDENTIFIER) else None
        if current is not None and before[-1:] not in (["."], ["as"]) and [one.text for one in tokens[at + 1 : at + 2]] != ["."]:
            written, end = written + text[end : token.start] + current, token.end + 1
        elif token.token_type in (TokenType.STRING, TokenType.IDENTIFIER) and token.text.lower() == "now" and _takes_time(before):
            written, end = written + text[end : token.start] + f"'{NOW}'", token.end + 1
        elif token.token_type is TokenType.R_PAREN and _takes_time(before):
            written, end = written + text[end : token.start] + f"'{NOW}'", token.start
        elif token.token_type is TokenType.R_PAREN and before[-3:-1] == ["strftime", "("]:
            written, end = written + text[end : token.start] + f", '{NOW}'", token.start
    return written + text[end:]


def _takes_time(before: list[str]) -> bool:
    """Return whether the next argument is the time of a date function."""
    if before[-1:] == ["("]:
        return before[-2:-1] != [] and before[-2] in _OF_TIME
    return before[-1:] == [","] and before[-4:-2] == ["strftime", "("]


def normal_form(text: str) -> str:
    """A query on one line, with single spaces and large keywords, without comments and without a semicolon behind it.

    Its words stay as they are. sqlglot could write all of it anew, but then `IFNULL` comes back as `COALESCE`, and what is run
    should be what was written.

    Raises:
        NotAQuery: see `parsed`.
    """
    tokens, tree = _read(text)
    written = ""
    before: Token | None = None
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            continue  # at the end: there is but one statement
        word = text[token.start : token.end + 1]
        if token.token_type not in (TokenType.IDENTIFIER, TokenType.STRING) and _is_keyword(word):
            word = " ".join(word.upper().split())
        written += ("" if before is None or _joined(before, token, written) else " ") + word
        before = token
    _last.clear()
    _last[written] = tree
    return written


def order_matters(tree: exp.Query) -> bool:
    """Whether the outermost query has an ORDER BY: no other order reaches the rows that come out."""
    return tree.args.get("order") is not None


def _is_keyword(word: str) -> bool:
    return all(part in _KEYWORDS for part in word.upper().split())


def _joined(before: Token, token: Token, written: str) -> bool:
    """Whether a token follows what is written without a space."""
    last = written.rsplit(" ", 1)[-1].upper()
    if before.token_type in (TokenType.DOT, TokenType.L_PAREN) or token.token_type in (TokenType.COMMA, TokenType.R_PAREN):
        return True
    if token.token_type is TokenType.DOT:
        return before.token_type in _NAMES
    if token.token_type is TokenType.L_PAREN:
        return last[-1:].isidentifier() and (last in _CALLED or not _is_keyword(last))
    if before.token_type in _SIGNS:
        # A sign and no operation: nothing that ends a value stands before it.
        ahead = written[:-1].rstrip()
        return not ahead or ahead[-1] in "(,=<>+-*/%|" or _is_keyword(ahead.split()[-1])
    return False
