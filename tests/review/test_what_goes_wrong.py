"""Unusable servers: each ends with exit code 3 and a message that says what to do, and shows no key."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner

from axolotl_synthetic.cli import synthetic

from argilla_here import Person, free_port
from finished import finish, sample

KEY = "recognisable-0123456789"
COMMANDS = ("push", "status", "pull")


@pytest.fixture
def made(tmp_path):
    def make(**review):
        settings = finish(tmp_path, [sample(0)], review=review)
        path = tmp_path / "config.yml"
        path.write_text(json.dumps({"synthetic": settings.model_dump(mode="json")}))
        return str(path)

    return make


def ends(name, path, code=3):
    result = CliRunner().invoke(synthetic, ["review", name, path])
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("axolotl-synthetic: ")
    assert "Traceback" not in result.output
    assert KEY not in result.output
    return result.stderr


class Answering:
    """A server that gives the same answer to everything."""

    def __init__(self, status, body):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("name", COMMANDS)
def test_where_nothing_answers_it_says_how_to_start_a_server(made, monkeypatch, name):
    monkeypatch.setenv("ARGILLA_API_KEY", KEY)
    url = f"http://127.0.0.1:{free_port()}"
    said = ends(name, made(api_url=url))
    assert f"{url} cannot be reached" in said
    assert "axolotl synthetic review serve" in said
    assert "synthetic.review.api_url" in said


@pytest.mark.parametrize(
    ("status", "body"), [(200, "<html>hello</html>"), (404, "not found"), (200, "[]"), (200, '{"name": "x"}'), (500, "")]
)
def test_what_is_no_argilla_is_told_apart(made, monkeypatch, status, body):
    monkeypatch.setenv("ARGILLA_API_KEY", KEY)
    with Answering(status, body) as other:
        assert f"{other.url} answers (HTTP {status}), but is no Argilla server" in ends("push", made(api_url=other.url))


@pytest.mark.parametrize("version", ["1.29.1", "3.0.0"])
def test_a_server_of_another_version_is_named_with_the_one_that_is_needed(made, monkeypatch, version):
    monkeypatch.setenv("ARGILLA_API_KEY", KEY)
    with Answering(200, json.dumps({"version": version})) as other:
        said = ends("push", made(api_url=other.url))
    assert f"is Argilla {version}; this needs version 2" in said
    assert "update the server" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_key_is_named_by_its_variable(made, argilla, monkeypatch, name):
    monkeypatch.setenv("SOME_KEY", KEY)
    said = ends(name, made(api_url=argilla.url, api_key_env="SOME_KEY"))
    assert f"{argilla.url} does not know the key in SOME_KEY" in said


@pytest.mark.parametrize("key", ["recognisable-0123456789\n", "recognisable-0123456789 €", "recognisable-0123456789\tx"])
def test_what_cannot_be_a_key_is_not_sent_and_not_shown(made, argilla, monkeypatch, key):
    monkeypatch.setenv("ARGILLA_API_KEY", key)
    assert "what ARGILLA_API_KEY holds is no key" in ends("push", made(api_url=argilla.url), code=2)


def test_without_a_key_for_a_server_that_is_not_ours_the_variable_is_named(made, monkeypatch):
    monkeypatch.delenv("ARGILLA_API_KEY", raising=False)
    with Answering(200, '{"version": "2.8.0"}') as other:
        assert "ARGILLA_API_KEY is not set; export the key" in ends("push", made(api_url=other.url), code=2)


@pytest.mark.parametrize("name", COMMANDS)
def test_who_may_not_is_told_who_may(made, argilla, review, monkeypatch, name):
    ann = argilla.person("ann")
    path = made(**review)
    if name != "push":
        monkeypatch.delenv("ARGILLA_API_KEY", raising=False)
        assert CliRunner().invoke(synthetic, ["review", "push", path]).exit_code == 0
    monkeypatch.setenv("ARGILLA_API_KEY", ann.key)
    said = ends(name, path)
    assert f"does not allow this to {ann.name}, annotator" in said
    assert "an owner, or by an admin who is in the workspace 'synthetic'" in said


def test_an_admin_of_the_workspace_may_push_and_pull_and_sees_names(made, argilla, review, monkeypatch):
    boss, ann = argilla.person("boss", role="admin"), argilla.person("ann")
    monkeypatch.setenv("ARGILLA_API_KEY", boss.key)
    path = made(**review)
    for name in COMMANDS:
        assert CliRunner().invoke(synthetic, ["review", name, path]).exit_code == 0
        ann.answer(argilla.records(review["dataset"]).values(), verdict="accept")
    status = CliRunner().invoke(synthetic, ["review", "status", path])
    assert ann.name in status.stdout


def test_an_admin_of_another_workspace_may_not(made, argilla, review, monkeypatch):
    boss = argilla.person("boss", role="admin", workspace=None)
    monkeypatch.setenv("ARGILLA_API_KEY", boss.key)
    assert "does not allow this to" in ends("push", made(**review))


@pytest.mark.parametrize("name", ["status", "pull"])
def test_before_anything_was_pushed_it_says_to_push(made, argilla, review, name):
    assert "`axolotl synthetic review push CONFIG` makes it" in ends(name, made(**review), code=2)


def test_a_dataset_of_another_making_is_left_alone(made, argilla, review):
    import argilla as rg

    sdk = rg.Argilla(api_url=argilla.url, api_key=argilla.key)
    workspace = sdk.workspaces("synthetic") or rg.Workspace(name="synthetic", client=sdk).create()
    other = rg.Settings(fields=[rg.TextField("text")], questions=[rg.LabelQuestion("verdict", labels=["yes", "no"])])
    rg.Dataset(name=review["dataset"], workspace=workspace, settings=other, client=sdk).create()
    said = ends("push", made(**review), code=2)
    assert "was not made by `review push`: it does not ask for corrected_answer" in said


def test_a_dataset_that_asks_the_same_but_offers_other_answers_is_left_alone(made, argilla, review):
    import argilla as rg

    sdk = rg.Argilla(api_url=argilla.url, api_key=argilla.key)
    workspace = sdk.workspaces("synthetic") or rg.Workspace(name="synthetic", client=sdk).create()
    texts = [rg.TextQuestion(name, required=False) for name in ("corrected_answer", "corrected_question", "reason")]
    asked = [rg.LabelQuestion("verdict", labels=["yes", "no"]), *texts, rg.RatingQuestion("quality", values=[1, 2, 3, 4, 5])]
    other = rg.Settings(fields=[rg.TextField("text")], questions=asked)
    rg.Dataset(name=review["dataset"], workspace=workspace, settings=other, client=sdk).create()
    path = made(**review)
    for name in COMMANDS:
        assert "was not made by `review push`: it offers other answers to verdict;" in ends(name, path, code=2)


def test_more_responses_than_the_dataset_was_made_for_are_refused(made, argilla, review):
    path = made(**review)
    assert CliRunner().invoke(synthetic, ["review", "push", path]).exit_code == 0
    for name in COMMANDS:
        said = ends(name, made(**review, annotators=2), code=2)
        assert f"synthetic.review.annotators: 2, and '{review['dataset']}' on {argilla.url} was made for 1" in said


def test_a_name_with_brackets_or_control_signs_is_shown_as_it_is(made, argilla, review):
    name = f"[/]\x1b[31m{review['dataset']}"
    user = argilla.call("POST", "/users", json={"first_name": "x", "username": name, "password": "a-password", "role": "owner"})
    path = made(**review)
    assert CliRunner().invoke(synthetic, ["review", "push", path]).exit_code == 0
    Person(argilla, name, user["id"], user["api_key"]).answer(argilla.records(review["dataset"]).values(), verdict="accept")
    result = CliRunner().invoke(synthetic, ["review", "status", path])
    assert result.exit_code == 0
    assert f"[/]\\x1b[31m{review['dataset']}" in result.stdout


def test_a_sample_file_that_was_damaged_is_named_with_its_line(made, argilla, review, tmp_path):
    path = made(**review)
    (tmp_path / "out" / "samples.jsonl").write_text("{\n")
    assert "samples.jsonl:1: cannot be read" in ends("push", path, code=1)


def test_a_dataset_that_was_being_made_when_the_server_died_is_made_anew(made, argilla, review):
    workspace = argilla.person("ann") and {one["name"]: one["id"] for one in argilla.call("GET", "/me/workspaces")["items"]}["synthetic"]
    draft = argilla.call("POST", "/datasets", json={"name": review["dataset"], "workspace_id": workspace})
    assert CliRunner().invoke(synthetic, ["review", "push", made(**review)]).exit_code == 0
    assert argilla.dataset(review["dataset"]) != draft["id"]
    assert len(argilla.records(review["dataset"])) == 1


def test_guidelines_that_cannot_be_read_are_named_before_anything_is_made(made, argilla, review, tmp_path):
    said = ends("push", made(**review, guidelines=str(tmp_path / "nowhere.md")), code=2)
    assert "synthetic.review.guidelines" in said
    assert review["dataset"] not in [one["name"] for one in argilla.call("GET", "/me/datasets")["items"]]


def test_without_a_review_block_or_a_finished_run_it_says_what_is_missing(tmp_path, made):
    path = made()
    config = json.loads(open(path).read())
    (tmp_path / "none.yml").write_text(json.dumps({"synthetic": {**config["synthetic"], "review": None}}))
    assert "synthetic.review: is missing; add the block" in ends("push", str(tmp_path / "none.yml"), code=2)
    (tmp_path / "other.yml").write_text(json.dumps({"synthetic": {**config["synthetic"], "output_dir": str(tmp_path / "other")}}))
    assert "holds no finished run of these settings" in ends("pull", str(tmp_path / "other.yml"), code=2)


def test_while_a_run_is_at_work_push_and_pull_wait_for_nobody(made, argilla, review, tmp_path):
    from axolotl_synthetic.lock import held

    path = made(**review)
    assert CliRunner().invoke(synthetic, ["review", "push", path]).exit_code == 0
    import subprocess
    import sys

    with held(tmp_path / "out"):  # this process's own lock, which another process sees
        done = subprocess.run([sys.executable, "-m", "axolotl_synthetic", "review", "pull", path], capture_output=True, text=True)
    assert done.returncode == 4
    assert "another run is at work there" in done.stderr
