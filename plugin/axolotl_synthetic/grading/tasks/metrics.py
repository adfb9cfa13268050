"""The functions that `spider_execution.yaml` names: lm-eval looks for a `!function` in a Python file beside the YAML."""

from axolotl_synthetic.grading.spider import dataset, gold, grade, prompt

__all__ = ["dataset", "gold", "grade", "prompt"]
