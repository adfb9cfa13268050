"""Whole runs with a student that is right if the product is even: which new questions stay, the calls, counts and messages."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_generate_verified import Varied

from axolotl_synthetic.config import first_of_same, load_settings
from axolotl_synthetic.errors import ConfigError

from fake_faults import Fault
from fake_replies import PROBLEM, MathReplies
from fake_server import FakeServer
from projects import KEY, Done, Project

ROOT = Path(__file__).parents[1]
MIX = {"answer_augmentation": 0.3, "question_rephrase": 0.3, "new_question": 0.4}


def weak(body: dict[str, Any]) -> str:
    """Solve problems with an even product; give one less for odd multiples of three, and no answer to the rest."""
    holders, _, things, _ = PROBLEM.findall(body["messages"][-1]["content"])[-1]
    product = int(holders) * int(things)
    return f"#### {product}" if product % 2 == 0 else f"#### {product - 1}" if product % 3 == 0 else "I do not know."


@dataclass
class Made:
    project: Project
    teacher: FakeServer
    student: FakeServer
    done: Done


def verify(keep_easy: float, k: int = 3) -> list[Any]:
    return ["format", {"self_consistency": {"k": k}}, {"difficulty": {"keep_easy": keep_easy}}, "duplicate"]


ALL_NEW = {"strategy": "new_question", "budget": {"queries": 180}}
CASES: dict[str, tuple[MathReplies, dict[str, Any]]] = {
    "0": (MathReplies(), ALL_NEW | {"verify": verify(0)}),
    "0.2": (MathReplies(), ALL_NEW | {"verify": verify(0.2)}),
    "1": (MathReplies(), ALL_NEW | {"verify": verify(1)}),
    "unsure": (MathReplies(wrong=0.3), ALL_NEW | {"verify": verify(0.2)}),
    "mix": (MathReplies(), {"strategy": MIX, "budget": {"samples": 20}, "verify": ["difficulty"]}),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Made]]:
    """Return the case's run; all of them start when the first is requested."""
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        futures: dict[str, Future[Made]] = {}

        def start(replies: MathReplies, block: dict[str, Any]) -> Made:
            project = Project(tmp_path_factory.mktemp("case"), seeds=30)
            teacher = stack.enter_context(FakeServer(Varied(replies), api_key=KEY))
            student = stack.enter_context(FakeServer(weak, api_key=KEY))
            project.configure(teacher, student={"base_url": student.base_url, "model": "weak"}, **block)
            return Made(project, teacher, student, project.run())

        def made(name: str) -> Made:
            for key, (replies, block) in CASES.items():
                if key not in futures:
                    futures[key] = pool.submit(start, replies, block)
            one = futures[name].result()
            assert one.done.code == 0, one.done.err
            return one

        yield made


def is_easy(row: dict[str, Any]) -> bool:
    holders, _, things, _ = PROBLEM.findall(row["question"])[-1]
    return int(holders) * int(things) % 2 == 0


def is_drawn(row: dict[str, Any], share: float) -> bool:
    digest = blake2b(f"keep_easy {row['id']}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 < share


def said(row: dict[str, Any], name: str = "difficulty") -> tuple[bool | None, str]:
    [check] = [check for check in row["checks"] if check["name"] == name]
    return check["passed"], check["detail"]


@pytest.mark.parametrize("share", [0, 0.2, 1])
def test_what_the_student_solves_is_rejected_but_for_the_share(made, share):
    one = made(str(share))
    rows = [row for row in one.project.samples if row["checks"]]
    # 180 calls are enough for some 22 candidates of seven each.
    assert len(rows) >= 20
    easy = [row for row in rows if is_easy(row)]
    assert 0 < len(easy) < len(rows)
    for row in rows:
        stays = not is_easy(row) or is_drawn(row, share)
        assert (row["status"], row["reason"]) == (("accepted", None) if stays else ("rejected", "difficulty"))
    manifest = one.project.manifest
    assert manifest["rejections"] == ({} if share == 1 else {"difficulty": sum(not is_drawn(row, share) for row in easy)})


def test_the_detail_says_what_the_student_answered(made):
    for row in made("0").project.samples:
        if not row["checks"]:
            continue
        right = int(row["final_answer"])
        solved = (False, f"the student says {right} as well")
        wrong = (True, f"the student says {right - 1}") if right % 3 == 0 else (True, "the student gives no final answer")
        assert said(row) == (solved if right % 2 == 0 else wrong)


def test_the_students_calls_are_in_the_ledger_in_the_manifest_and_in_the_budget(made):
    one = made("0.2")
    queries = one.project.manifest["queries"]
    assert queries["difficulty"] == one.student.count > 0
    assert queries["total"] == one.teacher.count + one.student.count <= 180
    assert queries["total"] == sum(queries[name] for name in ("answer", "new_question", "self_check", "difficulty"))
    assert one.project.ledger("SELECT DISTINCT role, model FROM calls WHERE purpose = 'difficulty'") == [("student", "weak")]
    assert {call.body["temperature"] for call in one.student.calls} == {0}
    assert {call.body["temperature"] for call in one.teacher.calls} == {0.7}


def test_the_student_is_asked_only_where_the_teachers_answers_agree(made):
    one = made("unsure")
    rows = [row for row in one.project.samples if row["checks"]]
    agreed = Counter(said(row, "self_consistency")[0] for row in rows)
    assert agreed[False] > 0
    assert one.student.count == agreed[True]
    for row in rows:
        if not said(row, "self_consistency")[0]:
            assert (row["status"], row["reason"]) == ("rejected", "self_consistency")
            assert said(row) == (None, "the student was not asked, for the teacher has no consistent answer")


@pytest.mark.slow
def test_the_other_strategies_are_not_touched(made):
    one = made("mix")
    manifest = one.project.manifest
    by_strategy = Counter(row["strategy"] for row in one.project.samples)
    assert len(by_strategy) == 3
    assert one.student.count == manifest["queries"]["difficulty"] == by_strategy["new_question"]
    for row in one.project.samples:
        # `verify: [difficulty]` adds the votes.
        assert [check["name"] for check in row["checks"]] == ["self_consistency", "difficulty"]
        if row["strategy"] != "new_question":
            assert said(row) == (None, "the question is no new one")
            assert row["status"] == "accepted"


@pytest.mark.parametrize("name", ["0.2", "unsure"])
def test_a_rerun_asks_nobody_and_writes_the_same_bytes(made, name):
    one = made(name)
    before, samples, calls = one.project.training_bytes, one.project.samples, (one.teacher.count, one.student.count)
    one.project.forget_all_but_the_ledger()
    assert one.project.run().code == 0
    assert (one.teacher.count, one.student.count) == calls
    assert one.project.training_bytes == before
    assert one.project.samples == samples


@pytest.mark.slow
def test_another_share_is_another_run_with_the_same_calls(made):
    one = made("1")
    calls = one.teacher.count, one.student.count
    config = (one.project.folder / "config.yml").read_text()
    (one.project.folder / "config.yml").write_text(config.replace("keep_easy: 1", "keep_easy: 0"))
    done = one.project.run()
    assert "nothing to do" not in done.out
    assert (one.teacher.count, one.student.count) == calls
    assert one.project.manifest["rejections"]["difficulty"] > 0


def test_the_command_says_what_a_rejection_means_and_show_names_the_student(made):
    one = made("0.2")
    assert re.search(r"\d+ by difficulty: the student can answer the question already", one.done.out)
    row = next(row for row in one.project.samples if row["reason"] == "difficulty")
    assert "difficulty by weak (student)" in one.project.run("show", row["id"]).out


# The page


def test_the_pages_yamls_load_and_its_links_exist():
    page = (ROOT / "plugin" / "docs" / "difficulty.md").read_text(encoding="utf-8")
    whole, served = [yaml.safe_load(text)["synthetic"] for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    settings = load_settings(whole)
    assert settings.student == load_settings(whole | {"student": {**whole["student"], "generation": {"temperature": 0}}}).student
    assert load_settings(whole | served).models["student"].concurrency == 4
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (ROOT / "plugin" / "docs" / link).exists(), link


# Before the first call


def test_a_student_that_cannot_be_reached_ends_the_run_before_anything_is_paid(tmp_path):
    project = Project(tmp_path / "p", seeds=5)
    with FakeServer() as teacher:
        student = {"base_url": "http://127.0.0.1:9/v1", "model": "weak"}
        project.configure(teacher, student=student, strategy="new_question", verify=["difficulty"])
        done = project.run()
        assert teacher.count == 0
    assert done.code == 3
    assert "the student at http://127.0.0.1:9/v1 cannot be reached" in done.err
    assert "start the server, or correct `base_url`" in done.err


@pytest.mark.slow
def test_a_student_that_fails_at_every_call_ends_the_run_as_a_teacher_does(tmp_path):
    project = Project(tmp_path / "p", seeds=30)
    with FakeServer() as teacher, FakeServer(weak, [Fault("http_500")]) as student:
        block = {"strategy": "new_question", "verify": ["difficulty"], "budget": {"samples": 5}}
        project.configure(teacher, student={"base_url": student.base_url, "model": "weak", "retries": 0}, **block)
        done = project.run()
    assert done.code == 3
    assert "the last 20 candidates all failed, the last with `http_500" in done.err
    assert not project.out.joinpath("manifest.json").exists()


def problem(**block: Any) -> str:
    with pytest.raises(ConfigError) as found:
        load_settings(block)
    return str(found.value)


def test_without_a_student_the_check_is_refused_with_what_to_write():
    assert (
        "synthetic.student: is missing, and the check difficulty asks it; write `student: {provider: vllm, model: BASE_MODEL}`, or"
        " `student: {base_url: …, model: …}` for a server that has it"
    ) in problem(verify=["format", {"difficulty": {"keep_easy": 0.1}}])


@pytest.mark.parametrize("verify", [None, ["format"], [{"self_consistency": {"k": 3}}]])
def test_a_student_that_nobody_asks_is_refused(verify):
    assert "synthetic.student: only the check difficulty asks it" in problem(student={"model": "m"}, verify=verify)


def test_a_students_keys_are_told_like_a_teachers():
    found = problem(student={"base_ulr": "http://x/v1", "strength": "weak", "thinking": "keep"}, verify=["difficulty"])
    assert "synthetic.student.base_ulr: unknown key; did you mean `base_url`?" in found
    assert "synthetic.student.strength: only an augmenter has a strength" in found
    assert "synthetic.student.thinking: only what the teacher thought before an answer can be kept" in found


def test_a_student_is_greedy_and_free_unless_the_config_says_otherwise():
    one = load_settings({"student": {"model": "m", "generation": {"max_new_tokens": 99}}, "verify": ["difficulty"]}).models["student"]
    assert (one.generation.temperature, one.generation.max_new_tokens) == (0.0, 99)
    assert one.charged is not None
    assert one.charged.usd(1e6, 1e6) == 0
    sampled = {"temperature": 0.7}
    priced = {"model": "m", "generation": sampled, "price": {"input": 1, "output": 2}}
    other = load_settings({"student": priced, "verify": ["difficulty"]}).models["student"]
    assert other.generation.temperature == 0.7
    assert other.charged is not None
    assert other.charged.usd(1e6, 1e6) == 3
    # A known model on a known host has its price, like a teacher.
    listed = {"model": "gpt-4o-mini", "base_url": "https://api.openai.com/v1"}
    assert (load_settings({"student": listed, "verify": ["difficulty"]}).models["student"].charged or other.charged).usd(1e6, 1e6) < 3


def test_a_student_with_the_settings_of_another_role_shares_its_window():
    model = {"model": "small", "generation": {"temperature": 0}}
    settings = load_settings({"augmenter": model, "student": model, "verify": ["difficulty"]})
    assert first_of_same(settings.models) == {"teacher": "teacher", "augmenter": "augmenter", "student": "augmenter"}
    settings = load_settings({"student": model, "verify": ["difficulty"]})
    assert first_of_same(settings.models) == {"teacher": "teacher", "augmenter": "teacher", "student": "student"}


def test_a_run_without_a_student_has_the_fingerprint_of_older_versions():
    assert "student" not in load_settings({}).model_dump()


# The plan


@pytest.mark.slow
def test_the_plan_counts_the_students_call_and_takes_it_for_free(tmp_path):
    project = Project(tmp_path / "p", seeds=20)
    with FakeServer() as teacher, FakeServer(weak) as student:
        own = {"base_url": student.base_url, "model": "weak"}
        block = {"strategy": "new_question", "verify": verify(0.2, k=5), "budget": {"samples": 10}}
        price = {"input": 1.0, "output": 1.0}
        project.configure(teacher, teacher={"price": price}, student=own, **block)
        free = json.loads(project.run("plan", "--json").out)
        project.configure(teacher, teacher={"price": price}, student=own | {"price": price}, **block)
        priced = json.loads(project.run("plan", "--json").out)
        # A pilot measures the same calls: three of the strategy, four more votes, the student's.
        pilot = json.loads(project.run("plan", "--json", "--pilot", "3").out)
        assert student.count > 0
    (of_free, of_priced, of_pilot) = (one["estimates"]["new_question"] for one in (free, priced, pilot))
    assert of_free["queries"] == of_priced["queries"] == 10 * (3 + 4 + 1)
    assert 0 < of_free["usd"] < of_priced["usd"]
    assert free["estimates"]["answer_augmentation"] == priced["estimates"]["answer_augmentation"]
    assert of_pilot["queries"] >= 10 * (3 + 4 + 1)


def test_a_strategy_without_new_questions_is_told_that_the_check_says_nothing(tmp_path):
    project = Project(tmp_path / "p", seeds=5)
    project.configure("http://127.0.0.1:9/v1", student={"model": "weak"}, verify=["difficulty"])
    done = project.run("plan")
    assert done.code == 0, done.err
    assert "difficulty is for new questions, and the strategy makes none" in " ".join(done.err.split())
