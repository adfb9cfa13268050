"""A task of the user's own, by its dotted path."""

import pytest

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.tasks import load_task
from axolotl_synthetic.tasks.math import Math


class Sums(Math):
    name = "sums"


class Half:
    name = "half"


def test_a_class_is_found_by_its_dotted_path():
    assert load_task(f"{__name__}.Sums").name == "sums"


def test_what_a_class_lacks_is_named():
    with pytest.raises(ConfigError, match=r"lacks .*answer_messages.*loose_answer.*required"):
        load_task(f"{__name__}.Half")


@pytest.mark.parametrize("name", ["poetry", "no_such_package.Task", "pathlib.NoSuchTask"])
def test_a_task_that_there_is_not_is_a_wrong_config(name):
    with pytest.raises(ConfigError, match=r"synthetic\.task"):
        load_task(name)
