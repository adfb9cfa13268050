"""Files of a run, damaged or unreadable afterwards: one message, or the run made again from the ledger; never a traceback."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from axolotl_synthetic import dataset, run
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import StorageError, SyntheticError
from axolotl_synthetic.ledger import Ledger
from axolotl_synthetic.lock import held, is_held
from axolotl_synthetic.report import calls

from fake_server import FakeServer
from projects import Project


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, FakeServer]]:
    """Return a finished run."""
    project = Project(tmp_path_factory.mktemp("made") / "project")
    with FakeServer() as server:
        project.configure(server, budget={"samples": 12})
        done = project.run()
        assert done.code == 0, done.err
        yield project, server


@pytest.fixture
def copy(made, tmp_path, monkeypatch) -> tuple[Project, FakeServer]:
    project, server = made
    shutil.copytree(project.folder, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    other = Project.__new__(Project)
    other.__dict__ |= {**project.__dict__, "folder": tmp_path / "project", "said": []}
    return other, server


def train_file(project: Project) -> Path:
    return project.out / project.manifest["files"]["train"]["path"]


@pytest.mark.slow
def test_an_emptied_training_file_is_made_anew_and_nothing_is_asked_for_it(copy):
    project, server = copy
    count, whole = server.count, project.training_bytes
    train_file(project).write_bytes(b"")
    done = project.run()
    assert done.code == 0, done.err
    assert "nothing to do" not in done.out
    assert project.training_bytes == whole
    assert server.count == count
    assert "nothing to do: this run was finished before" in project.run().out


def test_a_training_file_that_somebody_changed_is_kept_beside_the_new_one(copy):
    project, _ = copy
    whole = project.training_bytes
    path = train_file(project)
    path.write_bytes(whole[:-20])
    done = project.run()
    assert done.code == 0, done.err
    assert project.training_bytes == whole
    assert Path(f"{path}.changed").read_bytes() == whole[:-20]
    assert f"was changed after it was written: it is kept as out/{path.name}.changed" in done.err


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: {},
        pytest.param(lambda manifest: [], marks=pytest.mark.slow),
        pytest.param(lambda manifest: None, marks=pytest.mark.slow),
        pytest.param(lambda manifest: {**manifest, "files": {}}, marks=pytest.mark.slow),
        pytest.param(lambda manifest: {**manifest, "counts": {"accepted": "many"}}, marks=pytest.mark.slow),
        lambda manifest: {**manifest, "files": {"train": {**manifest["files"]["train"], "path": "../../etc/passwd"}}},
        lambda manifest: {name: value for name, value in manifest.items() if name != "usd"},
    ],
    ids=["empty", "list", "null", "no files", "text for a number", "another folder's file", "no usd"],
)
def test_a_manifest_that_is_none_of_ours_is_one_message(copy, change):
    project, _ = copy
    path = project.out / "manifest.json"
    path.write_text(json.dumps(change(project.manifest)))
    settings = settings_of(project)
    for command in (run.status, run.training_file, run.find):
        with pytest.raises(StorageError, match=r"manifest\.json: is no manifest of ours, or was changed .*; delete it and run"):
            command(settings)
    path.unlink()
    assert project.run().code == 0


def test_every_key_of_a_manifest_that_is_looked_for_is_in_one_that_we_wrote(made):
    assert dataset._missing(made[0].manifest) == ""


def settings_of(project: Project) -> Any:
    import yaml

    return load_settings(yaml.safe_load((project.folder / "config.yml").read_text())["synthetic"])


def test_a_ledger_with_any_byte_changed_is_read_or_is_one_message(copy):
    project, _ = copy
    path = project.out / "ledger.sqlite"
    whole, settings, draw = path.read_bytes(), settings_of(project), random.Random(0)
    told = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(draw.choice((1, 8, 64))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        for look in (run.status, run.training_file, lambda _: read_through(path)):
            try:
                look(settings)
            except SyntheticError as error:
                told += 1
                assert str(path.name) in str(error) or "output_dir" in str(error)
    assert told > 20


def read_through(path: Path) -> None:
    with Ledger(path, read_only=True) as ledger:
        calls.gather(ledger.history(), ledger.runs())
        ledger.replies(range(20))
        ledger.paid(range(20))
        ledger.failures()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE calls SET purpose = 'poetry'",
        "UPDATE calls SET prompt_tokens = 'many'",
        "UPDATE calls SET started = 'never'",
        "DELETE FROM progress",
        "UPDATE meta SET value = '[1, {' WHERE key = 'seeds'",
        "UPDATE meta SET value = 'x' WHERE key = 'runs'",
    ],
)
def test_values_that_no_version_writes_are_one_message(copy, statement):
    project, _ = copy
    path = project.out / "ledger.sqlite"
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()
    with pytest.raises(StorageError, match="damaged"):
        run.status(settings_of(project))
        run.training_file(settings_of(project))
        read_through(path)


def test_whether_a_folder_is_held_is_seen_without_writing_to_it(tmp_path):
    import subprocess
    import sys

    assert is_held(tmp_path) is False
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path):
        look = f"from pathlib import Path; from axolotl_synthetic.lock import is_held; print(is_held(Path({str(tmp_path)!r})))"
        (tmp_path / ".lock").chmod(0o444)
        assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "True\n"
    assert is_held(tmp_path) is False
