"""`axolotl synthetic show`: samples with their verdicts and their calls, drawn or looked up, of runs in any state."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from test_cli import config, of_a_run, program

from axolotl_synthetic.cli import synthetic

from fake_server import FakeServer


def call(*arguments):
    result = CliRunner().invoke(synthetic, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def shown(*arguments):
    result = call("show", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a run of six accepted samples and at least one rejected: the server's second reply ends in a wrong answer."""
    folder = tmp_path_factory.mktemp("shown")
    replies = []

    def reply(body):
        replies.append(body)
        return "It is far too many.\n#### 100000" if len(replies) == 2 else said(body)

    with FakeServer() as server:
        said = server.reply
        server.reply = reply
        teacher = {"base_url": server.base_url, "model": "fake-model", "price": {"input": 1, "output": 2}}
        path = config(folder, teacher=teacher, strategy="answer_augmentation", budget={"samples": 6})
        done = program("generate", path, environment={"OPENAI_API_KEY": "none"})
    assert done.returncode == 0, done.stderr
    return path


def rows(path):
    return [json.loads(line) for line in (path.parent / "out" / "samples.jsonl").read_text().splitlines()]


def test_a_sample_by_its_id_comes_with_the_messages_and_the_reply_of_its_call(finished):
    sample = next(row for row in rows(finished) if row["status"] == "accepted")
    (one,) = shown(finished, sample["id"])
    assert {key: one[key] for key in sample} == sample
    (asked,) = one["calls"]
    assert (asked["id"], asked["purpose"], asked["model"], asked["outcome"]) == (sample["requests"][0], "answer", "fake-model", "ok")
    assert asked["messages"][-1] == {"role": "user", "content": sample["question"]}
    assert asked["reply"] == sample["answer"]
    assert asked["usd"] == pytest.approx((asked["prompt_tokens"] * 1 + asked["completion_tokens"] * 2) / 1_000_000)


def test_the_beginning_of_an_id_is_enough_where_no_other_has_it(finished):
    sample = rows(finished)[0]
    beginning = next(
        sample["id"][:size] for size in range(1, 99) if sum(row["id"].startswith(sample["id"][:size]) for row in rows(finished)) == 1
    )
    assert [one["id"] for one in shown(finished, beginning)] == [sample["id"]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "no sample with the id 'nothing'"),
        (["--status", "failed"], "has no sample with status failed; `axolotl synthetic status CONFIG`"),
        (["--status", "rejected", "--reason", "judge"], "has no sample with status rejected and reason judge"),
        (["--strategy", "new_question"], "has no sample with strategy new_question"),
    ],
)
def test_what_is_not_there_is_said_and_ends_with_2(finished, arguments, says):
    result = call("show", finished, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_an_empty_beginning_of_an_id_names_that_several_have_it(finished):
    result = call("show", finished, "")
    assert result.exit_code == 2
    assert f"begins the ids of {len(rows(finished))} samples" in result.stderr


def test_rejected_ones_are_found_by_the_check_that_rejected_them(finished):
    (one,) = shown(finished, "--status", "rejected", "--reason", "final_answer")
    assert one["reason"] == "final_answer"
    text = call("show", finished, "--reason", "final_answer").stdout
    assert "rejected (final_answer)" in text
    assert "final_answer: FAILED" in text
    assert "reply> It is far too many." in text


def test_as_many_as_asked_for_are_drawn_in_the_order_of_the_file_and_always_the_same(finished):
    ids = [row["id"] for row in rows(finished)]
    drawn = [one["id"] for one in shown(finished, "-n", "3")]
    assert len(drawn) == 3
    assert drawn == [id for id in ids if id in drawn]
    assert drawn == [one["id"] for one in shown(finished, "-n", "3")]
    assert [one["id"] for one in shown(finished, "-n", "100")] == ids


def test_a_reader_that_stops_early_ends_it_without_a_word(finished):
    command = [sys.executable, "-m", "axolotl_synthetic", "show", str(finished)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        child.stdout.close()  # like `head` once it has its lines
        assert child.stderr.read() == ""
    assert child.returncode == 1


def test_before_any_run_it_says_how_to_make_samples(tmp_path):
    with FakeServer() as server:
        path = of_a_run(tmp_path, server)
    result = call("show", path)
    assert result.exit_code == 2
    assert "there are no samples yet; `axolotl synthetic generate CONFIG` makes them" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_run_without_its_ledger_still_shows_its_samples(tmp_path, finished):
    import shutil

    shutil.copytree(finished.parent, tmp_path / "copy")
    path = tmp_path / "copy" / "config.yml"
    path.write_text(path.read_text().replace(str(finished.parent), str(tmp_path / "copy")))
    for file in (tmp_path / "copy" / "out").glob("ledger*"):
        file.unlink()
    assert [one["calls"] for one in shown(path, "-n", "2")] == [[], []]
