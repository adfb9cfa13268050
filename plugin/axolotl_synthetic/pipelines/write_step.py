"""The step that writes a pipeline's accepted rows as Axolotl's training file, in the format of our own runs (`dataset.py`).

distilabel reads annotations at run time, so they are not postponed in this file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distilabel.steps import GlobalStep, StepInput

from axolotl_synthetic.dataset import chat_row, with_turns
from axolotl_synthetic.files import write_bytes
from axolotl_synthetic.pipelines.columns import GENERATED, chat_of
from axolotl_synthetic.records import to_json


class WriteAxolotl(GlobalStep):  # type: ignore[misc]  # distilabel is not typed
    """Write the accepted rows as JSON Lines for Axolotl, in one step: the file is replaced whole or not at all.

    It waits for all rows, and passes all of them on; a pipeline that is stopped writes nothing. A finished pipeline that runs again with
    `use_cache=True` comes from distilabel's cache and writes nothing. In Axolotl's YAML:

        datasets:
          - {path: train.jsonl, ds_type: json, type: chat_template, field_messages: messages}

    Attributes:
        path: the file; its folder is created.
        unverified: whether to write rows that no `Verify` has judged (`generated`) as well. Defaults to `False`.

    Input columns:
        - instruction (`str`): the question as a student reads it.
        - generation (`str`): the answer.
        - sample_id (`str`): the sample's id.
        - strategy (`str`): the strategy's name.
        - seed_id (`str`): the seed's id.
        - status (`str`): only `accepted` rows are written.

    Categories:
        - save

    Examples:
        Write what `Verify` accepts:

        ```python
        from axolotl_synthetic.steps import NewQuestion, Verify, WriteAxolotl
        from distilabel.models import OpenAILLM
        from distilabel.pipeline import Pipeline
        from distilabel.steps import LoadDataFromDicts

        with Pipeline() as pipeline:
            questions = LoadDataFromDicts(data=[{"question": "6 jars with 10 cards each. How many cards?", "answer": "60"}])
            llm = OpenAILLM(model="gpt-4o-mini", generation_kwargs={"max_new_tokens": 512, "temperature": 0.7})
            questions >> NewQuestion(llm=llm) >> Verify() >> WriteAxolotl(path="train.jsonl")

        if __name__ == "__main__":
            pipeline.run(use_cache=False)
        ```
    """

    path: str
    unverified: bool = False

    @property
    def inputs(self) -> list[str]:
        return ["instruction", "generation", "sample_id", "strategy", "seed_id", "status"]

    def process(self, inputs: StepInput) -> Iterator[list[dict[str, Any]]]:
        """Write the file, and yield every row unchanged."""
        wanted = {"accepted", GENERATED} if self.unverified else {"accepted"}
        written = [_training_row(row) for row in inputs if row["status"] in wanted]
        path = Path(self.path).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, "".join(to_json(row) + "\n" for row in written).encode())
        self._logger.info(f"{path}: {len(written)} of {len(inputs)} rows")
        if not written:
            statuses = ", ".join(sorted({str(row["status"]) for row in inputs}))
            self._logger.warning(f"{path} is empty: no row was accepted (there are: {statuses}); put a Verify before WriteAxolotl")
        yield inputs


def _training_row(row: dict[str, Any]) -> dict[str, Any]:
    made = chat_row(row["instruction"], row["generation"], row["sample_id"], row["strategy"], row["seed_id"])
    before = chat_of(row)
    return with_turns(made, before, every=False) if before else made
