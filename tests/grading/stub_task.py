"""Tasks that read the same final answer from any reply, so that a random model's score is known."""

from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks.classification import Classification
from axolotl_synthetic.tasks.math import Math


class Always42(Math):
    name = "always_42"
    required = ("question",)
    optional = ("answer",)
    has_final_answer = True

    def gold_answer(self, seed: Seed) -> str | None:
        return None if seed.answer is None else seed.answer.rsplit("#### ", 1)[-1]

    def final_answer(self, text: str, question: Question) -> str | None:
        return "42"

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one == other


class AlwaysBilling(Classification):
    """Reads the label billing from any reply."""

    name = "always_billing"

    def loose_answer(self, text: str, question: Question) -> str | None:
        return "billing"
