"""The strategies, the checks and the training file as distilabel steps, for your own pipelines.

They work with any LLM and any other step of distilabel; each docstring lists the step's columns and shows an example.
`examples/distilabel_pipeline` has a whole pipeline.
"""

from axolotl_synthetic.pipelines.strategy_steps import AnswerAugmentation, NewQuestion, QuestionRephrase
from axolotl_synthetic.pipelines.verify_step import Verify
from axolotl_synthetic.pipelines.write_step import WriteAxolotl

__all__ = ["AnswerAugmentation", "NewQuestion", "QuestionRephrase", "Verify", "WriteAxolotl"]

# A saved pipeline names its steps by their modules; this one is stable.
for _step in (AnswerAugmentation, NewQuestion, QuestionRephrase, Verify, WriteAxolotl):
    _step.__module__ = __name__
