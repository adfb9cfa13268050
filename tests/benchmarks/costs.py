"""Cost of 1,000 accepted samples of GSM8K at a real price list: plain, with a prefix cache, with several answers per call, in batches.

    python tests/benchmarks/costs.py --gsm8k gsm8k/train.jsonl

The real command runs against a local server. The server counts tokens with the model's own tokenizer, keeps a prefix cache by a provider's
rules, and writes its own bill, which must agree with the manifest. Its replies are GSM8K's own questions and solutions, the same in every
row. Nothing here measures time.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from fake_batches import FakeBatches  # noqa: E402

from fake_replies import purpose_of  # noqa: E402
from fake_server import FakeServer  # noqa: E402

# The train split of openai/gsm8k, as JSON Lines.
GSM8K = Path(".cache/gsm8k/train.jsonl")
MODEL, PROVIDER, ENCODING = "gpt-4o-mini", "https://api.openai.com/v1", "o200k_base"
SAMPLES, SEEDS, CONCURRENCY = 1000, 100, 16
STRATEGIES = ("answer_augmentation", "new_question")
# A call reads the cache as it was on arrival, and its own prompt is cached when it is answered.
LATENCY = 0.1
OPENERS = (
    *("Let us go step by step.", "First, what is known.", "Here is one way.", "We start from the numbers.", "Take it slowly.", "To begin:"),
    *(
        "The steps are these.",
        "Work it out in order.",
        "We can do this in parts.",
        "Think of each part.",
        "In short:",
        "One after the other:",
    ),
    *("Look at what is asked.", "Write it down.", "Begin with the first number.", "All in order.", "It goes like this.", "Part by part:"),
    *("Count it up.", "Here are the steps."),
)


@dataclass(frozen=True)
class Rule:
    """A provider's rule for its prefix cache: it caches beginnings of at least `least` tokens, in steps of `step`."""

    name: str
    least: int
    step: int


# https://platform.openai.com/docs/guides/prompt-caching and https://api-docs.deepseek.com/guides/kv_cache
NONE = Rule("no cache", 0, 0)
OPENAI, DEEPSEEK = Rule("OpenAI's cache", 1024, 128), Rule("DeepSeek's cache", 64, 64)


@dataclass
class Bill:
    """The server's counts."""

    calls: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0


@dataclass
class Teacher:
    """A teacher that answers with GSM8K's texts, and bills them."""

    rows: Sequence[dict[str, str]]
    rule: Rule
    bill: Bill = field(default_factory=Bill)

    def __post_init__(self) -> None:
        self._encoding = encoding()
        self._solutions = {row["question"].strip(): re.sub(r"<<.*?>>", "", row["answer"]) for row in self.rows}
        self._places = {row["question"].strip(): place for place, row in enumerate(self.rows)}
        self._given: Counter[str] = Counter()
        self._cache: dict[bytes, float] = {}

    def __call__(self, body: dict[str, Any]) -> Any:
        tokens = self._prompt(body)
        cached = self._read(tokens)
        texts = [self._say(body) for _ in range(body.get("n", 1))]
        completion = sum(len(self._encoding.encode(text, disallowed_special=())) + 1 for text in texts)
        self.bill.calls += 1
        self.bill.prompt += len(tokens)
        self.bill.cached += cached
        self.bill.completion += completion
        usage = {"prompt_tokens": len(tokens), "completion_tokens": completion, "total_tokens": len(tokens) + completion}
        if self.rule.step:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        found = [{"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for at, text in enumerate(texts)]
        return {"choices": found, "usage": usage}

    def _say(self, body: dict[str, Any]) -> str:
        """Return the k-th reply to a prompt, whoever asks and with however many others."""
        asked = body["messages"][-1]["content"].strip()
        prompt = json.dumps(body["messages"])
        number = self._given[prompt]
        self._given[prompt] += 1
        purpose = purpose_of(body)
        if purpose == "self_check":
            return "All that is needed is given, and one answer follows from it. Yes"
        if purpose == "new_question":
            seed = self._places[body["messages"][-2]["content"].strip()]
            return self.rows[SEEDS + (seed + SEEDS * number) % (len(self.rows) - SEEDS)]["question"]
        return f"{OPENERS[number % len(OPENERS)]}\n{self._solutions[asked]}"

    def _prompt(self, body: dict[str, Any]) -> list[int]:
        """Return the chat's tokens as OpenAI counts them: three per turn besides role and content, and three for the reply."""
        tokens: list[int] = []
        for turn in body["messages"]:
            tokens += [0, *self._encoding.encode(turn["role"]), 1, *self._encoding.encode(turn["content"], disallowed_special=()), 2]
        return [*tokens, 0, 1, 2]

    def _read(self, tokens: Sequence[int]) -> int:
        """Return how many of a prompt's tokens are cached, and cache the prompt."""
        if not self.rule.step:
            return 0
        now, found, digest, at = time.monotonic(), 0, hashlib.blake2b(digest_size=16), 0
        for end in range(self.rule.least, len(tokens) + 1, self.rule.step):
            digest.update(repr(tokens[at:end]).encode())
            at, key = end, digest.digest()
            if self._cache.setdefault(key, now) <= now - LATENCY:
                found = end
        return found


@dataclass(frozen=True)
class Cost:
    """A row of the table. `usd` is from the server's bill; `shares` are the prompt tokens' shares from its cache."""

    strategy: str
    way: str
    accepted: int
    requests: int
    prompt: int
    cached: int
    completion: int
    usd: float
    rows_sha256: str

    @property
    def in_words(self) -> str:
        cached = f" ({self.cached / self.prompt:.0%} cached)" if self.cached else ""
        return f"USD {self.usd:.4f}: {self.prompt:,} tokens in prompts{cached}, {self.completion:,} in replies"


@dataclass(frozen=True)
class Way:
    """One way to make the samples."""

    name: str
    rule: Rule = NONE
    teacher: tuple[tuple[str, Any], ...] = ()


WAYS = (
    Way("as before, no cache"),
    Way("OpenAI's prefix cache", OPENAI),
    Way("DeepSeek's prefix cache", DEEPSEEK),
    Way("`samples_per_call: auto`", NONE, (("samples_per_call", "auto"),)),
    Way("both of the last two", DEEPSEEK, (("samples_per_call", "auto"),)),
    Way("`batch: true`", NONE, (("batch", {"poll": 0.2}),)),
)


def encoding() -> Any:
    import tiktoken

    # LiteLLM includes OpenAI's vocabularies, so nothing is downloaded. Importing it would make network requests.
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        raise RuntimeError("litellm is not installed, which brings the model's tokenizer along")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(spec.origin).parent / "litellm_core_utils" / "tokenizers")
    return tiktoken.get_encoding(ENCODING)


def measure(path: Path, samples: int, strategies: Sequence[str]) -> Iterator[Cost]:
    """Make the samples in each way; raise an error if a bill and a manifest differ, or equal replies make different samples."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for strategy in strategies:
        made: set[str] = set()
        for way in WAYS:
            cost = _run(rows, strategy, way, samples)
            made.add(cost.rows_sha256)
            if len(made) > 1:
                raise RuntimeError(f"{strategy}, {way.name}: made other samples than the ways before")
            yield cost


def _run(rows: Sequence[dict[str, str]], strategy: str, way: Way, samples: int) -> Cost:
    from axolotl_synthetic import prices

    listed = prices.look_up(PROVIDER, MODEL)
    if listed is None:
        raise RuntimeError(f"the table has no price for {MODEL}")
    price = {"input": listed.input, "output": listed.output, "cached_input": listed.cached_input, "batch": listed.batch}
    teacher, options = Teacher(rows, way.rule), dict(way.teacher)
    in_batches = "batch" in options
    server: Any = FakeBatches(teacher) if in_batches else FakeServer(lambda body: (200, teacher(body)), latency=LATENCY, keep_calls=False)
    with tempfile.TemporaryDirectory(prefix="costs-") as name, server:
        folder = Path(name)
        (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:SEEDS]), encoding="utf-8")
        block = {
            "seeds": {"path": "seeds.jsonl"},
            "strategy": strategy,
            "budget": {"samples": samples},
            "include_seeds": False,
            "teacher": {"model": MODEL, "base_url": server.base_url, "concurrency": CONCURRENCY, "price": price, **options},
            "output_dir": "out",
        }
        (folder / "config.yml").write_text(yaml.safe_dump({"synthetic": block}), encoding="utf-8")
        command = [sys.executable, "-m", "axolotl_synthetic", "generate", "config.yml", "--quiet"]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, env={**os.environ, "OPENAI_API_KEY": "none"}, timeout=900
        )
        if done.returncode:
            raise RuntimeError(f"{strategy}, {way.name}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))
        lines = (folder / "out" / manifest["files"]["train"]["path"]).read_bytes().splitlines()
    bill, share = teacher.bill, listed.cached_input or 1.0
    usd = ((bill.prompt - bill.cached + bill.cached * share) * listed.input + bill.completion * listed.output) / 1e6
    usd *= (listed.batch or 1.0) if in_batches else 1.0
    counted = (manifest["tokens"]["prompt"], manifest["tokens"]["completion"], manifest["cached_tokens"] or 0)
    if abs(usd - manifest["usd"]) > 1e-8 or counted != (bill.prompt, bill.completion, bill.cached):
        raise RuntimeError(
            f"{strategy}, {way.name}: the server billed USD {usd} for {bill}, and the manifest says {manifest['usd']}, {counted}"
        )
    digest = hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()
    accepted = manifest["counts"]["accepted"]
    return Cost(strategy, way.name, accepted, bill.calls, bill.prompt, bill.cached, bill.completion, usd, digest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gsm8k", type=Path, default=GSM8K, help="GSM8K's train.jsonl")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="may be given more than once")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    options = parser.parse_args()
    from axolotl_synthetic import prices

    costs = []
    print("| | way | requests | prompt tokens | of them cached | reply tokens | USD |\n| --- | --- | --- | --- | --- | --- | --- |")
    for cost in measure(options.gsm8k, options.samples, options.strategy or STRATEGIES):
        costs.append(asdict(cost))
        share = f"{cost.cached / cost.prompt:.0%}"
        print(
            f"| {cost.strategy} | {cost.way} | {cost.requests:,} | {cost.prompt:,} | {share} | {cost.completion:,} | {cost.usd:.4f} |",
            flush=True,
        )
    price = prices.look_up(PROVIDER, MODEL)
    print(f"\n{options.samples:,} accepted samples of {SEEDS} seeds each; {MODEL} by {prices.source()}, of {prices.table_date()}: {price}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
