"""The three strategies as distilabel Tasks, for a user's own pipeline. `strategy_task.py` defines what they share.

distilabel reads docstrings: each lists its columns in the form of distilabel's own classes. None has a section `References` for the paper:
distilabel 1.5.3 would send a request for it to a web site at the end of every run.
"""

from axolotl_synthetic.pipelines.strategy_task import AugmenterTask, StrategyTask
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, QUESTION_REPHRASE


class AnswerAugmentation(StrategyTask):
    """Answer each question once more: one call a sample, the question stays as it is.

    The strategy `answer_augmentation` of "Balancing Cost and Effectiveness of Synthetic Data Generation Strategies for LLMs"
    (arXiv 2409.19759). Each sample of a row (`num_generations`) is a row of its own; samples differ only if the LLM samples at a
    temperature above 0.

    Attributes:
        llm: the teacher, which answers.
        task: what kind of questions these are: `math`, `multiple_choice`, `text_to_sql`, `instruction`, or the dotted path of a class
            derived from `axolotl_synthetic.tasks.TaskBase`. Defaults to `math`.
        examples: rows with answers, of which up to four are shown to the LLM as worked examples; a row is never shown itself. They help
            small models a lot. Defaults to none.
        databases: text to SQL: where the databases are, such as `dbs/{database}.sqlite`. Defaults to `None`.
        decimal: `comma` where the rows write 16,5 and group thousands by points. Defaults to `None`, a point.
        num_generations: samples of each row. Defaults to `1`.
        round: number of samples that each row had before; names and draws go on from there. Defaults to `0`.

    Runtime parameters:
        - `num_generations`: samples of each row.
        - `round`: number of samples that each row had before.

    Input columns:
        - question (`str`): the question.
        - answer (`str`, optional): its answer: a value, or a solution with its value behind `####` or in `\\boxed{}`; for other tasks a
            label or a choice's text, a query, or any text.
        - choices (`List[str]`, optional): multiple choice: the choices, required there.
        - labels (`List[str]`, optional): multiple choice: their labels, A, B, … if left out.
        - database (`str`, optional): text to SQL: the database's name, required there.
        - context (`str`, optional): instruction: a text that the question is about.
        - text (`str`, optional): classification: the text, in the place of `question`; its closed set is in `labels`.
        - label (`str`, optional): classification: its label, or a list of several.
        - messages (`List[Dict[str, str]]`, optional): chat: the turns, in the place of `question`; map `messages` of the outputs to a name.
        - system (`str`, optional): instruction and chat: a system message, in chats one that is not among the turns.

    Output columns:
        - instruction (`str`): the question as a student reads it, with its choices, schema or context.
        - generation (`str`): the LLM's answer without its thoughts; empty where there is none, and then `reason` says why.
        - final_answer (`str`): the final answer in a normal form; empty where the answer marks none.
        - strategy (`str`): the strategy's name.
        - seed_id (`str`): an id of the row's question, which depends only on its content.
        - sample_id (`str`): a name for the sample: strategy, seed and number.
        - candidate (`str`): how the sample was made, as JSON, for `Verify`.
        - status (`str`): `generated`; or `failed`, where a reply did not come, could not be read or was cut off.
        - reason (`str`): why there is no sample; empty where there is one.
        - messages (`List[Dict[str, str]]`): the chat to train on; without the assistant's turn where there is no sample.
        - model_name (`str`): the name of the LLM that answered.

    Note:
        With several samples of a row, first comes sample 1 of every row of a batch, then sample 2. Give `Verify` the same
        `input_mappings`. distilabel's LLMs do not say why a reply ended. If the LLM counts tokens, a reply with as many tokens as
        `max_new_tokens` allows counts as cut off; otherwise cut-off replies go unnoticed. Most LLMs stop at 128 tokens by default: set
        more in `generation_kwargs`.

    Categories:
        - text-generation

    Examples:
        Get four answers to each question:

        ```python
        from axolotl_synthetic.steps import AnswerAugmentation
        from distilabel.models import OpenAILLM
        from distilabel.pipeline import Pipeline
        from distilabel.steps import LoadDataFromDicts

        with Pipeline() as pipeline:
            questions = LoadDataFromDicts(data=[{"question": "6 jars with 10 cards each. How many cards?", "answer": "60"}])
            llm = OpenAILLM(model="gpt-4o-mini", generation_kwargs={"max_new_tokens": 512, "temperature": 0.7})
            questions >> AnswerAugmentation(llm=llm, num_generations=4)

        if __name__ == "__main__":
            rows = pipeline.run(use_cache=False)["default"]["train"]
        ```
    """

    purposes = ("answer",)

    @property
    def strategy(self) -> str:
        return ANSWER_AUGMENTATION


class QuestionRephrase(AugmenterTask):
    """Reword each question, so that its answer stays the same, and answer it: two calls a sample.

    The strategy `question_rephrase` of "Balancing Cost and Effectiveness of Synthetic Data Generation Strategies for LLMs"
    (arXiv 2409.19759). `Verify` checks that the rewording asks the same (`rephrase_fidelity`, `final_answer`).

    Attributes:
        llm: the teacher, which answers.
        augmenter: the LLM that rewords. Defaults to `None`, the teacher.
        reuse_seed_answers: whether to take the row's own answer, if it has one, instead of asking the teacher. Defaults to `False`.
        task: as in `AnswerAugmentation`.
        examples: as in `AnswerAugmentation`.
        databases: as in `AnswerAugmentation`.
        decimal: as in `AnswerAugmentation`.
        num_generations: samples of each row. Defaults to `1`.
        round: number of samples that each row had before. Defaults to `0`.

    Runtime parameters:
        - `num_generations`: samples of each row.
        - `round`: number of samples that each row had before.

    Input columns:
        - question (`str`): the question.
        - answer (`str`, optional): its answer.
        - choices (`List[str]`, optional): multiple choice: the choices, required there.
        - labels (`List[str]`, optional): multiple choice: their labels.
        - database (`str`, optional): text to SQL: the database's name, required there.
        - context (`str`, optional): instruction: a text that the question is about.
        - text (`str`, optional): classification: the text, in the place of `question`; its closed set is in `labels`.
        - label (`str`, optional): classification: its label, or a list of several.
        - messages (`List[Dict[str, str]]`, optional): chat: the turns, in the place of `question`; map `messages` of the outputs to a name.
        - system (`str`, optional): instruction and chat: a system message, in chats one that is not among the turns.

    Output columns:
        - instruction (`str`): the reworded question as a student reads it; empty where there is none.
        - generation (`str`): the teacher's answer to it; empty where there is none, and then `reason` says why.
        - final_answer (`str`): the final answer in a normal form; empty where the answer marks none.
        - strategy (`str`): the strategy's name.
        - seed_id (`str`): an id of the row's question, which depends only on its content.
        - sample_id (`str`): a name for the sample: strategy, seed and number.
        - candidate (`str`): how the sample was made, as JSON, for `Verify`.
        - status (`str`): `generated`; or `failed`, where a reply did not come, could not be read or was cut off.
        - reason (`str`): why there is no sample; empty where there is one.
        - messages (`List[Dict[str, str]]`): the chat to train on; without the assistant's turn where there is no sample.
        - model_name (`str`): the name of the LLM that answered.
        - augmenter_name (`str`): the name of the LLM that reworded.

    Note:
        distilabel's LLMs do not say why a reply ended; see `AnswerAugmentation`.

    Categories:
        - text-generation
        - text-manipulation

    Examples:
        Reword with a small LLM, answer with a large one:

        ```python
        from axolotl_synthetic.steps import QuestionRephrase
        from distilabel.models import OpenAILLM
        from distilabel.pipeline import Pipeline
        from distilabel.steps import LoadDataFromDicts

        with Pipeline() as pipeline:
            questions = LoadDataFromDicts(data=[{"question": "6 jars with 10 cards each. How many cards?", "answer": "60"}])
            kwargs = {"max_new_tokens": 512, "temperature": 0.7}
            rephrase = QuestionRephrase(
                llm=OpenAILLM(model="gpt-4o", generation_kwargs=kwargs),
                augmenter=OpenAILLM(model="gpt-4o-mini", generation_kwargs=kwargs),
            )
            questions >> rephrase

        if __name__ == "__main__":
            rows = pipeline.run(use_cache=False)["default"]["train"]
        ```
    """

    reuse_seed_answers: bool = False

    purposes = ("rephrase", "answer")

    @property
    def strategy(self) -> str:
        return QUESTION_REPHRASE


class NewQuestion(AugmenterTask):
    """Write a new question on the pattern of each, judge it, and answer it: three calls a sample.

    The strategy `new_question` of "Balancing Cost and Effectiveness of Synthetic Data Generation Strategies for LLMs"
    (arXiv 2409.19759). First the augmenter writes a question. Then the self-check asks it whether that question is complete, clear and has
    one answer; its reply must end in Yes or No. `llm` answers a question that passes, and its reply must end as the task requires, for
    `math` in a line `#### 60`. No reference for that answer exists: `self_consistency` and `judge` of `Verify` help.

    Attributes:
        llm: the teacher, which answers.
        augmenter: the LLM that writes the questions and judges them. Defaults to `None`, the teacher.
        task: what kind of questions these are: `math`, `multiple_choice`, `text_to_sql`, `instruction`, or the dotted path of a class
            derived from `axolotl_synthetic.tasks.TaskBase`. Defaults to `math`.
        examples: rows with answers, of which up to four are shown as worked examples, and up to three questions as further patterns.
            Defaults to none.
        databases: as in `AnswerAugmentation`.
        decimal: as in `AnswerAugmentation`.
        num_generations: samples of each row. Defaults to `1`.
        round: number of samples that each row had before. Defaults to `0`.

    Runtime parameters:
        - `num_generations`: samples of each row.
        - `round`: number of samples that each row had before.

    Input columns:
        - question (`str`): the question that gives the pattern.
        - answer (`str`, optional): its answer.
        - choices (`List[str]`, optional): multiple choice: the choices, required there.
        - labels (`List[str]`, optional): multiple choice: their labels.
        - database (`str`, optional): text to SQL: the database's name, required there.
        - context (`str`, optional): instruction: a text that the question is about.
        - text (`str`, optional): classification: the text, in the place of `question`; its closed set is in `labels`.
        - label (`str`, optional): classification: its label, or a list of several.
        - messages (`List[Dict[str, str]]`, optional): chat: the turns, in the place of `question`; map `messages` of the outputs to a name.
        - system (`str`, optional): instruction and chat: a system message, in chats one that is not among the turns.

    Output columns:
        - instruction (`str`): the new question as a student reads it; empty where there is none.
        - generation (`str`): the teacher's answer to it; empty where there is none, and then `reason` says why.
        - final_answer (`str`): the final answer in a normal form; empty where the answer marks none.
        - strategy (`str`): the strategy's name.
        - seed_id (`str`): an id of the row's question, which depends only on its content.
        - sample_id (`str`): a name for the sample: strategy, seed and number.
        - candidate (`str`): how the sample was made, as JSON, for `Verify`.
        - status (`str`): `generated`; `rejected`, where the augmenter answers the self-check with No, or with neither Yes nor No; or
            `failed`, where another reply could not be read, or a reply did not come or was cut off.
        - reason (`str`): why there is no sample; empty where there is one.
        - messages (`List[Dict[str, str]]`): the chat to train on; without the assistant's turn where there is no sample.
        - model_name (`str`): the name of the LLM that answered.
        - augmenter_name (`str`): the name of the LLM that wrote the question.

    Note:
        Each sample is a row: with several (`num_generations`), first comes sample 1 of every row of a batch, then sample 2; group them by
        `seed_id`. `distilabel_metadata` has all three chats, as `raw_input_<step>`. Give `Verify` the same `input_mappings`. Most LLMs
        stop at 128 tokens by default: set more in `generation_kwargs`.

    Categories:
        - text-generation

    Examples:
        Three new questions for each:

        ```python
        from axolotl_synthetic.steps import NewQuestion
        from distilabel.models import OpenAILLM
        from distilabel.pipeline import Pipeline
        from distilabel.steps import LoadDataFromDicts

        with Pipeline() as pipeline:
            questions = LoadDataFromDicts(data=[{"question": "6 jars with 10 cards each. How many cards?"}])
            llm = OpenAILLM(model="gpt-4o-mini", generation_kwargs={"max_new_tokens": 512, "temperature": 0.7})
            questions >> NewQuestion(llm=llm, num_generations=3)

        if __name__ == "__main__":
            rows = pipeline.run(use_cache=False)["default"]["train"]
        ```
    """

    purposes = ("new_question", "self_check", "answer")

    @property
    def strategy(self) -> str:
        return NEW_QUESTION
