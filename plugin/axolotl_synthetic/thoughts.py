"""Divides a model's raw reply into its answer, its thoughts and leftovers of the chat template. Pure, and used by `records.Reply` alone.

Servers that do not know a model's markers leave them in the text: `<think>` blocks, OpenAI's harmony channels, stop tokens. None of it
may be read by a check, quoted in a prompt or trained on. A text that only speaks of a marker, in quotes or in code, is left as it is.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import islice

# A reply with more of them is none, and each takes time.
MOST_MARKERS = 1_000
# The names that reasoning models use, by their chat templates: DeepSeek and Qwen (think), Claude (thinking, antthinking), Gemini and
# EXAONE (thought), Nemotron and GRPO recipes (reasoning), Seed-OSS (seed:think).
_NAMES = "think|thinking|thought|reasoning|antthinking|seed:think"
# Words of ordinary XML as well: they mark thoughts only where they open the reply.
_AT_THE_START = "thoughts|analysis|reflection|scratch_?pad|cot|chain_of_thought|(?:inner_)?monologue|rationale|reason|thought_process"
_OPENING = (
    rf"<\s?(?i:{_NAMES})(?:\s[^<>]{{0,200}})?>|◁think▷|\[THINK\]"  # Kimi, Magistral
    r"|<\|(?:begin_of_thought|begin_of_think|START_THINKING|inner_prefix)\|>"  # OpenThinker, Cohere, Apertus
    r"|<\|channel>(?:thought|analysis)|<unused94>thought"  # Gemma 4, MedGemma
)
_CLOSING = (
    rf"<\s?/\s?(?i:{_NAMES})\s?>|◁/think▷|\[/THINK\]"
    r"|<\|(?:end_of_thought|end_of_think|END_THINKING|inner_suffix)\|>|<channel\|>|<unused95>"
)
_TAG = re.compile(rf"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})")
_OPENS_THE_REPLY = re.compile(rf"\s*<({_AT_THE_START})>", re.IGNORECASE)
# Open WebUI's way to fold thoughts away.
_DETAILS = re.compile(r"\A\s*<details type=\"reasoning\"[^<>]*>.*?(?:</details>|\Z)", re.DOTALL)
# Granite 3's own words around its thoughts.
_GRANITE = re.compile(r"\A\s*Here is my thought process:.*?Here is my response:", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_OPENS_A_FENCE = re.compile(r"\s*(?:```|~~~)[\w-]*\s*")
_LONGEST_LINE = 1_000
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»"}
_SAME_QUOTES = "\"'`"
# Thoughts that were cut out may have left the answer alone in a wrapper of its own.
_WRAPPED = re.compile(
    r"\A\s*(?:<(?P<name>answer|final_answer|final|response|output|solution)>(?P<first>.*)</(?P=name)>"
    r"|<\|(?:begin_of_solution|START_RESPONSE)\|>(?P<second>.*?)(?:<\|(?:end_of_solution|END_RESPONSE)\|>)?)\s*\Z",
    re.DOTALL | re.IGNORECASE,
)

# Harmony (https://github.com/openai/harmony): <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…
_CHANNEL = re.compile(r"<\|channel\|>")
_FINAL = re.compile(r"<\|channel\|>\s*final(?:\s*<\|constrain\|>\s*\w+)?(?:\s*<\|message\|>)?")
_HARMONY_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
# The same with its special tokens skipped: `analysisWe need …assistantfinalThe answer …`.
_GLUED_FINAL = re.compile(r"assistantfinal(?=[\W\dA-Z_]|\Z)")
_GLUED_ANALYSIS = re.compile(r"\A\s*analysis(?=[A-Z])")

# Three letters and more, so that no formula such as <|v|> is one; DeepSeek writes its bars in full width.
_TOKEN = r"<[|｜][A-Za-z][\w▁:-]{2,39}[|｜]>"
_LAST = re.compile(rf"(?:{_TOKEN}|</s>|<eos>|<pad>|<end_of_turn>|<start_of_turn>(?:model|user)?|\[/INST\]|\[EO[STM]\])\Z")
_FIRST = re.compile(rf"\s*(?:(?:{_TOKEN}|<start_of_turn>)(?:(?:assistant|model)(?=\s|<|\Z))?|<bos>|<s>|\[/INST\])")
# No special token is longer.
_LONGEST_TOKEN = 64
# What follows the end of the model's turn and the beginning of another was never the answer.
_NEXT_TURN = re.compile(
    r"(?:<\|(?:im_end|eot_id|end|endoftext|end_of_text|return)\|>|</s>|<end_of_turn>)\s*"
    r"(?:<\|(?:im_start|start_header_id|start|user|system|begin_of_text)\|>|<start_of_turn>|<s>\s*\[INST\]|\[INST\]"
    r"|(?:Human|User|Question|Problem|Instruction|user|human)\s*:).*\Z",
    re.DOTALL,
)
# A reply without any of these is its own answer, and most are: they are looked for before any pattern is.
_SIGNS = ("◁", "[THINK]", "[/THINK]", "[/INST]", "[EO", "assistantfinal")
_SUSPECT = re.compile(r"<(?:\s?/?\s?[A-Za-z]+(?:[:_][A-Za-z]+)*(?:\s[^<>]*)?>|[|｜]|channel\||unused9)")
_FIRST_WORDS = re.compile(r"\s*(?:analysis[A-Z]|Here is my thought process:)")


@dataclass(frozen=True, slots=True)
class Divided:
    """A raw reply in its parts.

    Attributes:
        answer: what the model says; empty where a block of thoughts was never closed, or nothing is left.
        thoughts: what it thought, without the markers; empty where it shows none.
    """

    answer: str
    thoughts: str = ""


def divide(raw: str) -> Divided:
    """Divide a reply as it was received. A text without markers comes back byte for byte."""
    if not (("<" in raw and _SUSPECT.search(raw)) or any(sign in raw for sign in _SIGNS) or _FIRST_WORDS.match(raw)):
        return Divided(raw)
    answer, thoughts = _final_channel(raw)
    answer, more = _outside_of_blocks(answer)
    thoughts += more
    if thoughts and (wrapped := _WRAPPED.match(answer)):
        answer = wrapped["first"] or wrapped["second"] or ""
    return Divided(_without_tokens(answer, _Code(answer)), "\n".join(part.strip() for part in thoughts if part.strip()))


def _final_channel(text: str) -> tuple[str, list[str]]:
    """Return the final channel of a reply in harmony's form, and the others; any other reply as it is."""
    code = _Code(text)
    if any(not code.speaks_of(0, *channel.span()) for channel in islice(_CHANNEL.finditer(text), MOST_MARKERS)):
        if finals := list(_FINAL.finditer(text)):
            said = text[finals[-1].end() :]
            end = _HARMONY_END.search(said)
            return said if end is None else said[: end.start()], [text[: finals[-1].start()]]
        # No channel is the final one: only what follows the end of the last is said aloud.
        thought, end_token, said = text.rpartition("<|end|>")
        return (said, [thought]) if end_token and "<|channel|>" not in said else ("", [text])
    if finals := list(_GLUED_FINAL.finditer(text)):
        return text[finals[-1].end() :], [text[: finals[-1].start()]]
    return ("", [text]) if _GLUED_ANALYSIS.match(text) else (text, [])


def _outside_of_blocks(text: str) -> tuple[str, list[str]]:
    """Return what is outside of all blocks of thoughts, and what is inside. Nothing is outside where a block is not closed."""
    thoughts: list[str] = []
    if before := _GRANITE.match(text) or _DETAILS.match(text):
        thoughts, text = [before[0]], text[before.end() :]
    while opening := _OPENS_THE_REPLY.match(text):
        block, closing, rest = text[opening.end() :].partition(f"</{opening[1]}>")
        thoughts.append(block)
        if not closing:
            return "", thoughts
        text = rest
    kept: list[str] = []
    code = _Code(text)
    at = began = depth = spoken_of = 0
    tags = list(islice(_TAG.finditer(text), MOST_MARKERS + 1))
    if len(tags) > MOST_MARKERS:
        return "", [text]
    for tag in tags:
        start, end = tag.span()
        if code.is_quoted(start, end):
            continue
        if depth == 0 and code.speaks_of(at, start, end):
            # Code shows both tags of a block, or speaks of one in passing. One that stands alone, on a line of its own, ends thoughts in
            # which a fence was left open.
            spoken_of += 1 if tag["opening"] else -1
            if spoken_of >= 0 or not code.has_its_line(start, end):
                spoken_of = max(0, spoken_of)
                continue
            spoken_of = 0
        if tag["opening"]:
            if depth == 0:
                kept.append(text[at:start])
                began = end
            depth += 1
        elif depth > 1:
            depth -= 1
        elif depth == 1:
            thoughts.append(text[began:start])
            at, depth = end, 0
        else:
            # Its opening tag was in the prompt, as with DeepSeek-R1's template: all that came before it is thought.
            thoughts += [*kept, text[at:start]]
            kept, at = [], end
    if depth:
        return "", [*thoughts, *kept, text[began:]]
    if not thoughts and not kept:
        return text, []
    return _joined([*kept, text[at:]]), thoughts or [" "]


def _joined(parts: list[str]) -> str:
    """Join texts between which a block was cut out, by the line breaks that stood there (a blank line at most) or by a space, or 6 and 0
    would become 60."""
    joined = parts[0]
    for part in parts[1:]:
        before, after = joined.rstrip(), part.lstrip()
        gaps = joined[len(before) :], part[: len(part) - len(after)]
        between = "\n" * min(2, max(gap.count("\n") for gap in gaps)) or " "
        joined = before + (between if before and after else "") + after
    return joined


def _without_tokens(text: str, code: _Code) -> str:
    """Return the text without special tokens at its two ends, and without a turn that the model invented behind its own."""
    if turn := next((turn for turn in islice(_NEXT_TURN.finditer(text), MOST_MARKERS) if not code.speaks_of(0, *turn.span())), None):
        text = text[: turn.start()]
    begin = 0
    # HTML strikes text out by a pair of <s>; any other is a special token.
    strikes_out = "</s>" in text.rstrip().removesuffix("</s>")
    while first := _FIRST.match(text, begin):
        if first[0].endswith("<s>") and strikes_out:
            break
        begin = first.end()
    strikes_out = 0 < text.count("</s>", begin) <= text.count("<s>", begin)
    trimmed = end = max(begin, len(text.rstrip()))
    while last := _LAST.search(text, max(begin, end - _LONGEST_TOKEN), end):
        if last[0].startswith("</s>") and strikes_out:
            break
        end = last.start()
        while end > begin and text[end - 1].isspace():
            end -= 1
    return text[begin:] if end == trimmed else text[begin:end]


class _Code:
    """Return the markers of a text that are only spoken of: those in quotes, and those in code that is closed behind them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._fences = [fence.start() for fence in _FENCE.finditer(text)]

    def is_quoted(self, start: int, end: int) -> bool:
        """Return whether quotes open right before the marker and close right behind it; thoughts may end, and answers begin, with one."""
        text = self._text
        if start == 0 or end == len(text) or _QUOTES.get(quote := text[start - 1]) != text[end]:
            return False
        if quote not in _SAME_QUOTES:
            return True
        line = text[max(0, start - _LONGEST_LINE) : start].rpartition("\n")[2]
        return len(re.findall(rf"(?<!\w){quote}|{quote}(?!\w)", line)) % 2 == 1

    def has_its_line(self, start: int, end: int) -> bool:
        """Return whether nothing else is on the marker's line."""
        before = self._text[max(0, start - _LONGEST_LINE) : start].rpartition("\n")[2]
        return not before.strip() and not self._text[end : end + _LONGEST_LINE].partition("\n")[0].strip()

    def speaks_of(self, at: int, start: int, end: int) -> bool:
        """Return whether the marker from `start` to `end` is; the text outside of thoughts begins at `at`."""
        if self.is_quoted(start, end):
            return True
        text, fences = self._text, self._fences
        before = bisect_left(fences, start)
        first = bisect_left(fences, at)
        if (before - first) % 2 and (len(fences) - before) % 2:
            # A reply that opens with a fence and, in it, with thoughts is a reply in a fence.
            return before - first > 1 or not _OPENS_A_FENCE.fullmatch(text, at, start)
        left = text[max(at, start - _LONGEST_LINE) : start].rpartition("\n")[2]
        right = text[end : end + _LONGEST_LINE].partition("\n")[0]
        return bool(left.count("`") % 2 and right.count("`") % 2)
