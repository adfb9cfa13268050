"""`axolotl synthetic push` by the Hub's real client, to a local server: what is sent, what never is, and the effect of a second push."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from test_generate_verified import Varied

from axolotl_synthetic import publishing
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError, ServiceError
from axolotl_synthetic.hub import files, licences

from fake_hub import TOKEN, FakeHub, Repository
from fake_replies import MathReplies
from fake_server import FakeServer
from projects import KEY, Done, Project

NAME = "me/jars"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Yield a finished run with preferences; tests only read it, or copy it."""
    project = Project(tmp_path_factory.mktemp("push"), seeds=5)
    with FakeServer(Varied(MathReplies(wrong=0.4))) as server:
        project.configure(server, budget={"samples": 15}, preferences=True)
        done = project.run()
        assert done.code == 0, done.err
        yield project


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    with FakeHub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        yield running


def push(project: Project, *options: str) -> Done:
    return project.run("push", NAME, *options)


def table(hub: FakeHub, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(hub.repositories[NAME].files[f"{name}/train-00000-of-00001.parquet"])).to_pylist()
    return rows


def rows_of(project: Project, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.out / project.manifest["files"][kind]["path"]).read_text().splitlines()]


def test_a_push_makes_a_private_data_set_of_all_configurations(finished, hub):
    done = push(finished)
    assert done.code == 0, done.err
    repository = hub.repositories[NAME]
    assert repository.private and len(repository.commits) == 1
    names = [f"{name}/train-00000-of-00001.parquet" for name in ("default", "preferences", "kto", "all")]
    assert sorted(repository.files) == sorted([*names, "README.md", "provenance.json"])
    assert table(hub, "default") == rows_of(finished, "train")
    assert table(hub, "preferences") == rows_of(finished, "preferences")
    assert [(row["id"], row["status"], row["reason"]) for row in table(hub, "all")] == [
        (row["id"], row["status"], row["reason"]) for row in finished.samples
    ]
    front = yaml.safe_load(repository.files["README.md"].decode().split("---\n")[1])
    assert front["configs"][0] == {"config_name": "default", "data_files": "default/*.parquet", "default": True}
    assert [one["config_name"] for one in front["configs"]] == ["default", "preferences", "kto", "all"]
    told = json.loads(repository.files["provenance.json"])
    assert told["teacher"]["model"] == "fake-model" and told["manifest"]["counts"] == finished.manifest["counts"]
    assert f"{hub.endpoint}/datasets/{NAME} (private)" in done.out
    assert hub.unknown == []


def test_neither_the_ledger_nor_a_key_nor_a_path_of_this_machine_goes(finished, hub):
    assert push(finished).code == 0
    sent = b"".join([*hub.repositories[NAME].files.values(), json.dumps(table(hub, "all")).encode()])
    for secret in (KEY, TOKEN, str(finished.folder), "SQLite format", "base_url", "ledger.sqlite"):
        assert secret.encode() not in sent, secret
    assert not {"requests"} & table(hub, "all")[0].keys()


def test_a_dry_run_lists_what_would_go_and_asks_nobody(finished, hub):
    done = push(finished, "--dry-run")
    assert done.code == 0, done.err
    assert hub.requests == []
    number = finished.manifest["files"]["train"]["rows"]
    assert "would go" in done.out and "default/train-00000-of-00001.parquet" in done.out and f", {number} rows" in done.out
    assert not list(finished.out.glob(".push-*"))


def test_a_push_that_fails_in_the_middle_goes_on_where_it_stopped(finished, hub):
    puts = []

    def refuse(method: str, path: str) -> int | None:
        # Refuse the third large file, in whatever order they come.
        if method == "PUT":
            puts.append(path)
        return 403 if len(puts) > 2 and path in puts[2:] else None

    hub.refuse = refuse
    done = push(finished)
    assert done.code == 3
    assert "run the same command again: what was sent is not sent twice" in done.err and "Traceback" not in done.err
    assert hub.repositories[NAME].commits == [] and len(hub.objects) == 2
    hub.refuse = lambda method, path: None
    before = hub.sent("PUT", "/objects/")
    assert push(finished).code == 0
    assert hub.sent("PUT", "/objects/") - before == 2  # of four
    assert table(hub, "default") == rows_of(finished, "train")


def test_pushing_the_same_again_commits_nothing(finished, hub):
    assert push(finished).code == 0
    before = hub.sent("PUT", "/objects/")
    done = push(finished)
    assert done.code == 0, done.err
    assert len(hub.repositories[NAME].commits) == 1 and hub.sent("PUT", "/objects/") == before


def test_what_is_no_longer_made_is_taken_away_and_files_of_the_users_stay(finished, hub):
    theirs = {"notes.md": b"mine", "default/train-00001-of-00002.parquet": b"old", "default/mine.parquet": b"mine"}
    hub.repositories[NAME] = Repository(private=True, files=dict(theirs))
    done = push(finished)
    assert done.code == 0, done.err
    there = hub.repositories[NAME].files
    assert "default/train-00001-of-00002.parquet" not in there and {"notes.md", "default/mine.parquet"} < there.keys()
    assert "removed" in done.out


def test_a_public_data_set_is_only_written_to_when_asked_for(finished, hub):
    hub.repositories[NAME] = Repository(private=False)
    done = push(finished)
    assert done.code == 2 and f"{NAME}: is on the Hub and everybody can read it" in done.err and "--public" in done.err
    assert hub.repositories[NAME].files == {} and hub.sent("POST", "/") == 0
    assert push(finished, "--public").code == 0
    assert "README.md" in hub.repositories[NAME].files


def test_a_push_is_public_where_asked_for(finished, hub):
    done = push(finished, "--public")
    assert done.code == 0 and "(everybody can read it)" in done.out
    assert not hub.repositories[NAME].private


def test_large_files_go_by_xet_where_it_is_there(finished, hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "0")
    done = push(finished)
    assert done.code == 0, done.err
    assert hub.unknown == []
    assert hub.xorbs and hub.shards and not hub.objects
    lines = [line for line in hub.repositories[NAME].commits[0] if line["key"] == "lfsFile"]
    assert len(lines) == 4


@pytest.mark.parametrize("token, says", [("hf_wrong", "HTTP 401"), (None, "sign in with `hf auth login`, or export HF_TOKEN")])
def test_a_token_that_is_no_good_is_told(finished, hub, monkeypatch, token, says):
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    done = push(finished)
    assert done.code == 3 and says in done.err and "Traceback" not in done.err
    assert hub.repositories == {}


def test_a_hub_that_cannot_be_reached_is_told(finished, hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = push(finished)
    assert done.code == 3 and "the Hub cannot be used" in done.err and "Traceback" not in done.err


def test_a_name_without_a_user_is_refused(finished, hub):
    done = finished.run("push", "jars")
    assert done.code == 2 and "write USER/NAME" in done.err


Copied = Callable[..., Any]


@pytest.fixture
def copied(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copied:
    """Return a function that copies the run, works there and returns the settings.

    Seeds get a further column, by a function of a row's number.
    """

    def copy(**columns: Callable[[int], str]) -> Any:
        shutil.copytree(finished.folder, tmp_path / "copy")
        monkeypatch.chdir(tmp_path / "copy")
        seeds = [json.loads(line) for line in Path("seeds.jsonl").read_text().splitlines()]
        more = [{name: make(number) for name, make in columns.items()} for number in range(len(seeds))]
        Path("seeds.jsonl").write_text("".join(json.dumps(row | one) + "\n" for row, one in zip(seeds, more, strict=True)))
        return load_settings(yaml.safe_load(Path("config.yml").read_text())["synthetic"])

    return copy


@pytest.mark.parametrize("column", ["license", "Licence"])
def test_a_seed_whose_licence_forbids_it_is_named_and_nothing_goes(copied, column):
    settings = copied(**{column: lambda number: "proprietary" if number == 2 else "mit"})
    with pytest.raises(ConfigError, match=r"'proprietary' \(.*seeds\.jsonl:3\)\. Nothing was sent"):
        publishing.push(settings, NAME, dry_run=True)


def test_licences_that_allow_it_are_listed(copied):
    assert publishing.push(copied(license=lambda number: "cc-by-sa-4.0"), NAME, dry_run=True).licences == {"cc-by-sa-4.0": 5}


def test_the_licence_of_the_data_set_that_seeds_come_from_counts(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("axolotl_synthetic.publishing.client.card_of", {"owner/seeds": {"license": "cc-by-nd-4.0"}}.get)
    monkeypatch.setattr("axolotl_synthetic.publishing.read_rows", lambda *_, **__: iter(()))
    prepared = type("P", (), {})()
    prepared.settings = load_settings({"seeds": {"path": "owner/seeds"}})
    prepared.seeds = type("S", (), {"seeds": (), "places": {}})()
    found = publishing._licences(prepared)
    assert found.forbidden == {"cc-by-nd-4.0": ["the card of owner/seeds"]}


@pytest.mark.parametrize(
    "licence",
    [
        *("cc-by-nd-4.0", "CC BY-NC-ND 4.0", "cc_by_nd", "Attribution-NoDerivs", "Proprietary", "All rights reserved", "internal use"),
        *("not for redistribution", "do not distribute", "non-redistributable", "No Redistribution", "UNLICENSED", "evaluation use only"),
    ],
)
def test_licences_that_forbid(licence):
    assert licences.forbids(licence)


@pytest.mark.parametrize(
    "licence",
    [
        *("mit", "apache-2.0", "cc-by-4.0", "cc-by-nc-4.0", "CC BY-SA 4.0 International", "Unlicense", "other", "unknown", "odc-by"),
        *("no known restrictions", "Attribution-NonCommercial", "openrail", "may be redistributed"),
    ],
)
def test_licences_that_do_not(licence):
    assert not licences.forbids(licence)


def test_a_key_of_the_environment_in_a_sample_is_found_before_it_goes(finished, copied, monkeypatch):
    monkeypatch.setenv("A_SECRET_KEY", finished.samples[0]["answer"][-40:].split("\n")[0])
    with pytest.raises(ConfigError, match=r"holds a key or password of your environment"):
        publishing.push(copied(), NAME, dry_run=True)


def test_an_unfinished_run_or_other_settings_are_refused(copied):
    settings = copied()
    with pytest.raises(ConfigError, match="no run that was finished with these settings"):
        publishing.push(settings.model_copy(update={"include_seeds": False}), NAME, dry_run=True)
    (settings.folder / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="holds no finished run"):
        publishing.push(settings, NAME, dry_run=True)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/home/ann/secret project/seeds.jsonl", "seeds.jsonl"),
        ("./seeds.jsonl", "seeds.jsonl"),
        ("openai/gsm8k", "openai/gsm8k"),
        ("https://ann:pass@example.com/seeds.jsonl?sig=abc#x", "https://example.com/seeds.jsonl"),
        ("hf://datasets/owner/name/a.jsonl", "hf://datasets/owner/name/a.jsonl"),
    ],
)
def test_where_seeds_lie_is_told_without_what_is_nobodys_business(path, named):
    assert publishing._named(path) == named


def test_many_rows_go_into_several_files_with_one_schema(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "ROWS_PER_FILE", 3)
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 2)
    rows = [{"id": str(number), "decision": None, "late": None if number < 6 else number} for number in range(7)]
    rows[5]["decision"] = {"what": "edit", "who": ["Ann Example"], "before": {}, "after": {}}
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = files._tables(tmp_path / "samples.jsonl", tmp_path, "all")
    assert [file.name for file in made] == [f"all/train-0000{place}-of-00003.parquet" for place in range(3)]
    assert [file.rows for file in made] == [3, 3, 1]
    read = [row for file in made for row in pq.read_table(file.path).to_pylist()]
    assert [row["late"] for row in read] == [None] * 6 + [6]
    assert [row["decision"] for row in read] == [None] * 5 + ["edit", None]  # and no person's name


def test_what_the_user_wrote_into_the_card_stays(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: mit\nconfigs: []\n---\n# Mine\n`samples.jsonl` holds all.\n")
    card = files._card(tmp_path / "README.md", {"default": 3})
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "mit"
    assert "# Mine\nThe configuration `all` holds all." in card and "| `default` | 3 | chats to train on |" in card


def test_the_hub_says_no_for_another_reason_and_it_is_told(monkeypatch):
    def ask() -> None:
        raise RuntimeError("Error while uploading") from OSError("broken pipe")

    from axolotl_synthetic.hub import client

    with pytest.raises(ServiceError, match="broken pipe"):
        client._told(NAME, ask)
