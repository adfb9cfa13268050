"""A task that reads the final answer 42 out of whatever a model says, so that the score of a random model is known beforehand."""

from axolotl_synthetic.records import Question, Seed


class Always42:
    name = "always_42"
    required = ("question",)
    optional = ("answer",)
    has_final_answer = True

    def prompt(self, question: Question) -> str:
        return question.text

    def answer_messages(self, question: Question, examples: object) -> tuple[dict[str, str], ...]:
        return ({"role": "user", "content": question.text},)

    def gold_answer(self, seed: Seed) -> str | None:
        return None if seed.answer is None else seed.answer.rsplit("#### ", 1)[-1]

    def final_answer(self, text: str, question: Question) -> str | None:
        return "42"

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one == other
