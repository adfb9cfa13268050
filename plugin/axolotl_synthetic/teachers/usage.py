"""Reading of the tokens that a call is billed for, as each provider counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

# A larger count is a server's error: no model reads or writes so many tokens at once.
MOST_TOKENS = 100_000_000
# Anthropic's and Bedrock's names for tokens read from or written to a cache, counted beside the prompt's.
_READ = ("cache_read_input_tokens", "cacheReadInputTokens")
_WRITTEN = ("cache_creation_input_tokens", "cacheWriteInputTokens")
_WRITTEN_APART = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
# Names for tokens counted within the prompt's: OpenAI's, which most follow, and DeepSeek's.
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details")
_IN_CACHE = (*_READ, "prompt_cache_hit_tokens", "cached_tokens")


class Usage(NamedTuple):
    """Tokens of a call; None where the server does not count them.

    Attributes:
        prompt, completion: tokens that are billed.
        reasoning: the part of `completion` that is reasoning.
        cached, written: the parts of `prompt` read from and written to the server's cache.
    """

    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None
    cached: int | None = None
    written: int | None = None

    def split(self, weights: Sequence[float], most: int = 0) -> list[Usage]:
        """Divide the bill of a response among its replies, so that the sums stay the same.

        Args:
            weights: each reply's length, as its own token count is unknown.
            most: completion tokens that one reply may have, 0 when unknown.
        """
        count = len(weights)
        prompts, read = _evenly(self.prompt, count), _evenly(self.cached, count)
        both = _evenly((self.cached or 0) + (self.written or 0), count)
        completions = _by_weight(self.completion, weights, most)
        reasoning = _by_weight(self.reasoning, [n or 0 for n in completions])
        written = [None if self.written is None else (of or 0) - (one or 0) for of, one in zip(both, read, strict=True)]
        return [Usage(*one) for one in zip(prompts, completions, reasoning, read, written, strict=True)]


def _evenly(total: int | None, count: int) -> list[int | None]:
    return [None if total is None else total // count + (place < total % count) for place in range(count)]


def _by_weight(total: int | None, weights: Sequence[float], most: int = 0) -> list[int | None]:
    """Divide a number by weights; any excess over `most` goes to parts that have room for it."""
    if total is None:
        return [None] * len(weights)
    whole = sum(weights) or 1
    ends = [round(total * sum(weights[: place + 1]) / whole) for place in range(len(weights))] if sum(weights) else [total] * len(weights)
    parts = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if most and total <= most * len(parts):
        over = sum(max(0, part - most) for part in parts)
        parts = [min(part, most) for part in parts]
        for place, part in enumerate(parts):
            more = min(over, most - part)
            parts[place], over = part + more, over - more
    return list(parts)


def read_usage(usage: object) -> Usage:
    """Return the tokens that a call is billed for.

    OpenAI counts reasoning within the completion's tokens; others (Gemini's and xAI's OpenAI-compatible servers) count it beside them.
    `total_tokens` decides; without it, reasoning is beside if it exceeds the completion. Likewise OpenAI counts cached tokens within the
    prompt's and Anthropic beside them. Anthropic's names mean beside, unless a total says otherwise.
    """
    if not isinstance(usage, dict):
        return Usage()
    prompt = _count(usage, "prompt_tokens", "input_tokens", "inputTokens")
    completion = _count(usage, "completion_tokens", "output_tokens", "outputTokens")
    total = _count(usage, "total_tokens", "totalTokens")
    details = [usage, *(usage.get(name) for name in ("completion_tokens_details", "output_tokens_details"))]
    reasoning = next((n for one in details if (n := _count(one, "reasoning_tokens", "thoughts_tokens", "thoughts_token_count"))), None)
    apart = usage.get("cache_creation")
    written = _count(usage, *_WRITTEN) or sum(_count(apart, name) or 0 for name in _WRITTEN_APART)
    beside = (_count(usage, *_READ) or 0) + written
    details = [usage.get(name) for name in _PROMPT_DETAILS]
    cached = beside or next((n for one in details if (n := _count(one, "cached_tokens"))), 0)
    if completion is None and total is not None and total > (prompt or 0):
        # Some servers omit a reply's count, or send 0, if all of it was reasoning; the total was billed nevertheless.
        prompt, completion = prompt or 0, total - (prompt or 0)
    if prompt is None or completion is None:
        return Usage(prompt, completion, reasoning)
    if cached and (cached > prompt or (beside and total != prompt + completion) or total == prompt + completion + cached):
        prompt += cached
    if total is not None and total > prompt + completion:
        reasoning = max(reasoning or 0, total - prompt - completion)
        completion = total - prompt
    elif reasoning is not None and reasoning > completion:
        completion += reasoning
    places = [place for place in (usage, *details) if isinstance(place, dict)]
    read = _told(places, _IN_CACHE)
    written = written or _told(places[1:], ("cache_write_tokens",)) or 0
    read = None if read is None else min(read, prompt)
    return Usage(prompt, completion, reasoning, read, min(written, prompt - (read or 0)) or None)


def _told(places: Sequence[Mapping[str, object]], names: Sequence[str]) -> int | None:
    """Return the largest count, 0 included, under these names."""
    found = None
    for place in places:
        for name in names:
            # Compare the type itself: a bool is an int in Python.
            if (n := place.get(name)) is not None and type(n) is int and 0 <= n < MOST_TOKENS and (found is None or n > found):
                found = n
    return found


def _count(counts: object, *names: str) -> int | None:
    """Return the first plausible count; 0 is not, because no empty prompt or reply is sent."""
    values = [counts.get(name) for name in names] if isinstance(counts, dict) else []
    return next((n for n in values if isinstance(n, int) and not isinstance(n, bool) and 0 < n < MOST_TOKENS), None)
