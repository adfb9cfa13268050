"""lm-eval on real, if tiny, models: scores, progress, refusals and error messages."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from axolotl_synthetic.errors import ConfigError, StorageError, TrainingError
from axolotl_synthetic.grading import HELD_OUT_TASK, ModelArgs, child, evaluate, export_task, refuse_unknown_tasks, student_in
from axolotl_synthetic.grading.child import load_model, thinking
from axolotl_synthetic.grading.evaluate import choose, environment, read_progress, telling_line
from axolotl_synthetic.records import Question, Seed

from stub_task import Always42


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def heldout(tmp_path, jars) -> Path:
    """Return three questions with the answers 6, 20 and 42, for a task that reads 42 from every reply."""
    export_task(tmp_path / "lm_eval", task=Always42(), held_out=jars, max_gen_toks=4)
    return tmp_path / "lm_eval"


def grade(model: ModelArgs, heldout: Path, **more):
    log = heldout.parent / "lm_eval.log"
    return evaluate(model=model, tasks=[HELD_OUT_TASK], include_path=heldout, log=log, **more)[HELD_OUT_TASK]


def test_a_base_model_is_scored_with_its_standard_error_and_progress(heldout, tiny_model):
    seen = []
    score = grade(ModelArgs(str(tiny_model)), heldout, on_progress=lambda done, total: seen.append((done, total)))
    assert score.metric == "exact_match"
    assert score.questions == 3
    assert score.value == pytest.approx(1 / 3)
    # The sample's variance of (0, 0, 1) is 1/3, so the mean's standard error is sqrt(1/3 / 3).
    assert score.stderr == pytest.approx(1 / 3)
    assert seen[-1] == (3, 3)
    assert "Running generate_until requests" in (heldout.parent / "lm_eval.log").read_text()


@pytest.mark.slow
def test_questions_that_hold_line_separators_are_graded_one_by_one(tmp_path, tiny_model):
    held_out = [
        Seed(f"s{place}", Question(f"2 jars hold{mark}3 cards each. How many?"), "6") for place, mark in enumerate("\u2028\x85\x0b")
    ]
    export_task(tmp_path / "lm_eval", task=Always42(), held_out=held_out, max_gen_toks=4)
    assert grade(ModelArgs(str(tiny_model)), tmp_path / "lm_eval").questions == 3


@pytest.mark.slow
def test_replies_as_long_as_a_thinking_teachers_do_not_end_the_grading_of_a_small_student(tmp_path, jars, tiny_model, capsys):
    export_task(tmp_path / "lm_eval", task=Always42(), held_out=jars[:1], max_gen_toks=8192)
    score = grade(ModelArgs(str(tiny_model)), tmp_path / "lm_eval", limit=1)
    assert score.questions == 1
    # The tiny model's context is 512.
    assert "end after 256 tokens, half of its context" in " ".join(capsys.readouterr().err.split())


def test_a_lora_adapter_is_graded_on_top_of_its_base(heldout, tiny_model, tiny_adapter):
    student = student_in(tiny_adapter, base=str(tiny_model))
    assert student == ModelArgs(base=str(tiny_model), adapter=str(tiny_adapter), tokenizer=str(tiny_adapter))
    assert grade(student, heldout).value == pytest.approx(1 / 3)


@pytest.mark.slow
def test_an_adapter_without_its_weights_is_not_graded_as_the_base_model(heldout, tiny_model, tiny_adapter, tmp_path):
    broken = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    (broken / "adapter_model.safetensors").unlink()
    with pytest.raises(TrainingError, match=f"could not grade {broken}: "):
        grade(student_in(broken, base=str(tiny_model)), heldout)


@pytest.mark.slow
def test_one_question_has_no_standard_error(heldout, tiny_model):
    score = grade(ModelArgs(str(tiny_model)), heldout, limit=1)
    assert (score.value, score.stderr, score.questions) == (0.0, None, 1)


@pytest.mark.slow
def test_a_model_without_a_chat_template_is_asked_plainly(heldout, tiny_model, tmp_path):
    plain = shutil.copytree(tiny_model, tmp_path / "plain")
    (plain / "chat_template.jinja").unlink()
    assert grade(ModelArgs(str(plain)), heldout).questions == 3


def test_full_weights_are_graded_themselves(tiny_model):
    assert student_in(tiny_model, base="base") == ModelArgs(base=str(tiny_model))


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_a_trained_model_says_to_train_first(tmp_path, exists):
    folder = tmp_path / "student"
    if exists:
        folder.mkdir()
    with pytest.raises(ConfigError, match=r"student: holds no trained model .*axolotl train"):
        student_in(folder, base="base")


@pytest.mark.slow
def test_a_broken_model_folder_names_the_log_and_what_lm_eval_said(heldout, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "no_such_architecture"}')
    with pytest.raises(TrainingError) as error:
        grade(ModelArgs(str(broken)), heldout)
    assert str(broken) in str(error.value)
    assert "no_such_architecture" in str(error.value)
    assert str(tmp_path / "lm_eval.log") in str(error.value)


def test_an_unknown_task_is_refused_before_a_model_is_loaded(tmp_path):
    with pytest.raises(ConfigError, match=r"grade\.tasks: lm-eval knows no task 'no_such_task';") as error:
        evaluate(model=ModelArgs("/no/such/model"), tasks=["gsm8k", "no_such_task"], include_path=None, log=tmp_path / "log")
    assert error.value.exit_code == 2


@pytest.mark.slow
def test_known_tasks_pass_the_check(tmp_path):
    refuse_unknown_tasks(["gsm8k", "arc_*"], log=tmp_path / "log")


def test_no_tasks_need_no_check(tmp_path):
    refuse_unknown_tasks([], log=tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_log_that_cannot_be_written_is_named(tiny_model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/log: the log of lm-eval cannot be written"):
        evaluate(model=ModelArgs(str(tiny_model)), tasks=[HELD_OUT_TASK], include_path=tmp_path, log=tmp_path / "file" / "log")


def test_an_interruption_leaves_no_process_behind(heldout, tiny_model):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    before = {process.pid for process in psutil.Process().children()}
    with pytest.raises(KeyboardInterrupt):
        grade(ModelArgs(str(tiny_model)), heldout, on_progress=interrupt)
    assert {process.pid for process in psutil.Process().children()} <= before


@pytest.mark.parametrize(("cuda", "at_once"), [(True, 8), (False, 20)])
def test_a_gpu_takes_no_more_sequences_at_once_than_24_gb_hold(monkeypatch, cuda, at_once):
    import torch
    from lm_eval.api import registry

    class Model:
        def create_from_arg_obj(self, given, more):
            return more["batch_size"], more["device"]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(registry, "get_model", lambda name: Model())
    monkeypatch.setattr(child, "_template", lambda model: "")
    assert load_model(asdict(ModelArgs("base")), 20) == (at_once, "cuda" if cuda else "cpu")


def test_strict_match_is_chosen_among_the_metrics_of_gsm8k():
    metrics = {
        "alias": "gsm8k",
        "exact_match,flexible-extract": 0.5,
        "exact_match_stderr,flexible-extract": 0.1,
        "exact_match,strict-match": 0.4,
        "exact_match_stderr,strict-match": 0.05,
    }
    score = choose(metrics, 96)
    assert (score.value, score.stderr, score.metric, score.questions) == (0.4, 0.05, "exact_match,strict-match", 96)


def test_normalized_accuracy_is_chosen_for_arc():
    score = choose({"alias": "arc", "acc,none": 0.3, "acc_stderr,none": 0.01, "acc_norm,none": 0.35, "acc_norm_stderr,none": 0.02})
    assert (score.value, score.stderr, score.metric) == (0.35, 0.02, "acc_norm")


def test_a_task_with_a_metric_of_its_own_is_scored_by_its_first():
    score = choose({"alias": "x", "bleu,none": 12.5, "bleu_stderr,none": "N/A", "chrf,none": 30.0})
    assert (score.value, score.stderr, score.metric) == (12.5, None, "bleu")


def test_only_lm_evals_own_bars_are_progress():
    assert read_progress("Running generate_until requests:  15%|█▌        | 12/80 [00:05<00:28,  2.4it/s]") == (12, 80)
    assert read_progress("Loading weights: 100%|██████████| 272/272 [00:00<00:00, 10321.08it/s]") is None


def test_the_telling_line_is_the_last_that_names_an_error():
    lines = [
        "Traceback (most recent call last):",
        "ValueError: first",
        "torch.OutOfMemoryError: CUDA out of memory",
        "",
        "a warning at exit",
    ]
    assert telling_line(lines) == "torch.OutOfMemoryError: CUDA out of memory"
    assert telling_line(["usage: lm_eval", " "]) == "usage: lm_eval"
    assert telling_line([]) == "it printed nothing"


def test_the_child_is_no_rank_of_the_training_that_started_it(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    kept = environment()
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "ACCELERATE_MIXED_PRECISION"} & set(kept)
    assert kept["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(
    ("template", "wanted", "told"),
    [
        ("{{ messages }}", True, {}),
        ("{% if enable_thinking is false %}<think>\n\n</think>{% endif %}", True, {"enable_thinking": True, "think_end_token": "</think>"}),
        (
            "{% if enable_thinking is false %}<think>\n\n</think>{% endif %}",
            False,
            {"enable_thinking": False, "think_end_token": "</think>"},
        ),
        ("{{ content.split('</think>')[-1] }}", False, {"think_end_token": "</think>"}),
    ],
)
def test_lm_eval_is_told_of_thoughts_where_the_template_knows_them(template, wanted, told):
    assert thinking(template, wanted) == told


def test_a_students_template_is_asked_for_thoughts_as_it_was_trained(tiny_model, tmp_path):
    from transformers import AutoTokenizer

    student = tmp_path / "student"
    shutil.copytree(tiny_model, student)
    tokenizer = AutoTokenizer.from_pretrained(student)
    plain = tokenizer.chat_template
    tokenizer.chat_template = plain + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
    tokenizer.save_pretrained(student)
    chat = [{"role": "user", "content": "How many?"}]
    asked = [load_model(asdict(ModelArgs(str(student), thinking=thinks)), 1).apply_chat_template(chat) for thinks in (False, True)]
    assert asked[0] == asked[1] + "<think>\n\n</think>\n\n"
