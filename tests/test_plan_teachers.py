"""`axolotl synthetic plan --pilot N --teachers …` as a user runs it: the calls, the output for each teacher, their reuse, and errors.

There are four seeds of 2, 3, 4 and 5 jars with 3 cards each; a pilot of 4 asks about each once per strategy. The server's models:

    good       solves everything, and writes a different new question for each seed
    half       is wrong if the number is even: of the answers to 2, 3, 4 and 5 jars, and so of the reworded questions, two are right
    repeats    solves everything, and writes the same new question for each seed, with the same answer
    useless    is always wrong, and rejects its own questions
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from axolotl_synthetic.pilots import read_pairs
from axolotl_synthetic.plan.show_pilots import to_list
from axolotl_synthetic.plan.side_by_side import Piloted as Pilot

from fake_replies import PROBLEM, purpose_of
from fake_server import FakeServer
from projects import KEY, Done, Project

PRICE = {"input": 1.0, "output": 2.0}
NOBODY = "http://127.0.0.1:9/v1"
PILOT = ("--pilot", "4")
PAGE = Path(__file__).parents[1] / "plugin" / "docs" / "planning.md"


def reply(body: dict[str, Any]) -> str:
    model, purpose = body["model"], purpose_of(body)
    if purpose == "self_check":
        if model == "useless":
            return "It leaves something open.\nNo"
        return "Everything that is needed is given.\nYes"
    if purpose == "new_question":
        # The pattern is the last of the problems, after the instructions.
        boxes = PROBLEM.findall(" ".join(str(message["content"]) for message in body["messages"]))[-1][0]
        return f"Ben has {7 if model == 'repeats' else boxes} boxes with 9 coins each. How many coins are there?"
    holders, holder, things, thing = PROBLEM.findall(str(body["messages"][-1]["content"]))[-1]
    if purpose == "rephrase":
        return f"How many {thing} does Ada own, keeping {holders} {holder} with {things} {thing} each?"
    wrong = model == "useless" or (model == "half" and int(holders) % 2 == 0)
    said = int(holders) * int(things) + wrong
    return f"Each of the {holders} {holder} holds {things} {thing}, so there are {said} {thing} in all.\n#### {said}"


@dataclass
class Piloted:
    """A command's output, and the server's calls until then."""

    project: Project
    server: FakeServer
    done: Done
    asked: int

    @property
    def data(self) -> dict[str, Any]:
        assert self.done.code == 0, self.done.err
        data: dict[str, Any] = json.loads(self.done.out)
        return data

    @property
    def pilots(self) -> dict[str, dict[str, Any]]:
        return {one["teacher"]: one for one in self.data["pilots"]}


def written(project: Project, name: str, document: Any) -> str:
    """Write a YAML beside the config; return its name."""
    (project.folder / name).write_text(yaml.safe_dump(document), encoding="utf-8")
    return name


def teacher(server: FakeServer | str, model: str, **more: Any) -> dict[str, Any]:
    base_url = server if isinstance(server, str) else server.base_url
    return {"base_url": base_url, "model": model, "price": PRICE, "retries": 0, "concurrency": 16, **more}


def start(project: Project, server: FakeServer, name: str) -> tuple[str, ...]:
    """Write a case's files; return its options."""
    first = teacher(server, "good")
    half, repeats = teacher(server, "half"), teacher(server, "repeats")
    if name == "three":
        project.configure(server, teacher=first)
        # One is a whole config, the other only a teacher; a comma in a name does not end it.
        written(project, "half, of them.yml", {"base_model": "x", "synthetic": {"task": "chat", "teacher": half}})
        written(project, "repeats.yml", {"teacher": repeats})
        return ("--teachers", "half, of them.yml", "--teachers", "repeats.yml")
    if name == "augmenters":
        project.configure(server, teacher=first, strategy="new_question")
        return ("--teachers", written(project, "b.yml", {"teacher": first, "augmenter": repeats}))
    if name == "list":
        project.configure(server)
        path = project.folder / "config.yml"
        block = yaml.safe_load(path.read_text())["synthetic"]
        path.write_text(yaml.safe_dump({"synthetic": {**block, "teacher": [first, half], "augmenter": repeats}}))
        return ()
    if name == "away":
        project.configure(server, teacher=first)
        written(project, "away.yml", {"teacher": teacher(NOBODY, "far [red]away")})
        written(project, "keyless.yml", {"teacher": {**half, "api_key_env": "NO_SUCH_KEY"}})
        return ("--teachers", "away.yml,keyless.yml")
    if name == "own away":
        project.configure(NOBODY, teacher={"model": "gone", "retries": 0})
        return ("--teachers", written(project, "half.yml", {"teacher": half}))
    if name == "own useless":
        project.configure(server, teacher=teacher(server, "useless"))
        return ("--teachers", written(project, "half.yml", {"teacher": half}))
    if name == "all away":
        project.configure(NOBODY, teacher={"model": "gone", "retries": 0})
        return ("--teachers", written(project, "away.yml", {"teacher": teacher(NOBODY, "far")}))
    assert name == "few calls"
    project.configure(server, teacher=first, budget={"queries": 30})
    written(project, "half.yml", {"teacher": half})
    return ("--teachers", f"half.yml,{written(project, 'repeats.yml', {'teacher': repeats})}")


CASES = ("three", "augmenters", "list", "away", "own away", "own useless", "all away", "few calls")


@pytest.fixture(scope="module")
def piloted(tmp_path_factory) -> Iterator[Callable[[str], Piloted]]:
    """Return the case's `plan --pilot 4 --json`; all of them start when the first is requested."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:

        def run(name: str) -> Piloted:
            server = stack.enter_context(FakeServer(reply, api_key=KEY, latency=0.02))
            project = Project(tmp_path_factory.mktemp("pilots") / "project", seeds=4)
            done = project.run("plan", *PILOT, "--json", *start(project, server, name))
            return Piloted(project, server, done, server.count)

        futures: dict[str, Future[Piloted]] = {name: pool.submit(run, name) for name in CASES}
        yield lambda name: futures[name].result()


def test_each_teacher_makes_the_same_candidates_and_pays_for_its_own_calls(piloted):
    one = piloted("three")
    assert [(each["teacher"], each["from"]) for each in one.data["pilots"]] == [
        ("good", "config.yml"),
        ("half", "half, of them.yml"),
        ("repeats", "repeats.yml"),
    ]
    # 4 of each strategy at 1, 2 and 3 calls are 24 per teacher: none gets another's replies. Repeats checks its four equal questions only
    # once.
    assert dict(one.project.ledger("SELECT model, count(*) FROM calls GROUP BY model")) == {"good": 24, "half": 24, "repeats": 21}
    assert one.asked == 69
    assert one.project.paid_twice == 0
    prompts = "SELECT count(DISTINCT prompt) FROM calls WHERE purpose IN ('rephrase', 'new_question')"
    assert one.project.ledger(prompts) == [(8,)]  # the augmenter's prompts are the same for all three


def test_the_accepted_share_has_the_wilson_interval(piloted):
    pilots = piloted("three").pilots
    # All 12; two of four answers, of four rewordings and all new questions; the same, and one of four equal new questions.
    accepted = {name: [of["acceptance"] for of in one["strategies"].values()] for name, one in pilots.items()}
    assert accepted == {"good": [1, 1, 1], "half": [0.5, 0.5, 1], "repeats": [1, 1, 0.25]}
    assert {name: one["acceptance"] for name, one in pilots.items()} == {"good": 1, "half": 8 / 12, "repeats": 9 / 12}
    # 8 of 12 at 95 %, z² = 3.8415: middle (2/3 + 0.16006) / 1.32012 = 0.6263, half 1.96 * √(0.2222 / 12 + 0.006669) / 1.32012 = 0.2358.
    assert pilots["half"]["intervals"]["acceptance"] == pytest.approx([0.3906, 0.8619], abs=2e-3)
    # 12 of 12: 12 / (12 + z²).
    assert pilots["good"]["intervals"]["acceptance"] == pytest.approx([0.7575, 1], abs=2e-3)


def test_dollars_and_seconds_are_those_of_the_ledger_for_each_accepted_sample(piloted):
    one = piloted("three")
    spent = {model: rest for model, *rest in one.project.ledger("SELECT model, sum(usd), sum(seconds) FROM calls GROUP BY model")}
    # A reply that four candidates share counts for each of them.
    checked = one.project.ledger("SELECT usd, seconds FROM calls WHERE model = 'repeats' AND purpose = 'self_check'")
    shared = {"repeats": [3 * much for much in checked[0]]}
    for name, accepted in {"good": 12, "half": 8, "repeats": 9}.items():
        found = one.pilots[name]
        usd, seconds = (much + more for much, more in zip(spent[name], shared.get(name, (0, 0)), strict=True))
        assert found["usd_per_accepted"] == pytest.approx(usd / accepted)
        assert found["seconds_per_accepted"] == pytest.approx(seconds / accepted)
        for key in ("usd_per_accepted", "seconds_per_accepted"):
            low, high = found["intervals"][key]
            assert low < found[key] < high
    # The plan has only answers: a call each, of which half's are right in two of four.
    [[usd]] = one.project.ledger(
        "SELECT sum(usd) FROM calls JOIN prompts ON prompts.id = calls.prompt"
        " WHERE model = 'half' AND purpose = 'answer' AND messages LIKE '%Ada has %' AND messages NOT LIKE '%own, keeping%'"
        " AND messages NOT LIKE '%Ben has%'"
    )
    assert one.data["strategy"] == {"answer_augmentation": 1.0}
    assert one.pilots["half"]["planned"]["usd_per_accepted"] == pytest.approx(usd / 2)


def test_repeated_questions_are_neither_distinct_nor_different(piloted):
    pilots = piloted("three").pilots
    for name in ("good", "half"):
        assert (pilots[name]["distinct"], pilots[name]["usable"]) == (1, 1)
        # 13 words are 11 runs of three, of which the three with the number differ: 8 / (11 + 11 - 8), for each pair.
        assert pilots[name]["similarity"] == pytest.approx(8 / 14)
        assert pilots[name]["intervals"]["similarity"] == pytest.approx([8 / 14, 8 / 14])
    # One of four is new; the other three are rejected as duplicates.
    assert (pilots["repeats"]["distinct"], pilots["repeats"]["usable"], pilots["repeats"]["similarity"]) == (0.25, 0.25, 1)
    assert pilots["repeats"]["new_questions"] == {"asked": 4, "written": 4}
    # 1 of 4: middle (0.25 + 0.48019) / 1.96038 = 0.3725, half 1.96 * √(0.1875 / 4 + 0.060024) / 1.96038 = 0.3269.
    assert pilots["repeats"]["intervals"]["distinct"] == pytest.approx([0.0456, 0.6994], abs=2e-3)


def test_agreement_is_of_the_answers_to_own_and_reworded_questions_with_the_seeds(piloted):
    pilots = piloted("three").pilots
    assert {name: (one["agreement"], one["compared"]) for name, one in pilots.items()} == {
        "good": (1, 8),
        "half": (0.5, 8),
        "repeats": (1, 8),
    }


def test_the_plan_goes_by_what_was_measured_and_names_no_size(piloted):
    one = piloted("three")
    reasons = one.data["reasons"]
    # A right answer costs half of what one of two does; good's cost the same as repeats': the first in the list is named.
    [cheapest] = [text for text in reasons if "cheapest accepted sample" in text]
    assert "of what is planned (answer_augmentation 100%) is that of good (config.yml), USD" in cheapest
    assert "next is repeats (repeats.yml)" in cheapest
    assert "the intervals overlap" in cheapest
    [writer] = [text for text in reasons if "AgoraBench" in text]
    # Half writes as well as good. The interval of 4 of 4 begins at 4 / 7.84 = 51 %.
    assert "good (config.yml) and half (half, of them.yml) write new questions equally well: 100 % (51 to 100) were accepted" in writer
    assert "its own augmenter" not in " ".join(reasons)


def test_the_rest_of_the_json_is_that_of_the_configs_own_teacher(piloted):
    data = piloted("three").data
    assert data["pilot"] == {"candidates": 4, "strategy": {"answer_augmentation": 1.0}, "budget_ratio": 5}
    assert {name: one["acceptance"] for name, one in data["estimates"].items()} == dict.fromkeys(data["estimates"], 1)
    assert data["prices"]["teacher"]["from"] == "config"


@pytest.mark.slow
def test_the_tables_fit_80_columns_and_come_from_the_ledger_the_second_time(piloted, monkeypatch):
    one = piloted("three")
    for name, value in {"COLUMNS": "80", "FORCE_COLOR": "1", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    before = one.server.count
    done = one.project.run("plan", *PILOT, "--teachers", "half, of them.yml", "--teachers", "repeats.yml")
    assert done.code == 0, done.err
    assert one.server.count == before
    lines = re.sub(r"\x1b\[[\d;]*m", "", done.out).splitlines()
    assert max(map(len, lines)) <= 80
    assert "  2  half (half, of them.yml)" in lines
    table = lines[next(at for at, line in enumerate(lines) if "what was measured of each" in line) :]
    [row] = [line.split() for line in table[:12] if line.split()[:1] == ["3"]]
    assert row[1:3] == ["75", "%"] and row[5:7] == ["25", "%"] and row[7:] == ["1", "100", "%"]


def test_a_run_with_a_teacher_of_the_pilots_pays_for_nothing_twice(piloted):
    one = piloted("three")
    one.project.configure(one.server, teacher=teacher(one.server, "repeats"), budget={"samples": 4})
    before = one.server.count
    assert one.project.run().code == 0
    assert one.project.manifest["queries"]["reused"] == 4
    assert one.server.count == before
    assert one.project.manifest["counts"] == {"planned": 4, "accepted": 4, "rejected": 0, "failed": 0}


def test_pairs_with_the_same_teacher_share_its_answers(piloted):
    one = piloted("augmenters")
    own, other = one.data["pilots"]
    assert [(each["teacher"], each["augmenter"]) for each in (own, other)] == [("good", "good"), ("good", "repeats")]
    calls = dict(one.project.ledger("SELECT model || ' ' || purpose, count(*) FROM calls GROUP BY 1"))
    # The second pair's teacher is only asked about other questions: the answers to the seeds are already there, and the two augmenters'
    # rewordings are the same.
    assert (calls["repeats rephrase"], calls["repeats new_question"], calls["repeats self_check"]) == (4, 4, 1)
    assert calls["good answer"] == 4 + 4 + 4 + 4
    assert [each["usable"] for each in (own, other)] == [1, 0.25]
    assert [each["strategies"]["answer_augmentation"]["candidates"] for each in (own, other)] == [4, 4]


def test_a_list_in_the_block_is_measured_with_the_blocks_augmenter(piloted):
    one = piloted("list")
    first, second = one.data["pilots"]
    assert (first["from"], second["from"]) == ("config.yml, teacher 1", "config.yml, teacher 2")
    assert (first["augmenter"], second["augmenter"]) == ("repeats", "repeats")
    assert (first["agreement"], second["agreement"]) == (1, 0.5)
    # With one augmenter there is no choice.
    assert "The better writer" not in " ".join(one.data["reasons"])


@pytest.mark.parametrize("command", ["generate", "preview", "status", "report", "pipeline", "grade"])
def test_other_commands_refuse_a_list_with_one_sentence(piloted, command):
    one = piloted("list")
    done = one.project.run(command)
    assert done.code == 2
    assert "synthetic.teacher: is a list, which is for `axolotl synthetic plan CONFIG --pilot N` alone" in done.err
    assert "choose one of them" in done.err
    assert "Traceback" not in done.err


def test_a_plan_of_a_list_needs_a_pilot(piloted):
    done = piloted("list").project.run("plan")
    assert done.code == 2
    assert "there are 2 teachers, and only a pilot tells them apart; add `--pilot 20`" in done.err


def test_a_teacher_out_of_reach_or_without_its_key_says_why_and_the_others_are_shown(piloted):
    one = piloted("away")
    good, away, keyless = one.data["pilots"]
    assert good["acceptance"] == 1
    assert (away["teacher"], away["augmenter"]) == ("far [red]away", "far [red]away")
    assert away.keys() == good.keys()
    assert away["acceptance"] is away["intervals"] is None
    assert "127.0.0.1:9" in away["error"] or "refused" in away["error"]
    assert "NO_SUCH_KEY" in keyless["error"]
    again = one.project.run("plan", *PILOT, "--teachers", "away.yml,keyless.yml")
    assert again.code == 0, again.err
    assert "2  far [red]away (away.yml): was not measured: " in again.out


def test_the_configs_own_teacher_out_of_reach_leaves_its_estimates_assumed(piloted):
    one = piloted("own away")
    gone, half = one.data["pilots"]
    assert gone["error"] and half["agreement"] == 0.5
    assert one.data["pilot"] is None
    assert {each["measured"] for each in one.data["estimates"].values()} == {0}


@pytest.mark.slow
def test_the_configs_own_teacher_of_whose_samples_none_is_accepted_does_not_hide_the_others(piloted):
    one = piloted("own useless")
    useless, half = one.data["pilots"]
    assert (useless["acceptance"], useless["usd_per_accepted"], useless["usable"], useless["agreement"]) == (0, None, 0, 0)
    assert half["acceptance"] == 8 / 12
    assert not any(each["meets_budget"] for each in one.data["estimates"].values())
    assert "is that of half (half.yml)" in " ".join(one.data["reasons"])
    again = one.project.run("plan", *PILOT, "--teachers", "half.yml")
    assert again.code == 0, again.err
    assert "after the pilot none can make what is asked for" in again.out


def test_if_none_can_be_measured_it_ends_with_3_and_each_reason(piloted):
    one = piloted("all away")
    assert one.done.code == 3
    assert one.done.out == ""
    assert "none of the 2 teachers could be measured" in one.done.err
    assert "gone (config.yml): " in one.done.err and "far (away.yml): " in one.done.err


def test_one_budget_holds_for_all_of_them(piloted):
    one = piloted("few calls")
    good, half, repeats = one.data["pilots"]
    assert one.asked <= 30
    assert one.project.ledger("SELECT queries FROM spent") == [(one.asked,)]
    assert good["candidates"] == 12
    assert half["candidates"] < 12
    assert "the budget was used up" in repeats["error"]
    # The others' calls are no longer available for the config's own run.
    assert one.data["estimates"]["answer_augmentation"]["queries"] <= 30 - (one.asked - 24) - (24 - 4)


# The page


def test_the_pages_yaml_and_keys_are_those_that_there_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    file, config = (yaml.safe_load(found) for found in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    Path("writer.yml").write_text(yaml.safe_dump(file), encoding="utf-8")
    found = read_pairs(Path("config.yml"), config["synthetic"], [Path("writer.yml")])
    assert [(one.teacher, one.augmenter, one.source) for one in found] == [
        ("large-70B", "large-70B", "config.yml, teacher 1"),
        ("small-8B", "small-8B", "config.yml, teacher 2"),
        ("large-70B", "writer-32B", "writer.yml"),
    ]
    told = re.findall(
        r"`(\w+)`", " ".join(line.split("|")[1] for line in text.split("## For programs")[1].splitlines() if line.startswith("| `"))
    )
    [shown] = to_list([Pilot("a", "a", "a.yml", "a", error="away")])
    assert sorted(told) == sorted(shown)
