"""Parse one query with sqlglot: its tree, its normal form, and whether its order matters. Nothing is run here.

Used only in the sandbox's worker (`worker.py`), because a hostile text may keep a parser busy for ever.
"""

from __future__ import annotations

import logging
import re

from sqlglot import Dialect, Token, TokenType, exp
from sqlglot.errors import SqlglotError

# sqlglot warns on standard error of each statement that it does not know; such statements are refused here anyway.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

# Spider's longest query has some 600 characters; a longer text than this is not a query that a model was asked for.
LONGEST_QUERY = 10_000
# Keywords that SQLite accepts in any case (sqlite.org/lang_keywords.html).
_WORDS = (
    "ALL AND AS ASC BETWEEN BY CASE CAST COLLATE CROSS CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DESC DISTINCT ELSE END ESCAPE EXCEPT"
    " EXISTS FILTER FIRST FROM FULL GLOB GROUP HAVING IN INNER INTERSECT IS ISNULL JOIN LAST LEFT LIKE LIMIT NATURAL NOT NOTNULL NULL"
    " NULLS OFFSET ON OR ORDER OUTER OVER PARTITION RECURSIVE RIGHT SELECT THEN UNION USING VALUES WHEN WHERE WINDOW WITH"
)
_KEYWORDS = frozenset(_WORDS.split())
# A bracket after one of these opens the arguments of a call, as after any name.
_CALLED = {"CAST", "GLOB", "LIKE"}
_NAMES = {TokenType.IDENTIFIER, TokenType.VAR, TokenType.R_PAREN}
_SIGNS = {TokenType.DASH, TokenType.PLUS}
_SQLITE = Dialect.get_or_raise("sqlite")
# Made once: making them takes as long as reading a short query.
_TOKENIZER, _PARSER = _SQLITE.tokenizer(), _SQLITE.parser()


# Joins from which on `_with_crosses` is needed; sqlglot reads 10 joins without ON in 5 ms.
MANY_JOINS = 10
# In the middle of the dates of generated rows (`values.py`), so that rows lie on both sides of it.
NOW = "2012-06-15 13:45:30"
_CURRENT = {"current_timestamp": f"'{NOW}'", "current_date": f"'{NOW[:10]}'", "current_time": f"'{NOW[11:]}'"}
_OF_TIME = ("date", "time", "datetime", "julianday", "unixepoch")
_CLOCK = re.compile(r"now|current_|(?:date|time|julianday|unixepoch)\s*\(\s*\)|strftime\s*\([^,()]*\)", re.IGNORECASE)


# The last normal form and its tree, because the text parsed next is mostly that normal form.
_last: dict[str, exp.Query] = {}


class NotAQuery(Exception):
    """A text is not one query of SQLite's; the message says why, for a person to read."""


def parsed(text: str) -> exp.Query:
    """Return the tree of a query.

    Raises:
        NotAQuery: if it is not exactly one SELECT (with or without WITH) that sqlglot can read as SQLite's.
    """
    return _last[text] if text in _last else _read(text)[1]


def _read(text: str) -> tuple[list[Token], exp.Query]:
    """Return a query's tokens and its tree, or raise `NotAQuery`."""
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
    """Return the tokens with every join as a CROSS JOIN, if there are many.

    sqlglot parses everything after a join without ON twice, and thus after 20 of them a million times. ON may still follow, and nothing
    here depends on the kind of join.
    """
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
    """Return the query with a fixed clock, so that its results are equal for both queries and on every day.

    Args:
        text: `'now'` in SQLite's date functions, calls without a time, CURRENT_DATE and its like become the time NOW. Texts that sqlglot
            cannot read stay unchanged.
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
    """Say whether the next argument is the time of a date function."""
    if before[-1:] == ["("]:
        return before[-2:-1] != [] and before[-2] in _OF_TIME
    return before[-1:] == [","] and before[-4:-2] == ["strftime", "("]


def normal_form(text: str) -> str:
    """Return a query on one line, with single spaces, keywords in upper case, and no comments or final semicolon.

    Its words stay as they are. sqlglot could rewrite all of it, but would turn `IFNULL` into `COALESCE`; the query that runs should be the
    one that was written.

    Raises:
        NotAQuery: see `parsed`.
    """
    tokens, tree = _read(text)
    written = ""
    before: Token | None = None
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            continue  # at the end: there is only one statement
        word = text[token.start : token.end + 1]
        if token.token_type not in (TokenType.IDENTIFIER, TokenType.STRING) and _is_keyword(word):
            word = " ".join(word.upper().split())
        written += ("" if before is None or _joined(before, token, written) else " ") + word
        before = token
    _last.clear()
    _last[written] = tree
    return written


def order_matters(tree: exp.Query) -> bool:
    """Say whether the outermost query has an ORDER BY; no inner order determines the order of the result."""
    return tree.args.get("order") is not None


def _is_keyword(word: str) -> bool:
    return all(part in _KEYWORDS for part in word.upper().split())


def _joined(before: Token, token: Token, written: str) -> bool:
    """Say whether a token follows the written text without a space."""
    last = written.rsplit(" ", 1)[-1].upper()
    if before.token_type in (TokenType.DOT, TokenType.L_PAREN) or token.token_type in (TokenType.COMMA, TokenType.R_PAREN):
        return True
    if token.token_type is TokenType.DOT:
        return before.token_type in _NAMES
    if token.token_type is TokenType.L_PAREN:
        return last[-1:].isidentifier() and (last in _CALLED or not _is_keyword(last))
    if before.token_type in _SIGNS:
        # A sign rather than an operator, because no value precedes it.
        ahead = written[:-1].rstrip()
        return not ahead or ahead[-1] in "(,=<>+-*/%|" or _is_keyword(ahead.split()[-1])
    return False
