"""The optional parts: if one is missing, one line names the command that installs it, before anything else is done."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from axolotl_synthetic import extras
from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.errors import MissingExtraError

ROOT = Path(__file__).parents[1]
COMMANDS = [
    ("report", ["report"], "matplotlib"),
    ("report", ["study"], "scikit-learn"),
    ("review", ["review", "push"], "argilla"),
    ("review", ["review", "status"], "krippendorff"),
    ("review", ["review", "pull"], "argilla"),
]


@pytest.mark.parametrize(("extra", "command", "package"), COMMANDS, ids=lambda value: " ".join(value) if isinstance(value, list) else value)
def test_a_command_whose_extra_is_missing_says_in_one_line_what_to_install(monkeypatch, tmp_path, extra, command, package):
    module = {"scikit-learn": "sklearn"}.get(package, package)
    monkeypatch.setitem(sys.modules, module, None)
    config = tmp_path / "config.yml"
    config.write_text("study: {config: config.yml}\nsynthetic: {}\n")
    result = CliRunner().invoke(synthetic, [*command, str(config)])
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1] == (
        f"axolotl-synthetic: `axolotl synthetic {' '.join(command)}` needs {package}, which is not installed: "
        f"pip install 'axolotl-synthetic[{extra}]'"
    )


def test_several_missing_packages_are_named_together(monkeypatch):
    for module in ("argilla", "krippendorff"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"needs argilla and krippendorff, which are not installed: pip install"):
        extras.require("review", "axolotl synthetic review push")


def test_every_package_of_an_extra_is_one_that_setup_cfg_brings_with_it():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for extra, modules in extras.MODULES.items():
        brought = {line.split(">=")[0].partition("[")[0] for line in setup["options.extras_require"][extra].split()}
        assert set(modules.values()) <= brought
