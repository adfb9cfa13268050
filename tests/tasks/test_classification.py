"""Texts with labels of a closed set: how labels are read, and whole runs by the real command."""

import contextlib
import json
import re
from collections import Counter

import pytest
from click.testing import CliRunner

from axolotl_synthetic import config
from axolotl_synthetic.cli import synthetic
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.labels import mentioned, named
from axolotl_synthetic.prepare import prepare
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.seeds import read_seeds
from axolotl_synthetic.seeds.labelled import with_labels
from axolotl_synthetic.tasks.classification import TASK

from fake_replies import purpose_of, request_key
from fake_server import FakeServer
from projects import Project

LABELS = ("billing", "card lost", "card", "account_access")
TICKET = Question("I was charged twice.", labels=("billing", "shipping"))
BOTH = Question("Charged twice, and the parcel is late.", labels=("billing", "shipping"), several=True)

# Words by which the fake model recognises a ticket's label.
SIGNS = {"billing": "invoice", "shipping": "parcel", "account": "password"}
TICKETS = [
    {"text": text, "label": label}
    for label, texts in {
        "billing": ["The invoice of May has a wrong name on it.", "Why is there a second invoice for one order?"],
        "shipping": [f"Parcel {place} has not come yet, where is it?" for place in ("to Oslo", "for my aunt", "with the lamp", "of June")],
        "account": ["My password is refused since this morning."],
    }.items()
    for text in texts
]


def labelling(drift=0):
    """Return a model that labels tickets by their words, and writes every `drift`-th new one for another label than requested."""

    def reply(body):
        last, key = body["messages"][-1]["content"], request_key(body)
        purpose = purpose_of(body)
        if purpose == "new_question":
            label = last.rpartition(": ")[2].strip()
            if drift and key % drift == 0:
                label = "billing" if label != "billing" else "shipping"
            return f"Text: Case {key % 10**9} of customer {key % 9973}: something is wrong with the {SIGNS[label]} again, see {key % 7919}."
        if purpose == "rephrase":
            return f"{last.removeprefix('Reword: ')} This is what I ask, it is case {'abcdefghij'[key % 10]}{'klmnopqrst'[key % 7]}."
        if purpose == "self_check":
            return "Yes"
        return next((f"**{label.title()}**" for label, sign in SIGNS.items() if sign in last.lower().rpartition("text: ")[2]), "billing")

    return reply


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "p", seeds=1)
    (made.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TICKETS))
    return made


def plan(project, *options):
    """Run `axolotl synthetic plan` in the project's folder."""
    with contextlib.chdir(project.folder):
        return CliRunner().invoke(synthetic, ["plan", "config.yml", *options])


def training_rows(project):
    return [json.loads(line) for line in project.training_bytes.splitlines()]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("billing", ("billing",)),
        (" **Billing**. ", ("billing",)),
        ("Card lost", ("card lost",)),
        ("card, billing", ("billing", "card")),
        ("billing and account access", ("billing", "account_access")),
        ("- card\n- Account-Access\n", ("card", "account_access")),
        ('"card lost"; card', ("card lost", "card")),
        ("cards", None),
        ("billing, refund", None),
        ("It is billing", None),
        ("", None),
    ],
)
def test_a_text_names_labels_alone_or_none(text, labels):
    assert named(text, LABELS) == labels


def test_signs_may_be_labels():
    assert [named(sign, ("+", "-", "_")) for sign in ("+", "-", "_")] == [("+",), ("-",), ("_",)]


def test_a_label_may_hold_what_divides_labels():
    labels = ("loans, mortgages", "cards and cash")
    assert named("Cards and cash, loans, mortgages", labels) == labels


def test_a_longer_label_is_no_mention_of_the_shorter_one():
    assert mentioned("My card lost its colour.", LABELS) == ("card lost",)
    assert mentioned("The cards are billing me; a card!", LABELS) == ("billing", "card")


@pytest.mark.parametrize(
    ("reply", "question", "label"),
    [
        ("Billing.", TICKET, "billing"),
        ("Label: shipping", TICKET, "shipping"),
        ("The right label is: shipping", TICKET, "shipping"),
        ("They paid twice.\nAnswer: billing", TICKET, "billing"),
        ("billing, shipping", TICKET, None),
        ("shipping, billing", BOTH, "billing, shipping"),
        ("It is about billing.", TICKET, None),
    ],
)
def test_the_final_answer_is_the_label_that_a_reply_consists_of(reply, question, label):
    assert TASK.final_answer(reply, question) == label


def test_a_lenient_reader_takes_the_one_label_that_is_mentioned():
    assert TASK.loose_answer("This ticket is about billing.", TICKET) == "billing"
    assert TASK.loose_answer("Either billing or shipping.", TICKET) is None


def test_the_student_is_trained_on_the_label_alone():
    assert TASK.read_answer("**Label:** Billing.", TICKET) == "billing"
    assert TASK.read_answer("I do not know.", TICKET) == "I do not know."


def test_labels_read_from_the_seeds_have_their_most_frequent_spelling():
    seeds = [Seed(str(n), Question(str(n)), label) for n, label in enumerate(["Billing", "Billing", "billing", "shipping", None])]
    made = with_labels(seeds, None)
    assert made[0].question.labels == ("Billing", "shipping")
    assert [seed.answer for seed in made] == ["Billing", "Billing", "Billing", "shipping", None]
    assert {seed.question.several for seed in made} == {False}


def test_a_new_text_is_written_for_the_seeds_label_and_the_teacher_is_not_told():
    question = Question("Charged twice.", labels=("billing", "shipping"), meant="billing")
    *_, asked = TASK.new_question_messages(question, [])
    assert asked["content"] == "Write one new text with this label: billing"
    made = TASK.read_new_question("New text: Two invoices came.", question)
    assert (made.text, made.meant) == ("Two invoices came.", "billing")
    [system, user] = TASK.answer_messages(made, [])
    assert (
        user["content"] == "Which label fits the text? One of: billing, shipping\nAnswer with the label alone.\n\nText: Two invoices came."
    )
    assert "billing" not in system["content"]


def test_what_a_weak_model_repeats_of_the_prompt_is_no_part_of_the_text():
    assert TASK.read_rephrase("Reword: I paid twice.", TICKET).text == "I paid twice."


def test_a_run_keeps_only_texts_that_get_the_label_they_were_written_for(project):
    with FakeServer(labelling(drift=4), vary_repeats=True) as server:
        project.configure(server, task="classification", strategy="new_question", budget={"samples": 12})
        done = project.run()
    assert done.code == 0, done.err
    assert project.manifest["counts"]["accepted"] == 12
    assert set(project.manifest["rejections"]) == {"final_answer"}
    rejected = next(row for row in project.samples if row["status"] == "rejected")
    assert re.search(r"where the question was written for (billing|shipping|account)$", rejected["checks"][-2]["detail"])
    rows = training_rows(project)
    assert len(rows) == 12 + len(TICKETS)
    for row in rows:
        user, assistant = row["messages"]
        assert assistant["content"] in SIGNS
        assert SIGNS[assistant["content"]] in user["content"].lower().rpartition("text: ")[2]
        assert "One of: account, billing, shipping\n" in user["content"]


@pytest.mark.slow
@pytest.mark.parametrize(("balance", "wanted"), [("seeds", {"shipping": 8, "billing": 4, "account": 2}), ("uniform", 5)])
def test_labels_come_as_in_the_seeds_or_each_as_often(project, balance, wanted):
    with FakeServer(labelling(), vary_repeats=True) as server:
        samples = 14 if balance == "seeds" else 15
        project.configure(server, task="classification", strategy="new_question", balance=balance, budget={"samples": samples})
        done = project.run()
    assert done.code == 0, done.err
    counts = Counter(row["final_answer"] for row in project.samples if row["status"] == "accepted")
    assert counts == (wanted if isinstance(wanted, dict) else dict.fromkeys(SIGNS, wanted))


@pytest.mark.slow
def test_every_command_knows_the_task_and_a_rerun_asks_nothing(project):
    with FakeServer(labelling(), vary_repeats=True) as server:
        project.configure(server, task="classification", strategy="question_rephrase", budget={"samples": 7}, seeds={"path": "seeds.jsonl"})
        previewed = project.run("preview", "-n", "2")
        assert project.run().code == 0
        asked, before = server.count, project.training_bytes
        project.forget_all_but_the_ledger()
        assert project.run().code == 0
        assert (server.count, project.training_bytes) == (asked, before)
    assert "Which label fits the text?" in previewed.out
    assert plan(project, "--json").exit_code == 0
    shown = project.run("show", "-n", "1")
    assert "Label" not in shown.err
    assert "Which label fits the text?" in shown.out
    assert project.run("report").code == 0


def test_a_label_of_a_row_that_is_not_drawn_makes_another_run(project):
    block = {"task": "classification", "budget": {"samples": 7}, "teacher": {"model": "m", "base_url": "http://127.0.0.1:1/v1"}}
    seeds = {"path": str(project.folder / "seeds.jsonl"), "limit": 1}
    one = prepare(load_settings({**block, "seeds": seeds}))
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*TICKETS[:6], TICKETS[6] | {"label": "login"}]))
    other = prepare(load_settings({**block, "seeds": seeds}))
    assert one.seeds.sha256 == other.seeds.sha256
    assert one.fingerprint != other.fingerprint


def test_auto_writes_new_texts_at_any_ratio_since_a_second_answer_would_be_the_same_label(project):
    project.configure("http://127.0.0.1:1/v1", task="classification", strategy="auto", budget={"samples": 7})
    planned = json.loads(plan(project, "--json").stdout)
    assert planned["strategy"] == {"new_question": 1.0}
    assert planned["reasons"][0].startswith("a text has one label, so a second answer to a seed's own question says nothing new")


@pytest.mark.slow
def test_several_labels_are_a_list_in_the_seeds_and_divided_by_commas_in_training(project):
    rows = [*TICKETS, {"text": "The invoice for the lost parcel is wrong.", "label": ["shipping", "billing"]}]
    (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def reply(body):
        text = body["messages"][-1]["content"].lower().rpartition("text: ")[2]
        return "\n".join(f"- {label}" for label, sign in SIGNS.items() if sign in text)

    with FakeServer(reply) as server:
        project.configure(server, task="classification", strategy="answer_augmentation", include_seeds=False, budget={"samples": 8})
        done = project.run()
    assert done.code == 0, done.err
    assert "billing, shipping" in {row["messages"][-1]["content"] for row in training_rows(project)}
    assert all("One or more of: account, billing, shipping\n" in row["messages"][0]["content"] for row in training_rows(project))


def test_a_label_outside_of_the_given_set_is_named_by_line(project):
    project.configure("http://127.0.0.1:1/v1", task="classification", labels=["billing", "shipping"])
    done = plan(project)
    assert done.exit_code == 2
    assert "seeds.jsonl:7: label: 'account' is none of billing, shipping; correct it, or add it to `labels`" in done.stderr


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({"task": "math", "labels": ["a", "b"]}, "synthetic.labels: is for `task: classification`, and the task is math"),
        ({"task": "classification", "labels": ["a b", "A_B"]}, "has 'a b' and 'A_B', which are read as the same"),
        ({"task": "classification", "labels": [True, "b"]}, "YAML reads yes and no as true and false"),
        ({"task": "classification", "balance": "equal"}, "synthetic.balance: 'equal'"),
        ({"task": "classification", "seeds": {"path": "seeds.jsonl", "fields": {"text": "text", "label": "team"}}}, "'team' (for `label`)"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(project, block, says):
    project.configure("http://127.0.0.1:1/v1", **block)
    done = plan(project)
    assert done.exit_code == 2
    assert says in done.stderr


def test_other_columns_are_advised_as_fields(project):
    (project.folder / "seeds.jsonl").write_text(json.dumps({"sentence": "Late!", "intent": "shipping"}) + "\n")
    project.configure("http://127.0.0.1:1/v1", task="classification")
    done = plan(project)
    assert done.exit_code == 2
    assert 'write `fields: {text: "sentence", label: "intent"}`' in done.stderr


def test_seeds_without_two_labels_are_refused(project):
    (project.folder / "seeds.jsonl").write_text(json.dumps({"text": "Late!", "label": "shipping"}) + "\n")
    project.configure("http://127.0.0.1:1/v1", task="classification")
    done = plan(project)
    assert done.exit_code == 2
    assert "its rows have only the label 'shipping'" in done.stderr


def test_a_column_of_texts_is_no_column_of_labels():
    seeds = [Seed(str(n), Question(str(n)), f"Solution {n}") for n in range(60)]
    with pytest.raises(SeedsError, match=r"its 60 rows have 60 different labels, such as 'Solution 0'; point seeds\.fields\.label"):
        with_labels(seeds, None)
    assert len(with_labels(seeds, [f"solution {n}" for n in range(60)])) == 60


def test_numbers_of_a_data_sets_labels_are_read_by_their_names(tmp_path):
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["billing", "shipping"])})
    rows = {"text": ["Charged twice.", "It is late.", "Hello?"], "label": [0, 1, -1]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "saved"))
    read = {"required": TASK.required, "optional": TASK.optional, "problem": TASK.problem}
    found = read_seeds(config.Seeds(path=str(tmp_path / "saved")), seed=1, **read)
    assert {seed.question.text: seed.answer for seed in found.seeds} == {
        "Charged twice.": "billing",
        "It is late.": "shipping",
        "Hello?": None,
    }
