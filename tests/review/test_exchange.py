"""Push, status and pull on the real server: nothing is lost or duplicated, whatever happens in between."""

import hashlib
import json
import re
import time
import warnings

import pytest
from click.testing import CliRunner

from axolotl_synthetic import dataset, reviewing, run
from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.review import client, kept

from finished import finish, generate, gold, sample, seed, settings


def rows(made):
    return {row["id"]: row for row in dataset.read_samples(made.folder / "samples.jsonl")}


def training(made):
    """Return question and answer of the training samples by id, without the seeds."""
    manifest = json.loads((made.folder / "manifest.json").read_text())
    lines = (made.folder / manifest["files"]["train"]["path"]).read_text().splitlines()
    chats = [json.loads(line) for line in lines]
    return {chat["id"]: tuple(turn["content"] for turn in chat["messages"]) for chat in chats if chat["strategy"] != "seed"}


def everything(made):
    """Return a hash of every file of the run."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made.folder.rglob("*") if path.is_file()}


def config(made, folder):
    path = folder / "config.yml"
    path.write_text(json.dumps({"synthetic": made.model_dump(mode="json")}))
    return str(path)


def command(*arguments):
    result = CliRunner().invoke(synthetic, ["review", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


# The records that people see


def test_a_record_shows_question_answer_seed_and_verdicts_with_the_checks_verdict_suggested(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1, wrong=True)], review=review)
    assert reviewing.push(made).added == 2
    records = argilla.records(review["dataset"])
    good, bad = (records[f"answer_augmentation-{number}"] for number in range(2))
    assert good["fields"] == {
        "question": seed(0)["question"],
        "answer": sample(0)["answer"],
        "seed": f"{seed(0)['question']}\n\n---\n\n{seed(0)['answer']}",
        "checks": "- format: passed\n- final_answer: passed (6 agrees with the seed's 6)",
    }
    assert "- final_answer: **failed** (10 is not the seed's 9)" in bad["fields"]["checks"]
    verdicts = {
        name: [(one["value"], one["agent"]) for one in record["suggestions"] if one["value"] in ("accept", "reject")]
        for name, record in records.items()
    }
    assert list(verdicts.values()) == [[("accept", "the checks")], [("reject", "the check final_answer")]]
    assert {name: bad["metadata"].get(name) for name in ("strategy", "status", "rejected_by", "tokens")} == {
        **{"strategy": "answer_augmentation", "status": "rejected", "rejected_by": "final_answer", "tokens": 0},
    }


def test_the_real_sdk_reads_what_was_pushed(tmp_path, argilla, review):
    import argilla as rg

    agreed = [{"name": "self_consistency", "passed": True, "detail": "3 of 5 answers say 6", "data": {"agree": 3, "of": 5}}]
    made = finish(tmp_path, [sample(0, checks=agreed), sample(1)], review={**review, "annotators": 2})
    reviewing.push(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = rg.Argilla(api_url=argilla.url, api_key=argilla.key).datasets(review["dataset"], workspace="synthetic")
    assert [question.name for question in found.questions] == ["verdict", "corrected_answer", "corrected_question", "reason", "quality"]
    assert found.distribution.min_submitted == 2
    assert "**Edit**" in found.guidelines and "task: math" in found.guidelines
    records = {record.id: record for record in found.records}
    assert set(records) == {"answer_augmentation-0", "answer_augmentation-1"}
    assert records["answer_augmentation-0"].metadata["agreement"] == 0.6
    assert "agreement" not in records["answer_augmentation-1"].metadata


def test_guidelines_of_ones_own_take_the_place_of_ours(tmp_path, argilla, review):
    (tmp_path / "how.md").write_text("# Be kind\n")
    made = finish(tmp_path, [sample(0)], review={**review, "guidelines": str(tmp_path / "how.md")})
    reviewing.push(made)
    assert argilla.call("GET", f"/datasets/{argilla.dataset(review['dataset'])}")["guidelines"] == "# Be kind"


# Pushing again


def test_pushing_again_adds_what_is_new_and_touches_nothing_else(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1)], review=review)
    reviewing.push(made)
    argilla.person("ann").answer(list(argilla.records(review["dataset"]).values())[:1], verdict="accept")
    before = argilla.records(review["dataset"])
    longer = settings(tmp_path, review=review, budget={"samples": 2000})
    generate(longer, [sample(0), sample(1), sample(2)])
    pushed = reviewing.push(longer)
    assert (pushed.added, pushed.there) == (1, 2)
    after = argilla.records(review["dataset"])
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"answer_augmentation-2"}


def test_a_record_deleted_in_argilla_is_not_pushed_again_and_nobody_waits_for_it(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1)], review={**review, "unreviewed": "drop"})
    reviewing.push(made)
    record = argilla.records(review["dataset"])["answer_augmentation-0"]
    argilla.call("DELETE", f"/records/{record['id']}")
    pushed = reviewing.push(made)
    assert (pushed.added, pushed.there, pushed.deleted) == (0, 1, 1)
    outcome = reviewing.pull(made)
    assert (outcome.pulled.records, outcome.pulled.gone, outcome.standing.open) == (1, 1, {"answer_augmentation-1"})
    assert set(training(made)) == {"answer_augmentation-0"}


def test_a_sample_with_another_text_than_on_the_server_is_told_and_its_record_left_alone(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0)], review=review)
    reviewing.push(made)
    argilla.person("ann").answer(argilla.records(review["dataset"]).values(), verdict="reject")
    other = settings(tmp_path, review=review, seed=43)
    generate(other, [sample(0, answer=f"Another way.\n#### {gold(0)}")])
    assert reviewing.push(other).changed == 1
    outcome = reviewing.pull(other)
    assert outcome.standing.outdated == {"answer_augmentation-0"}
    assert set(training(other)) == {"answer_augmentation-0"}
    # The earlier text returns, and the decision with it.
    generate(made, [sample(0)])
    assert training(made) == {}


@pytest.mark.slow
def test_ten_thousand_records_are_pushed_in_under_three_minutes_with_progress_and_fetched_again(tmp_path, argilla, review):
    made = finish(tmp_path, (sample(number) for number in range(10_000)), rows=map(seed, range(10_000)), review=review)
    began = time.monotonic()
    result = command("push", config(made, tmp_path))
    assert time.monotonic() - began < 180
    assert result.stdout.splitlines()[0] == "pushed    10,000 records, 0 were there"
    assert re.search(r"pushing: [\d,]+/10,000 records", result.stderr)
    argilla.person("ann").answer(list(argilla.records(review["dataset"]).values())[:100], verdict="reject")
    began = time.monotonic()
    outcome = reviewing.pull(made)
    assert time.monotonic() - began < 60
    assert (outcome.pulled.records, outcome.pulled.answers) == (10_000, 100)
    assert len(training(made)) == 9_900


def test_long_texts_are_sent_in_requests_of_their_own(tmp_path, argilla, review, monkeypatch):
    # 1,000 letters per answer and some 200 besides: three fit into 4,000.
    monkeypatch.setattr(client, "LETTERS_AT_ONCE", 4_000)
    sent = []
    monkeypatch.setattr(run.terminal, "counted", lambda *_: _always(lambda added, total: sent.append(added)))
    odd = ["<script>alert(1)</script>", "a\0b", "| a |\n|--|\n", "\u202e", "😀"]
    texts = [f"{one}{'x' * 1_000}\n#### {gold(number)}" for number, one in enumerate(odd)]
    made = finish(tmp_path, [sample(number, answer=text) for number, text in enumerate(texts)], review=review)
    assert reviewing.push(made).added == 5
    assert sent == [3, 5]
    records = argilla.records(review["dataset"])
    assert [records[f"answer_augmentation-{number}"]["fields"]["answer"] for number in range(5)] == texts


# Pulling


@pytest.mark.slow
def test_two_people_200_records_30_edited_10_discarded_and_a_server_killed_and_restarted_in_the_middle(
    tmp_path, argilla, review, monkeypatch
):
    """Two people review 200 records.

    Both edit records 0 to 29 and discard 30 to 39; of the other 160 both reject one in four; record 199 is a tie. So there are 30 edits,
    40 rejected, 119 accepted, and 11 open.
    """
    monkeypatch.setattr(client, "WRITTEN_AT_ONCE", 50)
    made = finish(tmp_path, (sample(number) for number in range(200)), review={**review, "annotators": 2})
    first_training = training(made)

    def kill(added, total):
        if added == 100:
            argilla.kill()

    with monkeypatch.context() as patched:
        patched.setattr(run.terminal, "counted", lambda *_: _always(kill))
        with pytest.raises(ServiceError, match=r"(cannot be reached|stopped answering).*run|start it"):
            reviewing.push(made)
    argilla.start()
    again = reviewing.push(made)
    assert (again.added, again.there) == (100, 100)
    assert len(argilla.records(review["dataset"])) == 200

    def number(record):
        return int(record["external_id"].rpartition("-")[2])

    def answer(person, records):
        by_kind = {"edit": [], "discard": [], "reject": [], "accept": []}
        for record in records:
            at = number(record)
            tie = at == 199 and person is bea
            kind = "edit" if at < 30 else "discard" if at < 40 else "reject" if at % 4 == 0 or tie else "accept"
            by_kind[kind].append(record)
        for record in by_kind["edit"]:
            at = number(record)
            correction = f"Corrected by {person.name}: {gold(at)}.\n#### {gold(at)}"
            person.answer([record], verdict="edit", corrected_answer=correction)
        person.answer(by_kind["discard"], status="discarded")
        person.answer(by_kind["reject"], verdict="reject", quality=1)
        person.answer(by_kind["accept"], verdict="accept", quality=4)

    ann, bea = argilla.person("ann"), argilla.person("bea")
    records = sorted(argilla.records(review["dataset"]).values(), key=number)
    answer(ann, records)
    answer(bea, records[:100])
    halfway = reviewing.pull(made)
    assert len(halfway.standing.rulings) == 90  # the first hundred without the ten discarded ones
    argilla.kill()
    with pytest.raises(ServiceError, match="cannot be reached"):
        reviewing.pull(made)
    assert len(training(made)) == 200 - 15  # every fourth of 40 to 99 is rejected
    argilla.start()
    answer(bea, records[100:])

    outcome = reviewing.pull(made)
    made_of = {what: sum(ruling.what == what for ruling in outcome.standing.rulings.values()) for what in ("accept", "edit", "reject")}
    assert made_of == {"accept": 119, "edit": 30, "reject": 40}
    assert len(outcome.standing.open) == 11
    after = training(made)
    assert len(after) == 160
    for at in range(200):
        name = f"answer_augmentation-{at}"
        if at < 30:
            # Both corrected it: Bea's correction is the later one.
            assert after[name] == (seed(at)["question"], f"Corrected by {bea.name}: {gold(at)}.\n#### {gold(at)}")
        elif at >= 40 and at % 4 == 0:
            assert name not in after
        else:
            assert after[name] == first_training[name]
    decisions = [row["decision"] for row in rows(made).values()]
    assert sum(decision is not None for decision in decisions) == 189
    assert all(decision["who"] == sorted([ann.name, bea.name]) for decision in decisions if decision)
    assert len((made.folder / kept.FILE).read_text().splitlines()) == 200
    before = everything(made)
    assert reviewing.pull(made).pulled.changed == 0
    assert everything(made) == before

    stand = reviewing.status(made)
    assert stand.pulled
    assert dict(stand.found.by_person) == {person.name: {"submitted": 190, "discarded": 10} for person in (ann, bea)}
    assert stand.overruled["final_answer"].passed == 189
    assert stand.overruled["final_answer"].rejected == 40
    # 190 records with two answers each: one pair disagrees. Accept 239, reject 81, edit 60: see the counts above.
    assert 0.98 < stand.verdicts < 1


def _always(on_progress):
    from contextlib import contextmanager

    @contextmanager
    def counted():
        yield on_progress

    return counted()


def test_drafts_discarded_ones_null_values_and_records_of_others_do_no_harm(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(number) for number in range(6)], review=review)
    reviewing.push(made)
    ann = argilla.person("ann")
    records = argilla.records(review["dataset"])
    ids = [f"answer_augmentation-{number}" for number in range(6)]
    ann.answer([records[ids[0]]], status="draft", verdict="reject")
    ann.answer([records[ids[1]]], status="draft")
    ann.answer([records[ids[2]]], status="discarded")
    ann.answer([records[ids[3]]], status="discarded", verdict="reject")
    ann.answer([records[ids[4]]], verdict="edit")
    ann.answer([records[ids[5]]], verdict="reject")
    # Other records: one without an id, and one whose id is not a sample's.
    path = f"/datasets/{argilla.dataset(review['dataset'])}/records/bulk"
    fields = {"question": "?", "answer": "!"}
    argilla.call("POST", path, json={"items": [{"fields": fields}, {"fields": fields, "external_id": "not-ours"}]})
    outcome = reviewing.pull(made)
    assert {name: ruling.what for name, ruling in outcome.standing.rulings.items()} == {ids[5]: "reject"}
    assert set(training(made)) == set(ids[:5])
    assert reviewing.push(made).there == 6
    assert [one.id for one in kept.read(made.folder).values()] == ids


def test_who_changes_their_mind_or_discards_takes_the_decision_back(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1)], review=review)
    reviewing.push(made)
    ann, records = argilla.person("ann"), argilla.records(review["dataset"])
    first = training(made)
    ann.answer(records.values(), verdict="reject")
    reviewing.pull(made)
    assert training(made) == {}
    ann.answer([records["answer_augmentation-0"]], verdict="accept")
    ann.answer([records["answer_augmentation-1"]], status="discarded")
    reviewing.pull(made)
    assert training(made) == first
    assert [row["decision"] is None for row in rows(made).values()] == [False, True]


def test_what_was_decided_outlives_its_record_its_author_and_the_whole_server(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1), sample(2)], review=review)
    reviewing.push(made)
    records = argilla.records(review["dataset"])
    ann, bea = argilla.person("ann"), argilla.person("bea")
    ann.answer([records["answer_augmentation-0"]], verdict="reject")
    bea.answer([records["answer_augmentation-1"]], verdict="reject")
    reviewing.pull(made)
    argilla.call("DELETE", f"/records/{records['answer_augmentation-0']['id']}")
    argilla.call("DELETE", f"/users/{bea.id}")
    again = reviewing.pull(made)
    assert set(training(made)) == {"answer_augmentation-2"}
    assert (again.pulled.answers, again.pulled.changed) == (2, 0)
    # Another dataset of the same name, as on another server.
    argilla.call("DELETE", f"/datasets/{argilla.dataset(review['dataset'])}")
    assert reviewing.push(made).added == 3
    reviewing.pull(made)
    assert set(training(made)) == {"answer_augmentation-2"}


def test_an_edit_that_does_not_pass_is_told(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0)], review=review)
    reviewing.push(made)
    argilla.person("ann").answer(argilla.records(review["dataset"]).values(), verdict="edit", corrected_answer="It is 1.\n#### 1")
    result = command("pull", config(made, tmp_path))
    assert result.exit_code == 0
    assert "1 edit by final_answer: does not agree with the seed's answer" in result.stdout
    assert "300 chats" in result.stdout


def test_pulling_before_the_samples_are_made_for_these_settings_keeps_the_answers_for_the_run(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1)], review=review)
    reviewing.push(made)
    argilla.person("ann").answer(argilla.records(review["dataset"]).values(), verdict="reject")
    longer = settings(tmp_path, review=review, budget={"samples": 2000})
    result = command("pull", config(longer, tmp_path))
    assert result.exit_code == 0
    assert "axolotl synthetic generate" in result.stdout
    generate(longer, [sample(0), sample(1), sample(2)])
    assert set(training(longer)) == {"answer_augmentation-2"}


def test_status_shows_who_answered_how_far_they_agree_and_what_was_overruled(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1, wrong=True)], review={**review, "annotators": 2})
    reviewing.push(made)
    ann, bea, records = argilla.person("ann"), argilla.person("bea"), argilla.records(review["dataset"])
    for person in (ann, bea):
        person.answer([records["answer_augmentation-1"]], verdict="accept")
    ann.answer([records["answer_augmentation-0"]], verdict="reject")
    bea.answer([records["answer_augmentation-0"]], status="draft", verdict="accept")
    before = everything(made)
    result = command("status", config(made, tmp_path))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "pushed    2 records" in lines
    assert "answers   3 submitted, 0 discarded, 1 draft" in lines
    assert "decided   1 accept, 0 edit, 0 reject" in lines
    assert "open      1 sample" in lines
    assert "agreement Krippendorff's alpha, verdicts: not defined yet; quality: not defined yet" in lines
    table = [line.replace("│", " ").split() for line in lines]
    assert [ann.name, "2", "0", "0"] in table
    assert [bea.name, "1", "0", "1"] in table
    assert ["final_answer", "1", "1", "0", "0"] in table
    assert "there is something new: axolotl synthetic review pull CONFIG" in result.stdout
    assert everything(made) == before


def test_push_and_pull_say_what_they_did(tmp_path, argilla, review):
    made = finish(tmp_path, [sample(0), sample(1)], review=review)
    pushed = command("push", config(made, tmp_path))
    assert (pushed.exit_code, pushed.stdout.splitlines()[0]) == (0, "pushed    2 records, 0 were there")
    assert f"{argilla.url}/dataset/{argilla.dataset(review['dataset'])}/annotation-mode" in pushed.stdout
    argilla.person("ann").answer(list(argilla.records(review["dataset"]).values())[:1], verdict="accept")
    pulled = command("pull", config(made, tmp_path)).stdout.splitlines()
    assert pulled[:3] == [
        "answers   1 submitted to 2 records, 1 of them new or changed",
        "decided   1 sample: 1 accept, 0 edit, 0 reject",
        "open      1 sample",
    ]
