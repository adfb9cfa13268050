"""The page on teachers is true: the real command runs each of its YAMLs against a local server of that provider's kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from fake_providers import KEY, PROVIDERS, THINKING, Profile
from fake_server import FakeServer
from fake_vllm import install, started
from projects import Done, Project

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "plugin" / "docs" / "teachers.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
SAMPLES = 6
# Number of concurrent calls: the server's second call must not be the last.
CONCURRENCY = 2


def teachers_of(title: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", SECTIONS[title], re.DOTALL)
    return [yaml.safe_load(text)["synthetic"]["teacher"] for text in blocks]


@dataclass
class Made:
    profile: Profile
    teacher: dict[str, Any]
    project: Project
    server: FakeServer
    done: Done


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Made]]]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        pool = stack.enter_context(ThreadPoolExecutor(2))
        for title in PROVIDERS:
            [teacher] = teachers_of(title)
            for name in {*_names(teacher.get("api_key_env")), *teacher.get("headers_env", {}).values()}:
                patch.setenv(name, KEY)
        yield {title: pool.submit(_run, title, tmp_path_factory.mktemp("page"), stack) for title in PROVIDERS}


def _names(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


def _run(title: str, folder: Path, stack: ExitStack) -> Made:
    [teacher] = teachers_of(title)
    profile = PROVIDERS[title]()
    server = stack.enter_context(FakeServer(profile.reply, admit=profile.admit))
    local = server.base_url.removesuffix("/v1")
    here = {"base_url": local + urlsplit(teacher.get("base_url", "")).path, "concurrency": CONCURRENCY}
    project = Project(folder / "project", seeds=20)
    project.configure(server, teacher={**teacher, **here}, budget={"samples": SAMPLES})
    return Made(profile, teacher, project, server, project.run())


@pytest.mark.parametrize("title", PROVIDERS)
def test_the_yaml_of_each_provider_makes_its_samples(runs, title):
    made = runs[title].result()
    assert made.done.code == 0, made.done.err
    counts = made.project.manifest["counts"]
    assert (counts["accepted"], counts["rejected"], counts["failed"]) == (SAMPLES, 0, made.profile.failed)
    assert made.project.manifest["queries"]["retried"] == made.profile.repeated


@pytest.mark.parametrize("title", PROVIDERS)
def test_each_call_is_billed_as_the_provider_counts(runs, title):
    made = runs[title].result()
    billed = made.project.ledger("SELECT DISTINCT prompt_tokens, completion_tokens FROM calls WHERE outcome = 'ok'")
    assert billed == [made.profile.billed]


@pytest.mark.parametrize("title", PROVIDERS)
def test_thoughts_are_kept_apart_and_trained_on_nowhere(runs, title):
    made = runs[title].result()
    thoughts = {thinking for [thinking] in made.project.ledger("SELECT thinking FROM calls WHERE outcome = 'ok'")}
    assert {one or "" for one in thoughts} == {THINKING if made.profile.thinks else ""}
    assert THINKING.encode() not in made.project.training_bytes
    assert THINKING not in "".join(row["answer"] or "" for row in made.project.samples)


@pytest.mark.parametrize("title", PROVIDERS)
def test_no_key_is_written_down(runs, title):
    made = runs[title].result()
    written = b"".join(path.read_bytes() for path in made.project.folder.rglob("*") if path.is_file())
    assert KEY.encode() not in written
    assert KEY not in made.done.out + made.done.err


@pytest.mark.parametrize("title", PROVIDERS)
def test_what_the_yaml_says_is_what_the_server_gets(runs, title):
    made = runs[title].result()
    generation = made.teacher.get("generation", {})
    for call in made.server.calls[1:]:
        body = call.body
        assert body["model"] == made.teacher["model"].removeprefix("anthropic/").removeprefix("gemini/")
        limit = [body[name] for name in ("max_tokens", "max_completion_tokens") if name in body]
        assert limit == [generation["max_new_tokens"]]
        assert body.get("temperature") == generation.get("temperature", 0.7)
        for name, value in {**generation.get("extra_body", {})}.items():
            assert body[name] == value


def test_anthropic_is_told_to_cache_what_calls_share(runs):
    for call in runs["Anthropic"].result().server.calls:
        marked = ["cache_control" in part for turn in call.body["messages"] for part in turn["content"]]
        assert marked == [*[False] * (len(marked) - 2), True, False]


def test_every_section_with_a_yaml_is_of_a_provider_that_was_tried():
    assert {title for title in SECTIONS if "```yaml" in SECTIONS[title]} == {
        *PROVIDERS,
        *("All keys of a teacher", "Several servers", "vLLM started by the run"),
    }


def test_the_yaml_of_several_servers_spreads_its_calls(tmp_path, monkeypatch):
    [teacher] = teachers_of("Several servers")
    monkeypatch.setenv(teacher["api_key_env"], KEY)
    with ExitStack() as stack:
        servers = [stack.enter_context(FakeServer(api_key=KEY, models=[teacher["model"]], latency=0.05)) for _ in teacher["base_url"]]
        project = Project(tmp_path / "project", seeds=70)
        urls = [server.base_url for server in servers]
        project.configure(servers[0], teacher={**teacher, "base_url": urls}, budget={"samples": 60})
        done = project.run()
    assert done.code == 0, done.err
    # At most 1.25 times 20 each, if all are open at once.
    assert all(10 <= server.count <= 25 for server in servers)


def test_the_yaml_of_vllm_starts_its_servers_on_the_gpus_that_it_names(tmp_path, monkeypatch):
    [teacher] = teachers_of("vLLM started by the run")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7")
    (tmp_path / "vllm-env").mkdir()
    records = install(tmp_path / "vllm-env" / "bin")
    project = Project(tmp_path / "project", seeds=20)
    project.configure("", teacher=teacher, budget={"samples": SAMPLES})
    config = yaml.safe_load((project.folder / "config.yml").read_text())
    config["synthetic"]["teacher"] = teacher
    (project.folder / "config.yml").write_text(yaml.safe_dump(config))
    done = project.run()
    assert done.code == 0, done.err
    assert [(one["gpus"], one["parallel"]) for one in started(records)] == [("0,1", 2), ("2,3", 2), ("4,5", 2), ("6,7", 2)]
    # The host and the port follow.
    assert all(one["arguments"][-8:-4] == [*map(str, teacher["args"])] for one in started(records))
