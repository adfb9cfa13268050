"""Axolotl's hooks: real `axolotl` commands on a CPU, with a tiny student and a local teacher, and direct calls of the hooks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from axolotl_synthetic import student, versions
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.dataset import asked
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.lock import is_held

from fake_replies import MathReplies
from fake_server import FakeServer
from fake_wire import message
from projects import until
from tiny_model import axolotl_config, save_tiny_model

PLUGIN = "axolotl_synthetic.SyntheticPlugin"
# Two ranks that reach the hook at the same moment: each reports that it is ready and waits for the other.
RANK = """
import sys, time, yaml
from pathlib import Path
from axolotl.integrations.base import PluginManager
manager = PluginManager.get_instance()
manager.register("axolotl_synthetic.SyntheticPlugin")
plugin = manager.plugins["axolotl_synthetic.SyntheticPlugin"]
cfg = yaml.safe_load(Path("config.yml").read_text())
plugin.register(cfg)
Path("ready-" + sys.argv[1]).touch()
while len(list(Path().glob("ready-*"))) < 2:
    time.sleep(0.01)
plugin.load_datasets(cfg)
print(cfg["datasets"][0]["path"])
"""

# Training that fails once it has begun.
BROKEN = """
from axolotl.integrations.base import BasePlugin

class Broken(BasePlugin):
    def post_trainer_create(self, cfg, trainer):
        raise RuntimeError("out of memory")
"""


def seed(jars: int, cards: int) -> dict[str, str]:
    return {
        "question": f"Ada has {jars} jars with {cards} cards each. How many cards are there?",
        "answer": f"{jars} jars of {cards} cards are {jars} * {cards} = {jars * cards} cards.\n#### {jars * cards}",
    }


def write_seeds(folder: Path, seeds: list[dict[str, str]]) -> None:
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in seeds), encoding="utf-8")


def block(server: FakeServer | None = None, **more: Any) -> dict[str, Any]:
    return {
        "task": "math",
        "seeds": {"path": "seeds.jsonl"},
        "strategy": "answer_augmentation",
        "budget": {"samples": 6},
        "teacher": {"base_url": server.base_url if server else "http://127.0.0.1:9/v1", "model": "fake-model", "retries": 0},
        "output_dir": "synthetic",
        **more,
    }


def project(folder: Path, model: Path, synthetic: dict[str, Any] | None, **more: Any) -> Path:
    """Make a folder with seeds and an Axolotl YAML, as a user has it: every path in it is relative."""
    write_seeds(folder, [seed(jars, 10) for jars in range(2, 8)])
    shutil.copytree(model, folder / "model")
    config = axolotl_config(Path("model"), Path(), **{"plugins": [PLUGIN], **more})
    if synthetic is not None:
        config["synthetic"] = synthetic
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def environment(**more: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("AXOLOTL_LOG_LEVEL", "AXOLOTL_SYNTHETIC_VERBOSE")}
    offline = {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "CUDA_VISIBLE_DEVICES": ""}
    return ours | offline | {"OPENAI_API_KEY": "none"} | more


def axolotl(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("axolotl")), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(**more), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
    )


def prepared_texts(folder: Path) -> list[str]:
    """Return the decoded texts of each data set in Axolotl's cache."""
    from datasets import load_from_disk
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    caches = [path for path in (folder / "prepared").iterdir() if path.is_dir()]
    return ["\n".join(tokenizer.batch_decode(list(load_from_disk(str(cache))["input_ids"]))) for cache in caches]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture(scope="module")
def trained(model: Path, server: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return a project after its first `axolotl train`; tests only read it."""
    folder = project(tmp_path_factory.mktemp("trained"), model, block(server))
    return folder, axolotl(folder, "train", "config.yml", "--launcher", "python")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return the plugin as Axolotl makes it, in an empty working directory."""
    from axolotl_synthetic import SyntheticPlugin

    monkeypatch.chdir(tmp_path)
    # This leaves the logging of the test's own process unchanged.
    monkeypatch.setenv("AXOLOTL_SYNTHETIC_VERBOSE", "1")
    return SyntheticPlugin()


# Axolotl's own commands


def test_train_generates_and_trains_on_the_file_named_by_its_hash(trained, server):
    folder, done = trained
    assert done.returncode == 0, done.stderr
    assert (folder / "student" / "adapter_model.safetensors").exists()
    [training_file] = (folder / "synthetic").glob("train-*.jsonl")
    assert f"the training data is synthetic/{training_file.name}" in done.stderr
    assert f"Loading dataset: synthetic/{training_file.name}" in (folder / "synthetic" / "axolotl.log").read_text()
    [text] = prepared_texts(folder)
    for line in training_file.read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["messages"][1]["content"] in text
    assert server.count >= 6


def test_axolotl_has_our_commands():
    done = axolotl(Path(), "synthetic", "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == versions.summary()  # after Axolotl's own banner


@pytest.mark.slow
def test_axolotls_own_launcher_trains_too(model, server, tmp_path):
    folder = project(tmp_path, model, block(server))
    # It looks for `accelerate` on the command path.
    done = axolotl(folder, "train", "config.yml", PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert (folder / "student" / "adapter_model.safetensors").exists()
    assert len(list((folder / "synthetic").glob("train-*.jsonl"))) == 1


def test_the_terminal_has_warnings_and_progress_and_the_log_file_has_the_rest(trained):
    folder, done = trained
    log = (folder / "synthetic" / "axolotl.log").read_text(encoding="utf-8")
    assert "[INFO] [axolotl.cli.config] config:" in log
    assert "[axolotl.cli.config]" not in done.stdout
    assert "[INFO] [axolotl.utils" not in done.stdout + done.stderr
    assert "[WARNING] [axolotl" in done.stdout
    assert done.stderr.count("synthetic/axolotl.log") == 1
    assert "2/2" in done.stderr  # the bar of two training steps


@pytest.mark.slow
def test_training_that_fails_is_not_graded(model, server, tmp_path):
    # Axolotl calls `post_train_unload` in this case, too: see versions.training_failed.
    folder = project(tmp_path, model, block(server, seeds={"path": "seeds.jsonl", "holdout": 2}), plugins=[PLUGIN, "broken.Broken"])
    (folder / "broken.py").write_text(BROKEN)
    done = axolotl(folder, "train", "config.yml", "--launcher", "python", PYTHONPATH=str(folder))
    assert done.returncode == 1
    assert "RuntimeError: out of memory" in done.stderr
    assert "grad" not in done.stderr.split("the training data is", 1)[1]
    assert (folder / "synthetic" / "manifest.json").exists() and not (folder / "synthetic" / "lm_eval.log").exists()


@pytest.mark.slow
def test_data_sets_of_the_users_are_trained_on_beside_ours_and_theirs_alone_are_evaluated_on(model, server, tmp_path):
    alpaca = {"ds_type": "json", "type": "alpaca"}
    folder = project(
        tmp_path,
        model,
        block(server),
        datasets=[{"path": "mine.jsonl", **alpaca}],
        test_datasets=[{"path": "held.jsonl", "split": "train", **alpaca}],
        eval_steps=2,
    )
    for name, word in (("mine", "Tartu"), ("held", "Narva")):
        row = {"instruction": f"Say {word}.", "input": "", "output": f"{word}!"}
        (folder / f"{name}.jsonl").write_text((json.dumps(row) + "\n") * 4)
    done = axolotl(folder, "train", "config.yml", "--launcher", "python")
    assert done.returncode == 0, done.stderr
    trained_on = next(text for text in prepared_texts(folder) if "Tartu!" in text)
    assert "How many cards are there?" in trained_on and "Narva" not in trained_on
    assert "'eval_loss'" in done.stdout
    assert [text.count("Narva!") for text in prepared_texts(folder) if "Narva" in text] == [4]


@pytest.mark.slow
def test_a_share_of_all_data_is_evaluated_on_where_val_set_size_asks_for_it(model, server, tmp_path):
    folder = project(tmp_path, model, block(server), val_set_size=0.25, eval_steps=2)
    done = axolotl(folder, "train", "config.yml", "--launcher", "python")
    assert done.returncode == 0, done.stderr
    assert "'eval_loss'" in done.stdout


@pytest.mark.slow
def test_a_weight_trains_on_that_share_of_our_file(model, server, tmp_path):
    folder = project(tmp_path, model, block(server, weight=0.5))
    before = server.count
    done = axolotl(folder, "preprocess", "config.yml", "--no-download")
    if not versions.datasets_take_weight():
        assert (done.returncode, server.count) == (2, before)
        assert "synthetic.weight: 0.5: needs Axolotl 0.20 or newer" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    [training_file] = (folder / "synthetic").glob("train-*.jsonl")
    rows = len(training_file.read_text().splitlines())
    assert rows > 6
    [text] = prepared_texts(folder)
    assert text.count("<|im_start|>assistant") == rows // 2


def test_a_second_run_asks_the_teacher_nothing(trained, server):
    folder, _ = trained
    before = server.count
    done = axolotl(folder, "preprocess", "config.yml", "--no-download")
    assert done.returncode == 0, done.stderr
    assert server.count == before
    assert len(list((folder / "synthetic").glob("train-*.jsonl"))) == 1


def test_changed_settings_are_trained_on_and_not_what_was_prepared_before(trained, tmp_path):
    folder = tmp_path / "changed"
    shutil.copytree(trained[0], folder)
    config = yaml.safe_load((folder / "config.yml").read_text(encoding="utf-8"))
    config["synthetic"]["include_seeds"] = False
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "synthetic" / "axolotl.log").unlink()
    # `train`, not `preprocess`: only `train` would use the data that an earlier run has prepared.
    done = axolotl(folder, "train", "config.yml", "--launcher", "python")
    assert done.returncode == 0, done.stderr
    of_a_seed = "2 jars of 10 cards are 2 * 10 = 20 cards."
    assert sorted(of_a_seed in text for text in prepared_texts(folder)) == [False, True]  # the new data set, the old one
    log = (folder / "synthetic" / "axolotl.log").read_text(encoding="utf-8")
    assert "Unable to find prepared dataset" in log and "Loading prepared dataset" not in log


def test_changed_seeds_end_axolotl_before_it_trains_on_the_old_ones(trained, plugin, tmp_path, capfd):
    shutil.copytree(trained[0] / "synthetic", tmp_path / "synthetic")
    write_seeds(tmp_path, [seed(jars, 11) for jars in range(2, 8)])
    cfg: dict[str, Any] = {"synthetic": block()}
    plugin.register(cfg)
    with pytest.raises(SystemExit) as end:
        plugin.load_datasets(cfg)
    assert end.value.code == 2
    assert "other seeds" in (message := capfd.readouterr().err) and "choose another output_dir" in message


def test_a_bad_block_is_one_message_and_exit_code_2(model, tmp_path):
    folder = project(tmp_path, model, block(budget={"smaples": 6}))
    done = axolotl(folder, "preprocess", "config.yml", "--no-download")
    assert done.returncode == 2
    assert "synthetic.budget.smaples: unknown key; did you mean `samples`?" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (folder / "synthetic").exists()


def test_a_list_of_teachers_is_refused_with_the_command_that_measures_them(plugin, capfd):
    with pytest.raises(SystemExit) as end:
        plugin.register({"synthetic": {**block(), "teacher": [{"model": "a"}, {"model": "b"}]}})
    assert end.value.code == 2
    assert "synthetic.teacher: is a list, which is for `axolotl synthetic plan CONFIG --pilot N` alone" in capfd.readouterr().err


@pytest.mark.slow
def test_two_ranks_that_start_at_once_generate_once(model, tmp_path):
    with FakeServer(latency=0.2) as server:
        folder = project(tmp_path, model, block(server))
        ranks = [
            subprocess.Popen(
                [sys.executable, "-c", RANK, number],
                cwd=folder,
                env=environment(RANK=number, LOCAL_RANK=number, WORLD_SIZE="2"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in ("0", "1")
        ]
        outputs = [rank.communicate(timeout=400) for rank in ranks]
        assert [rank.returncode for rank in ranks] == [0, 0], outputs
        [training_file] = (folder / "synthetic").glob("train-*.jsonl")
        assert all(stdout.splitlines()[-1] == f"synthetic/{training_file.name}" for stdout, _ in outputs)
        assert sum("waiting for another process" in stderr for _, stderr in outputs) == 1
        manifest = json.loads((folder / "synthetic" / "manifest.json").read_text(encoding="utf-8"))
        assert server.count == manifest["queries"]["total"]


@pytest.mark.slow
def test_a_training_that_is_killed_while_it_generates_leaves_no_run_behind_that_goes_on_paying(model, tmp_path):
    with FakeServer(latency=0.5, vary_repeats=True) as server:
        folder = project(tmp_path, model, block(server, budget={"samples": 100_000}))
        command = [sys.executable, "-m", "axolotl.cli.main", "train", "config.yml", "--launcher", "python"]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        training = subprocess.Popen(command, cwd=folder, env=environment(), **quiet)
        assert until(lambda: server.count > 20)
        training.kill()
        training.wait()
        # It ends as after a request to stop: calls under way are kept, and none is made any more.
        settings = load_settings(yaml.safe_load((folder / "config.yml").read_text())["synthetic"])
        assert until(lambda: not is_held(folder / settings.output_dir), 60)
        count = server.count
        time.sleep(2)
        assert server.count == count


# The hooks alone


def test_axolotl_lists_the_plugin():
    from axolotl.integrations.base import PluginManager

    manager = PluginManager.get_instance()
    manager.register(PLUGIN)
    try:
        assert PLUGIN in manager.plugins
        assert "axolotl_synthetic.plugin.SyntheticArgs" in manager.get_input_args()
    finally:
        manager.plugins.pop(PLUGIN)


def test_a_plugin_that_cannot_be_imported_ends_axolotl_instead_of_being_left_out(monkeypatch, capsys):
    from axolotl.integrations.base import PluginManager

    monkeypatch.setitem(sys.modules, "axolotl_synthetic.plugin", None)
    with pytest.raises(SystemExit) as end:
        PluginManager.get_instance().register(PLUGIN)
    assert end.value.code == 2
    assert "the plugin cannot be imported" in (message := capsys.readouterr().err) and "pip install axolotl-synthetic" in message


def test_the_package_and_its_schema_import_neither_axolotl_nor_torch():
    code = (
        "import sys, axolotl_synthetic, axolotl_synthetic.config; "
        "print([name for name in ('axolotl', 'torch', 'transformers', 'distilabel') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_package_is_named_with_the_command_that_installs_it(plugin, tmp_path, monkeypatch, capsys):
    write_seeds(tmp_path, [seed(2, 3)])
    cfg = {"synthetic": block()}
    plugin.register(cfg)
    monkeypatch.setitem(sys.modules, "distilabel", None)
    with pytest.raises(SystemExit) as end:
        plugin.load_datasets(cfg)
    assert end.value.code == 2
    assert "pip install distilabel" in capsys.readouterr().err


def test_an_unreachable_teacher_ends_axolotl_with_the_exit_code_of_the_run(plugin, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_seeds(tmp_path, [seed(jars, 10) for jars in range(2, 8)])
    cfg = {"synthetic": block()}
    plugin.register(cfg)
    with pytest.raises(SystemExit) as end:
        plugin.load_datasets(cfg)
    assert end.value.code == 3
    message = capfd.readouterr().err
    assert "127.0.0.1:9" in message and "Traceback" not in message


def test_a_version_that_was_not_tested_is_told_once(plugin, monkeypatch, capsys):
    monkeypatch.setenv(versions.TOLD, "")
    monkeypatch.setattr(versions, "installed", {"axolotl": "0.30.0"}.get)
    for _ in range(2):
        plugin.register({"synthetic": block()})
    assert capsys.readouterr().err.count("not tested with axolotl 0.30.0 (tested: 0.19 to 0.21)") == 1


def test_a_key_that_is_there_twice_ends_axolotl_though_its_reader_takes_the_last(plugin, tmp_path, capsys):
    (tmp_path / "my.yml").write_text("base_model: x\nsynthetic:\n  seed: 1\n  seed: 2\n")
    with pytest.raises(SystemExit) as ended:
        plugin.register({"synthetic": block(), "axolotl_config_path": str(tmp_path / "my.yml")})
    assert ended.value.code == 2
    assert "my.yml:4: synthetic.seed: is there twice, first in line 3; keep one of them" in capsys.readouterr().err


def test_without_a_block_nothing_happens(plugin, tmp_path):
    cfg = {"datasets": [{"path": "mine.jsonl", "type": "alpaca"}]}
    plugin.register(cfg)
    assert plugin.load_datasets(cfg) is None
    plugin.post_train_unload(cfg)
    assert cfg == {"datasets": [{"path": "mine.jsonl", "type": "alpaca"}]}
    assert list(tmp_path.iterdir()) == []


def test_an_empty_block_is_refused_and_not_taken_for_none(plugin, capsys):
    with pytest.raises(SystemExit) as end:
        plugin.register({"synthetic": None})
    assert end.value.code == 2
    assert "synthetic: must be a block" in capsys.readouterr().err


def test_the_users_own_data_sets_stay_and_registering_twice_adds_one_entry(plugin):
    cfg: dict[str, Any] = {"synthetic": block(), "datasets": [{"path": "mine.jsonl", "type": "alpaca"}]}
    plugin.register(cfg)
    plugin.register(cfg)
    assert [entry["path"] for entry in cfg["datasets"]] == ["mine.jsonl", "synthetic/train.jsonl"]


def test_what_has_no_hook_for_data_gets_the_file_that_was_written_last(plugin, tmp_path):
    folder = tmp_path / "synthetic"
    folder.mkdir()
    for age, name in ((20, "train-aaaa.jsonl"), (10, "train-bbbb.jsonl")):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    cfg: dict[str, Any] = {"synthetic": block()}
    plugin.register(cfg)
    assert [entry["path"] for entry in cfg["datasets"]] == ["synthetic/train-bbbb.jsonl"]


def test_an_entry_of_the_users_for_our_file_is_kept_with_its_options(plugin):
    mine = {"path": "./synthetic/train.jsonl", "type": "chat_template", "train_on_eos": "all"}
    cfg = {"synthetic": block(), "datasets": [mine]}
    plugin.register(cfg)
    assert cfg["datasets"] == [mine]


@pytest.mark.parametrize("key, value", [("rl", "grpo"), ("reward_model", True), ("pretraining_dataset", [{"path": "c4"}])])
def test_training_that_does_not_read_questions_and_answers_is_refused(plugin, key, value, capsys):
    with pytest.raises(SystemExit) as end:
        plugin.register({"synthetic": block(), key: value})
    assert end.value.code == 2
    assert f"remove `{key}:` or `synthetic:`" in capsys.readouterr().err


def test_training_on_preferences_is_refused_where_none_are_asked_for(plugin, capsys):
    with pytest.raises(SystemExit) as end:
        plugin.register({"synthetic": block(), "rl": "dpo"})
    assert end.value.code == 2
    assert "rl: dpo: trains on right and wrong answers; add `preferences: true`" in capsys.readouterr().err


def test_the_block_is_the_same_after_axolotls_validation():
    # Axolotl dumps the validated config without its nulls, and the hooks read that again.
    from axolotl_synthetic.plugin import SyntheticArgs

    written = block(
        strategy={"answer_augmentation": 0.5, "new_question": 0.5},
        budget={"queries": 9, "samples": None},
        verify=["format", {"final_answer": None}],
        seeds={"path": "s.jsonl", "holdout": 0.25, "fields": {"question": "q"}},
        augmenter={"provider": "distilabel", "llm": "OpenAILLM", "kwargs": {"model": "m"}, "strength": "weak"},
    )
    dumped = SyntheticArgs.model_validate({"synthetic": written}).model_dump(exclude_none=True)
    assert load_settings(dumped["synthetic"]) == load_settings(written)


def test_a_rank_that_waited_for_a_failed_run_does_not_try_again(plugin, tmp_path, monkeypatch, capsys):
    from axolotl_synthetic import plugin as hooks

    runs = []

    def fail_slowly(*_: object) -> int:
        runs.append(1)
        time.sleep(0.5)
        return 3

    monkeypatch.setattr(hooks, "_command", fail_slowly)
    write_seeds(tmp_path, [seed(2, 3)])
    cfg = {"synthetic": block()}
    plugin.register(cfg)
    assert together(2, lambda: plugin.load_datasets(cfg)) == [3, 3]
    assert len(runs) == 1
    # Started again later, it tries: it waited for no other rank.
    assert together(1, lambda: plugin.load_datasets(cfg)) == [3]
    assert len(runs) == 2
    assert "in the process that this one waited for, with exit code 3" in capsys.readouterr().err


def together(count: int, call: Callable[[], object]) -> list[object]:
    """Return the exit codes of this many threads."""
    codes: list[object] = []

    def run() -> None:
        try:
            call()
        except SystemExit as end:
            codes.append(end.code)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return codes


def test_a_failing_grade_is_told_and_does_not_fail_the_training(plugin, monkeypatch, capsys):
    from axolotl_synthetic import plugin as hooks

    asked = []
    monkeypatch.setattr(hooks, "_command", lambda command, *_: asked.append(command) or 3)
    cfg = {"synthetic": block(grade={"tasks": ["arc_easy"]}), "output_dir": "student", "axolotl_config_path": "my.yml"}
    plugin.post_train_unload(cfg)
    assert asked == ["grade"]
    message = capsys.readouterr().err
    assert "exit code 3" in message and "saved in student" in message and "axolotl synthetic grade my.yml" in message


def test_what_the_command_line_set_is_in_the_advice(plugin, monkeypatch, capsys, tmp_path):
    from axolotl_synthetic import plugin as hooks

    monkeypatch.setattr(hooks, "_command", lambda *_: 3)
    (tmp_path / "my.yml").write_text("output_dir: student\nbase_model: model\n")
    cfg = {"synthetic": block(grade={"tasks": ["arc_easy"]}), "axolotl_config_path": "my.yml"}
    for told, advice in (
        ({"output_dir": "student", "base_model": "model"}, "my.yml`"),
        ({"output_dir": "other place", "base_model": "model"}, "my.yml --output-dir 'other place'`"),
        ({"output_dir": "X", "base_model": "Y"}, "my.yml --output-dir X --base-model Y`"),
    ):
        plugin.post_train_unload({**cfg, **told})
        assert f"grade it with `axolotl synthetic grade {advice}" in capsys.readouterr().err


def test_held_out_seeds_without_final_answers_are_not_graded_and_that_is_said_before_the_run(plugin, monkeypatch, capsys, tmp_path, server):
    from axolotl_synthetic import plugin as hooks

    write_seeds(tmp_path, [{"question": f"Name {number} red fruits.", "answer": f"Here are {number}."} for number in range(2, 12)])
    synthetic = block(server, task="instruction", seeds={"path": "seeds.jsonl", "holdout": 3})
    from axolotl_synthetic import prepare, run

    prepare.tell_problems(prepare.prepare(load_settings(synthetic)))
    assert "3 held-out seeds are kept for nothing" in capsys.readouterr().err
    monkeypatch.setattr(hooks, "_command", lambda *_: pytest.fail("graded"))
    plugin.post_train_unload({"synthetic": synthetic, "output_dir": "student"})
    assert "no held-out seed has a final answer" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"no held-out seed has a final answer to grade by \(the task instruction\)"):
        (tmp_path / "student").mkdir()
        (tmp_path / "student" / "config.json").write_text("{}")
        run.grade(load_settings(synthetic), {"base_model": "model", "output_dir": "student"})


# Checks of the student before the first call


@pytest.fixture(scope="module")
def without_template(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a base model: the same without a chat template."""
    folder = tmp_path_factory.mktemp("base") / "model"
    shutil.copytree(model, folder)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = folder / name
        if path.suffix == ".jinja":
            path.unlink(missing_ok=True)
        else:
            known = json.loads(path.read_text())
            known.pop("chat_template", None)
            path.write_text(json.dumps(known))
    return folder


@pytest.mark.slow
def test_a_base_model_without_a_chat_template_ends_axolotl_before_the_first_call(without_template, server, tmp_path):
    count = server.count
    folder = project(tmp_path, without_template, block(server))
    done = axolotl(folder, "preprocess", "config.yml")
    assert done.returncode == 2, done.stderr
    assert "base_model: model: has no chat template to train on chats with" in done.stderr
    assert "add `chat_template: chatml`" in done.stderr
    assert "Traceback" not in done.stderr
    assert server.count == count


def unfit(model: Path, folder: Path, synthetic: dict[str, Any], **more: Any) -> None:
    """Run the checks that come before a run; exit with 2 and a message, or return."""
    from axolotl_synthetic import plugin as hooks

    config = axolotl_config(model, folder, **more)
    settings = load_settings(synthetic)
    write_seeds(folder, [seed(jars, 10) for jars in range(2, 8)])
    hooks._refuse_unfit({**config, "datasets": [hooks._entry({}, settings)]}, settings)


def test_a_template_that_the_yaml_names_stands_in_for_the_models(plugin, without_template, tmp_path):
    unfit(without_template, tmp_path, block(), chat_template="chatml")
    unfit(without_template, tmp_path, block(), chat_template="tokenizer_default_fallback_chatml")
    with pytest.raises(ConfigError, match="has no chat template"):
        unfit(without_template, tmp_path, block(), chat_template="tokenizer_default")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ raise_exception('a system prompt is required') }}", "a system prompt is required"),
        (
            "{% for m in messages %}{{ m.content.text }}{% if m.role == 'assistant' %}{{ raise_exception('no') }}{% endif %}{% endfor %}",
            "no",
        ),
        ("{{ messages[7].content }}", "has no"),
        ("{{ undefined_function(messages) }}", "undefined_function"),
        ("{{ messages | nonsense }}", "nonsense"),
    ],
)
@pytest.mark.parametrize("more", [{}, {"sequence_len": None}])
def test_a_chat_template_that_raises_is_told_before_the_first_call(plugin, model, tmp_path, template, says, more):
    with pytest.raises(ConfigError, match=f"its chat template refuses a question and an answer, and no teacher was asked yet: .*{says}"):
        unfit(model, tmp_path, block(), chat_template="jinja", chat_template_jinja=template, **more)


def test_an_empty_answer_of_a_seed_is_no_reason_to_refuse_a_template(plugin, model, tmp_path):
    template = "{% for m in messages %}{% if not m.content %}{{ raise_exception('empty') }}{% endif %}{{ m.content }}{% endfor %}"
    from axolotl_synthetic.student import lengths

    class Tokenizer:
        def apply_chat_template(self, chat, **_):
            assert all(turn["content"] for turn in chat)
            return " ".join(turn["content"] for turn in chat)

        def __call__(self, text, **_):
            return {"input_ids": text.split()}

    assert lengths("m", [(asked("How many?"), None), (asked("How many?"), "two of them")], Tokenizer(), template) == [3, 5]


WITHOUT_WEIGHTS = {
    "nothing": {},
    "a trainer's leavings": {"training_args.bin": b"x" * 5_000, "optimizer.bin": b"x"},
    "an index without its shards": {"model.safetensors.index.json": b"{}"},
    "an empty file": {"model.safetensors": b""},
    "another library's": {"tf_model.h5": b"x", "flax_model.msgpack": b"x"},
    "weights a folder below": {"checkpoint/model.safetensors": b"x"},
    "a folder of that name": {"model.bin/readme": b"x"},
}


def without_weights(model: Path, folder: Path, files: dict[str, bytes]) -> Path:
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.bin"))
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("files", WITHOUT_WEIGHTS.values(), ids=WITHOUT_WEIGHTS)
def test_a_base_model_without_weights_is_refused(plugin, model, tmp_path, files):
    base = without_weights(model, tmp_path / "base", files)
    with pytest.raises(ConfigError, match=r"base_model: .*base: the folder holds no weights \(\*.safetensors, \*.bin, \*.gguf\)"):
        unfit(base, tmp_path, block())


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model-00001-of-00002.safetensors"])
def test_a_pointer_of_git_lfs_is_no_weights(plugin, model, tmp_path, name):
    base = without_weights(model, tmp_path / "base", {name: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"})
    with pytest.raises(ConfigError, match="holds pointers of Git LFS and no weights; run `git lfs pull`"):
        unfit(base, tmp_path, block())


@pytest.mark.parametrize(
    "name", ["model.safetensors", "pytorch_model.bin", "model-00001-of-00002.safetensors", "adapter_model.safetensors", "m.Q4.gguf"]
)
def test_weights_of_any_usual_name_are_taken(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x08\0\0\0")
    student.refuse_no_weights(str(tmp_path))


@pytest.mark.parametrize("base", ["meta-llama/Llama-2-7b-chat-hf", "nowhere/at/all", "./nowhere", "a\0b", "x" * 5_000, ""])
def test_a_base_model_that_is_no_folder_here_is_left_alone(tmp_path, monkeypatch, base):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    if base:
        student.refuse_no_weights(base)


@pytest.mark.parametrize("command", ["plan", "preview", "generate"])
def test_weights_are_looked_for_by_our_own_commands_before_the_first_call(model, server, tmp_path, command):
    folder = project(tmp_path, without_weights(model, tmp_path / "base", {}), block(server))
    count = server.count
    done = subprocess.run(
        [sys.executable, "-m", "axolotl_synthetic", command, "config.yml"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2 and "base_model: model: the folder holds no weights" in done.stderr
    assert "Traceback" not in done.stderr
    assert server.count == count


@pytest.mark.parametrize("command", [pytest.param("preview", marks=pytest.mark.slow), "generate"])
def test_a_task_that_lm_eval_does_not_know_is_told_before_the_first_call(model, server, tmp_path, command):
    folder = project(tmp_path, model, block(server, grade={"tasks": ["gsm8k", "gsm9k"]}))
    count = server.count
    done = subprocess.run(
        [sys.executable, "-m", "axolotl_synthetic", command, "config.yml"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "synthetic.grade.tasks: lm-eval knows no task 'gsm9k'; `lm_eval ls tasks` lists the names" in done.stderr
    assert "Traceback" not in done.stderr
    assert server.count == count


def test_a_sequence_len_that_the_seeds_do_not_fit_into_is_refused(plugin, model, tmp_path, capsys):
    # A token is a byte. The question has 61 (`Ada has 2 jars …`, 58 letters and 3 digits), its answer 49, and the turns 47 more.
    with pytest.raises(ConfigError, match=r"sequence_len: 64: 6 of 6 seeds' pairs are longer .* drops such samples; raise sequence_len"):
        unfit(model, tmp_path, block(), sequence_len=64)
    with pytest.raises(ConfigError, match="cuts such samples off"):
        unfit(model, tmp_path, block(), sequence_len=64, excess_length_strategy="truncate")
    unfit(model, tmp_path, block(), sequence_len=512)
    assert capsys.readouterr().err == ""


def test_a_few_pairs_that_are_too_long_are_told_and_the_run_goes_on(capsys):
    student.refuse_too_long([10, 20, 30], 25, "drop")
    assert "1 of 3 seeds' pairs are longer as the student reads them (the longest has 30 tokens)" in " ".join(
        capsys.readouterr().err.split()
    )
    with pytest.raises(ConfigError, match="ends at such a sample"):
        student.refuse_too_long([10, 20, 30], 25, "raise")
    with pytest.raises(ConfigError, match="2 of 3"):
        student.refuse_too_long([10, 30, 30], 25, "drop")


def test_a_longest_reply_in_grading_that_fills_the_students_context_is_refused(plugin, model, tmp_path):
    with pytest.raises(ConfigError, match=r"synthetic.grade.max_new_tokens: 512: the student's context is 512 tokens.* at most 256"):
        unfit(model, tmp_path, block(grade={"max_new_tokens": 512}))
    unfit(model, tmp_path, block(grade={"max_new_tokens": 200}))
    # The teacher's own limit is independent.
    thinking = block()
    thinking["teacher"]["generation"] = {"max_new_tokens": 8192}
    unfit(model, tmp_path, thinking)


def test_a_student_that_cannot_be_loaded_is_told_before_the_first_call(plugin, tmp_path):
    with pytest.raises(ConfigError, match=r"base_model: .*nowhere: it cannot be loaded, and no teacher was asked yet"):
        unfit(tmp_path / "nowhere", tmp_path, block())


@pytest.mark.parametrize(
    "more", [{}, {"grade": {"tasks": ["arc_easy"], "after_train": False}}], ids=["nothing to grade by", "after_train: false"]
)
def test_no_grade_is_made_where_none_was_asked_for(plugin, monkeypatch, more):
    from axolotl_synthetic import plugin as hooks

    monkeypatch.setattr(hooks, "_command", lambda *_: pytest.fail("graded"))
    plugin.post_train_unload({"synthetic": block(**more), "output_dir": "student"})


def test_only_the_first_rank_grades(plugin, monkeypatch):
    from axolotl_synthetic import plugin as hooks

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(hooks, "_command", lambda *_: pytest.fail("graded"))
    plugin.post_train_unload({"synthetic": block(grade={"tasks": ["arc_easy"]}), "output_dir": "student"})


def test_a_child_is_no_rank_and_has_all_threads():
    from axolotl_synthetic.processes import without_ranks

    ours = {"RANK": "1", "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "True", "OMP_NUM_THREADS": "1", "HOME": "/root"}
    assert without_ranks(ours) == {"HOME": "/root"}
    assert without_ranks({"OMP_NUM_THREADS": "1"}) == {"OMP_NUM_THREADS": "1"}  # not a rank: the user's own setting


def test_a_request_to_end_reaches_the_child(monkeypatch):
    from axolotl_synthetic.plugin import _signals_to

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    before = signal.getsignal(signal.SIGTERM)
    with _signals_to(child):
        assert child.wait(30) == -signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.slow
def test_axolotl_preprocesses_kept_thoughts_with_the_template_that_the_yaml_names(model, tmp_path):
    with FakeServer(lambda body: message(MathReplies()(body), reasoning_content="I multiply.")) as server:
        synthetic = block(server)
        synthetic["teacher"]["thinking"] = "keep"
        folder = project(tmp_path, model, synthetic, chat_template="qwen3")
        done = axolotl(folder, "preprocess", "config.yml")
        assert done.returncode == 0, done.stderr
        count = server.count
        # A template without thoughts is refused, and no further call is made.
        config = yaml.safe_load((folder / "config.yml").read_text(encoding="utf-8"))
        config |= {"chat_template": "chatml", "synthetic": {**synthetic, "output_dir": "another"}}
        (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        refused = axolotl(folder, "preprocess", "config.yml")
        assert refused.returncode == 2, refused.stderr
        assert "does not write `reasoning_content`" in refused.stderr
        assert server.count == count
    [text] = prepared_texts(folder)
    assert text.count("<think>\nI multiply.\n</think>") == 6
