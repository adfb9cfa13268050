"""The tested versions, the one warning about others, and each difference between Axolotl's versions, tested on the installed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from axolotl_synthetic import versions
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.prepare import prepare

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(versions.TOLD, "")


def pretend(monkeypatch: pytest.MonkeyPatch, **found: str | None) -> None:
    """Simulate these installed versions, and the newest tested one of every other package."""
    everything = {package: newest for package, (_, newest) in versions.TESTED.items()} | found
    monkeypatch.setattr(versions, "installed", everything.get)


def test_the_versions_of_this_environment_were_tested():
    assert versions.untested() is None


def test_the_tested_range_is_that_of_the_sets_that_are_tested():
    lines = (ROOT / ".ci" / "sets").read_text().splitlines()
    names = [line.split()[0] for line in lines if not line.startswith("#")]
    oldest, newest = versions.TESTED["axolotl"]
    assert (names[-1], names[0]) == (f"axolotl-{oldest}", f"axolotl-{newest}")
    for name in names:
        pins = (ROOT / ".ci" / f"constraints-{name}.txt").read_text()
        assert f"axolotl=={name.removeprefix('axolotl-')}." in pins


@pytest.mark.parametrize("version", ["0.19", "0.19.0", "0.20.3.post1", "0.21.9"])
def test_a_release_of_a_tested_series_is_not_warned_about(monkeypatch, version):
    pretend(monkeypatch, axolotl=version)
    assert versions.untested() is None


@pytest.mark.parametrize("version", ["0.18.1", "0.22.0", "0.22.0.dev0", "1.0"])
def test_a_version_outside_gets_one_warning_that_names_what_was_tested(monkeypatch, version):
    pretend(monkeypatch, axolotl=version)
    assert versions.untested() == f"not tested with axolotl {version} (tested: 0.19 to 0.21); should something fail, try a tested version"
    assert versions.untested() is None


def test_packages_outside_are_named_together_and_a_missing_one_is_left_out(monkeypatch):
    pretend(monkeypatch, axolotl=None, distilabel="1.6.0", lm_eval="0.5.1")
    assert (warning := versions.untested()) is not None
    assert "distilabel 1.6.0 (tested: 1.5), lm_eval 0.5.1 (tested: 0.4)" in warning and "axolotl" not in warning


def test_weight_is_a_key_of_axolotls_datasets_where_we_say_so():
    from axolotl.utils.schemas.datasets import SFTDataset

    assert ("weight" in SFTDataset.model_fields) == versions.datasets_take_weight()


@pytest.mark.parametrize(("version", "takes"), [("0.19.5", False), ("0.20.0", True), ("0.21.0", True), ("1.2", True), (None, False)])
def test_weight_is_taken_from_axolotl_0_20_on(monkeypatch, version, takes):
    pretend(monkeypatch, axolotl=version)
    assert versions.datasets_take_weight() is takes


def test_a_weight_that_axolotl_would_ignore_is_refused_before_the_first_call(monkeypatch, tmp_path):
    pretend(monkeypatch, axolotl="0.19.0")
    (tmp_path / "seeds.jsonl").write_text('{"question": "What is 2 * 3?", "answer": "#### 6"}\n')
    settings = load_settings({"weight": 0.5, "seeds": {"path": str(tmp_path / "seeds.jsonl")}, "output_dir": str(tmp_path / "out")})
    with pytest.raises(ConfigError, match=r"synthetic.weight: 0.5: needs Axolotl 0.20 or newer, and 0.19.0 is installed"):
        prepare(settings)
    assert not (tmp_path / "out").exists()


def test_training_failed_while_an_error_is_on_its_way_and_not_otherwise():
    seen = []
    with pytest.raises(RuntimeError):
        try:
            raise RuntimeError("out of memory")
        finally:  # as in axolotl/cli/train.py since 0.20
            seen.append(versions.training_failed())
    seen.append(versions.training_failed())
    assert seen == [True, False]
