"""The task that every contestant does: word problems about jars, in one call or in three dependent ones.

floor.py and the peers import it in their own environments, so it uses only the standard library. We ourselves are measured through the
real command, with the package's own prompts (inputs.py).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

MODEL = "fake-model"
TEMPERATURE, MAX_TOKENS = 0.7, 512
# A self-hosted server needs no key, but the client must have one to start.
KEY = "none"

NEW_QUESTION = "Write a new word problem like this one, with other numbers. Reply with the problem only.\n\n{question}"
SELF_CHECK = "Is this word problem well formed and answerable? End with yes or no.\n\n{question}"
ANSWER = "Solve the word problem step by step. End with #### and the number.\n\n{question}"


def questions(samples: int) -> list[str]:
    """Return this many different problems."""
    return [f"Ada keeps {2 + number % 997} jars with {2 + number // 997} cards each. How many cards is that?" for number in range(samples)]


def arguments() -> argparse.Namespace:
    """Parse the arguments that run.py passes. `calls` is 1 (answers) or 3 (new question, self-check, answer) for each sample."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--calls", type=int, choices=(1, 3), default=1)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for the contestant's files")
    return parser.parse_args()


def report(replies: Iterable[str | None]) -> None:
    """Print how many answers came back; run.py compares this with the number requested."""
    print(json.dumps({"rows": sum("####" in (reply or "") for reply in replies)}), flush=True)
