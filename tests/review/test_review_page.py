"""The page on review is true: its commands run in their order, and its lines of Python create an account."""

import json
import re
import warnings
from pathlib import Path

from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic

from finished import finish, sample

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "plugin" / "docs" / "review.md").read_text(encoding="utf-8")


def test_its_commands_run_in_their_order(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0)], review=review)
    path = tmp_path / "config.yml"
    path.write_text(json.dumps({"synthetic": made.model_dump(mode="json")}))
    lines = [line.split("#")[0].split() for line in SECTION.splitlines() if line.startswith("axolotl synthetic review")]
    assert [line[3] for line in lines] == ["serve", "push", "status", "pull"]
    for line in lines:
        arguments = [str(path) if argument.endswith(".yml") else argument for argument in line[2:]]
        result = CliRunner().invoke(synthetic, arguments)
        assert result.exit_code == 0, result.output
    assert list(argilla.records(review["dataset"])) == ["answer_augmentation-0"]


def test_the_quickstart_can_be_reviewed_as_it_says():
    import yaml

    config = re.search(r"review push (\S+\.yml)", SECTION)[1]
    assert "review" in yaml.safe_load((ROOT / config).read_text())["synthetic"]


def test_its_lines_of_python_make_an_account(argilla):
    argilla.person("first")  # creates a person, and the workspace with them
    (code,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    code = code.replace("http://localhost:6900", argilla.url).replace('"the key"', repr(argilla.key))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, {})
    workspace = {one["name"]: one["id"] for one in argilla.call("GET", "/me/workspaces")["items"]}["synthetic"]
    assert "ann" in [one["username"] for one in argilla.call("GET", f"/workspaces/{workspace}/users")["items"]]
