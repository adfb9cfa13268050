"""bespokelabs-curator: one `LLM` class per prompt; three dependent calls are three passes over the rows.

Its limits on requests and tokens per minute are lifted, and its cache starts empty.
"""

from __future__ import annotations

from bespokelabs import curator
from task import ANSWER, MAX_TOKENS, MODEL, NEW_QUESTION, SELF_CHECK, TEMPERATURE, arguments, questions, report

NO_LIMIT = 1_000_000_000


class Asked(curator.LLM):
    template: str
    column: str
    output: str

    def prompt(self, row: dict) -> str:
        return self.template.format(question=row[self.column])

    def parse(self, row: dict, response: str) -> dict:
        return row | {self.output: response}


class NewQuestion(Asked):
    template, column, output = NEW_QUESTION, "question", "new_question"


class SelfCheck(Asked):
    template, column, output = SELF_CHECK, "new_question", "verdict"


class Answer(Asked):
    template, column, output = ANSWER, "question", "reply"


class AnswerNew(Asked):
    template, column, output = ANSWER, "new_question", "reply"


def main() -> None:
    options = arguments()
    rows = [{"question": question} for question in questions(options.samples)]
    for asked in [Answer] if options.calls == 1 else [NewQuestion, SelfCheck, AnswerNew]:
        model = asked(
            model_name=MODEL,
            backend="openai",
            generation_params={"temperature": TEMPERATURE, "max_tokens": MAX_TOKENS},
            backend_params={
                "base_url": options.base_url,
                "max_requests_per_minute": NO_LIMIT,
                "max_tokens_per_minute": NO_LIMIT,
                "max_concurrent_requests": options.concurrency,
            },
        )
        rows = model(rows, working_dir=str(options.folder)).dataset
    report(rows["reply"])


if __name__ == "__main__":
    main()
