"""Plain distilabel: a pipeline of `TextGeneration` steps with `OpenAILLM`.

Its steps wait for the slowest request of a batch, so large batches suit it best: one batch for up to 2,000 rows if a row is one call,
and half of the rows if three steps follow one another.
"""

from __future__ import annotations

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from task import ANSWER, KEY, MAX_TOKENS, MODEL, NEW_QUESTION, SELF_CHECK, TEMPERATURE, arguments, questions, report

LARGEST_BATCH = 2000


def template(prompt: str, column: str) -> str:
    return prompt.replace("{question}", "{{ " + column + " }}")


def main() -> None:
    options = arguments()
    batch = min(LARGEST_BATCH, options.samples if options.calls == 1 else max(1, options.samples // 2))

    def step(name: str, prompt: str, column: str, output: str) -> TextGeneration:
        generation = {"temperature": TEMPERATURE, "max_new_tokens": MAX_TOKENS}
        llm = OpenAILLM(model=MODEL, base_url=options.base_url, api_key=KEY, timeout=600, generation_kwargs=generation)
        return TextGeneration(
            name=name,
            llm=llm,
            template=template(prompt, column),
            columns=[column],
            output_mappings={"generation": output},
            input_batch_size=batch,
            add_raw_output=False,
        )

    with Pipeline(name="peer", cache_dir=options.folder) as pipeline:
        rows = LoadDataFromDicts(data=[{"question": question} for question in questions(options.samples)], batch_size=batch)
        if options.calls == 1:
            rows >> step("answer", ANSWER, "question", "reply")
        else:
            new_question = step("new_question", NEW_QUESTION, "question", "new_question")
            (
                rows
                >> new_question
                >> step("self_check", SELF_CHECK, "new_question", "verdict")
                >> step("answer", ANSWER, "new_question", "reply")
            )
    made = pipeline.run(use_cache=False)
    report(made["default"]["train"]["reply"])


if __name__ == "__main__":
    main()
