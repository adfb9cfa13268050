"""The strategies, the checks and the training file as steps of distilabel, for pipelines of your own.

They work with any LLM of distilabel and beside any of its steps; the docstring of each lists its columns and shows an example.
`examples/distilabel_pipeline` has a whole pipeline.
"""

from axolotl_synthetic.pipelines.strategy_steps import AnswerAugmentation, NewQuestion, QuestionRephrase
from axolotl_synthetic.pipelines.verify_step import Verify
from axolotl_synthetic.pipelines.write_step import WriteAxolotl

__all__ = ["AnswerAugmentation", "NewQuestion", "QuestionRephrase", "Verify", "WriteAxolotl"]

# A pipeline that is saved names its steps by their modules: by this one, which stays where it is.
for _step in (AnswerAugmentation, NewQuestion, QuestionRephrase, Verify, WriteAxolotl):
    _step.__module__ = __name__
