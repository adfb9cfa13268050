"""Axolotl's hooks: check the block, add the training file to `datasets:`, generate the file if it is missing, and grade the student.

Generating and grading run as separate commands, which these hooks start; `run.py` does the work.
"""

from __future__ import annotations

import datetime
import importlib.util
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

import yaml
from axolotl.integrations.base import BasePlugin
from filelock import FileLock, Timeout
from pydantic import BaseModel

from axolotl_synthetic import preferences, student, terminal, versions
from axolotl_synthetic.config import Settings, load_settings
from axolotl_synthetic.dataset import asked, axolotl_entry, is_axolotl_entry
from axolotl_synthetic.errors import ConfigError, StorageError, SyntheticError
from axolotl_synthetic.processes import die_with, without_ranks
from axolotl_synthetic.yaml_reader import read_yaml

# Packages that a run imports, checked before it starts so that a missing one gives a message rather than a traceback.
NEEDED = {"distilabel": "distilabel", "aiohttp": "aiohttp", "math_verify": "math-verify"}
# Kinds of training that read neither question-and-answer pairs nor preferences, or do not read `datasets:` at all.
OTHER_TRAINING = ("reward_model", "process_reward_model", "pretraining_dataset")
RANKS_LOCK = ".ranks.lock"
# The handlers of axolotl/logging_config.py that write to the terminal. Their stream does not identify them: colorama wraps it.
AXOLOTL_TO_TERMINAL = ("console", "color_console")


class SyntheticArgs(BaseModel):
    """The plugin's addition to Axolotl's schema."""

    synthetic: Settings | None = None
    """The block; see `config.Settings`."""


class SyntheticPlugin(BasePlugin):  # type: ignore[misc]  # Axolotl has no type information
    """Generates Axolotl's training data. Does nothing without a `synthetic:` block."""

    # The config before Axolotl adds its defaults: the YAML with what the command line changes.
    _asked: Mapping[str, Any] = MappingProxyType({})

    def get_input_args(self) -> str:
        return f"{__name__}.{SyntheticArgs.__name__}"

    def register(self, cfg: MutableMapping[str, Any]) -> None:
        """Check the block and add our entry to `datasets:`; runs in every process and command, so it never generates."""
        if "synthetic" not in cfg:
            return
        with _one_message():
            # Axolotl's own reader silently uses the last of two values.
            if (written := cfg.get("axolotl_config_path")) and Path(written).is_file():
                read_yaml(Path(written), "the path of your Axolotl YAML")
            settings = load_settings(cfg["synthetic"])
            _refuse_other_training(cfg, settings)
        self._asked = _plain({key: value for key, value in cfg.items() if key != "axolotl_config_path"})
        if warning := versions.untested():
            _say(warning)
        _log_to_file(settings.folder)
        if not any(_is_ours(cfg, entry, settings) for entry in cfg.get("datasets") or []):
            cfg["datasets"] = [*(cfg.get("datasets") or []), _entry(cfg, settings)]

    def load_datasets(self, cfg: MutableMapping[str, Any], preprocess: bool = False) -> None:
        """Ensure that the training file exists, and set its path in Axolotl's config."""
        if cfg.get("synthetic") is None:
            return
        with _one_message():
            settings = load_settings(cfg["synthetic"])
            path = _training_file(cfg, settings, self._asked)
            _refuse_open_review(settings)
            if path.stat().st_size == 0:
                raise SyntheticError(_empty(cfg, path, settings))
            if rl := _rl(cfg):
                with FileLock(settings.folder / RANKS_LOCK):  # each rank writes the same file
                    path = preferences.for_axolotl(path, rl, lambda: _render(cfg, settings))
        for entry in cfg["datasets"]:
            if _is_ours(cfg, entry, settings):
                entry["path"] = str(path)
        _say(f"the training data is {path}")

    def post_train_unload(self, cfg: MutableMapping[str, Any]) -> None:
        """Grade the student. The model is already saved, so an error here is reported but does not fail the training."""
        if cfg.get("synthetic") is None or os.environ.get("RANK", "0") != "0" or versions.training_failed():
            return
        settings = load_settings(cfg["synthetic"])
        if not settings.grade.after_train or not (settings.grade.tasks or settings.seeds.holdout):
            return
        from axolotl_synthetic import run

        if not run.can_grade(settings):
            _say("the student is not graded: no held-out seed has a final answer to grade by")
            return
        versions.release_trained_model()
        try:
            code = _command("grade", cfg, settings)
        except OSError as error:
            code, reason = 1, str(error)
        else:
            reason = f"exit code {code}"
        if code != 0:
            _say(
                f"the student was not graded ({reason}). The training itself succeeded and is saved in {cfg['output_dir']}; "
                f"grade it with `axolotl synthetic grade {_grade_arguments(cfg)}`"
            )


def _grade_arguments(cfg: Mapping[str, Any]) -> str:
    """Return the config's path with the options by which this training's command line changed it."""
    path = cfg.get("axolotl_config_path")
    if not path:
        return "CONFIG"
    try:
        written = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        written = {}
    known = written if isinstance(written, Mapping) else {}
    changed = [key for key in ("output_dir", "base_model") if cfg.get(key) is not None and str(cfg[key]) != str(known.get(key))]
    return " ".join([shlex.quote(str(path)), *(f"--{key.replace('_', '-')} {shlex.quote(str(cfg[key]))}" for key in changed)])


def _plain(value: Any) -> Any:
    """Return a config as YAML's own types: Axolotl's mappings are of a class of its own."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str | datetime.date) else str(value)


def _rl(cfg: Mapping[str, Any]) -> str:
    """Return the way to train on preferences, empty for supervised training."""
    return str(getattr(cfg["rl"], "value", cfg["rl"])) if cfg.get("rl") else ""


def _kind(cfg: Mapping[str, Any]) -> str:
    """Return the kind of our files to train on, by its name in the manifest."""
    return preferences.RL.get(_rl(cfg), "train")


def _is_ours(cfg: Mapping[str, Any], entry: Any, settings: Settings) -> bool:
    return is_axolotl_entry(entry, settings.folder, _kind(cfg))


def _empty(cfg: Mapping[str, Any], path: Path, settings: Settings) -> str:
    if _kind(cfg) == preferences.PAIRS:
        return (
            f"{path} is empty: no question has both an accepted answer and one that was rejected for synthetic.preferences.reasons. Several"
            " answers to a question come from `strategy: answer_augmentation`; `rl: kto` needs no pairs"
        )
    return f"{path} is empty: no sample was accepted; {settings.folder / 'samples.jsonl'} says why"


def _refuse_other_training(cfg: Mapping[str, Any], settings: Settings) -> None:
    rl = _rl(cfg)
    if rl and rl not in preferences.RL:
        raise ConfigError(
            f"rl: {rl}: cannot be combined with `synthetic:`, which writes what {', '.join(preferences.RL)} train on; choose one of these,"
            " or remove `rl:` or `synthetic:`"
        )
    if rl and settings.preferences is None:
        raise ConfigError(f"rl: {rl}: trains on right and wrong answers; add `preferences: true` to `synthetic:`, or remove `rl:`")
    for key in OTHER_TRAINING:
        if cfg.get(key):
            raise ConfigError(
                f"{key}: {cfg[key]!r}: cannot be combined with `synthetic:`, which writes questions and answers for supervised "
                f"fine-tuning through `datasets:`; remove `{key}:` or `synthetic:`"
            )
    if cfg.get("streaming") and cfg.get("sample_packing") and cfg.get("datasets"):
        raise ConfigError(
            "streaming: Axolotl cannot pack several streaming datasets, and `synthetic:` adds one to yours; remove `streaming:` or"
            " `sample_packing:`"
        )


def _entry(cfg: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return our entry of `datasets:`.

    The path is a placeholder that `load_datasets` corrects. `axolotl evaluate` has no such hook, so the most recently written file, if
    there is one, is better than a name that does not exist.
    """
    from axolotl_synthetic.tasks import is_of_chats

    folder = settings.folder
    if rl := _rl(cfg):
        return preferences.axolotl_entry(preferences.last_file(folder, rl), rl, settings.weight)
    written = max(folder.glob("train-*.jsonl"), key=lambda path: path.stat().st_mtime, default=folder / "train.jsonl")
    thinking_key = settings.thinking_key if settings.keeps_thinking else None
    return axolotl_entry(written, settings.weight, thinking_key, chats=is_of_chats(settings.task))


def _training_file(cfg: Mapping[str, Any], settings: Settings, asked_for: Mapping[str, Any]) -> Path:
    """Return the finished training file of these settings; generate it if missing. Ranks that start together generate once."""
    try:
        from axolotl_synthetic import run
    except ImportError as error:
        raise ConfigError(f"a package is missing: {error}; install it: pip install axolotl-synthetic") from error
    kind = _kind(cfg)
    if path := run.training_file(settings, kind, cfg.get("base_model")):
        return path
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigError(f"generating needs {', '.join(missing)}, not installed here: pip install {' '.join(missing)}")
    with _turn(settings.folder) as failures:
        if path := run.training_file(settings, kind, cfg.get("base_model")):
            return path
        if failures.since_we_wait():
            code = failures.code()
            _say(f"generating failed in the process that this one waited for, with exit code {code}")
            raise SystemExit(code)
        failures.clear()
        _refuse_unfit(cfg, settings)
        # The students of rounds are trained as the user's own is.
        if code := _command("generate", cfg, settings, asked_for if settings.rounds is not None else {}):
            failures.record(code)
            raise SystemExit(code)
        if path := run.training_file(settings, kind, cfg.get("base_model")):
            return path
    raise StorageError(
        f"generating ended well, but {settings.folder} holds no training file for these settings: did the seeds or the config "
        "change meanwhile? Start again"
    )


def _refuse_unfit(cfg: Mapping[str, Any], settings: Settings) -> None:
    """Refuse a student that cannot be trained on samples like the seeds, before a teacher is paid."""
    if not cfg.get("base_model") or cfg.get("tokenizer_use_mistral_common") or cfg.get("added_tokens_overrides"):
        return  # Axolotl builds such a tokenizer in its own way and may write it into its output folder
    from axolotl_synthetic.prepare import prepare

    base = str(cfg["base_model"])
    config, tokenizer = _student(cfg)
    student.refuse_no_weights(base)
    student.refuse_no_room(settings, getattr(config, "max_position_embeddings", None))
    entry = next((entry for entry in cfg["datasets"] if _is_ours(cfg, entry, settings)), None)
    if entry is None or not (_rl(cfg) or entry.get("type") == "chat_template"):
        return
    template = _template(cfg, entry, tokenizer)
    prepared = prepare(settings)
    task, system, read = prepared.task, settings.system_message, prepared.seeds.seeds[: student.PAIRS_READ]
    pairs = [
        (asked(task.prompt(seed.question), system, seed.question.chat if seed.question.turns else ()), task.solution(seed)) for seed in read
    ]
    tokens = student.lengths(base, pairs, tokenizer, template)
    if settings.keeps_thinking and not _rl(cfg):
        key = str(entry.get("template_thinking_key") or settings.thinking_key)
        student.refuse_no_thinking(base, tokenizer, template, key, **(cfg.get("chat_template_kwargs") or {}))
    if cfg.get("sequence_len"):
        strategy = str(cfg.get("excess_length_strategy") or "drop").lower()
        student.refuse_too_long(tokens, int(cfg["sequence_len"]), strategy)


def _student(cfg: Mapping[str, Any]) -> tuple[Any, Any]:
    """Load the student's config and tokenizer as Axolotl does."""
    from axolotl.loaders import load_tokenizer
    from axolotl.loaders.utils import load_model_config
    from axolotl.utils.dict import DictDefault

    try:
        # Leave out the YAML's template: a missing template has its own error message.
        return load_model_config(_theirs(cfg)), load_tokenizer(DictDefault({**_theirs(cfg), "chat_template": None}))
    except Exception as error:  # whatever Axolotl, transformers or the network raise, training could not begin
        raise ConfigError(
            f"base_model: {cfg['base_model']}: it cannot be loaded, and no teacher was asked yet: {error}; correct `base_model` or"
            " `tokenizer_config`"
        ) from error


def _theirs(cfg: Mapping[str, Any]) -> Any:
    """Return the config as Axolotl's loaders read it."""
    from axolotl.utils.dict import DictDefault

    base = str(cfg["base_model"])
    return DictDefault({"tokenizer_config": base, "base_model_config": base, **{key: cfg[key] for key in cfg if cfg[key] is not None}})


def _template(cfg: Mapping[str, Any], entry: Mapping[str, Any], tokenizer: Any) -> str:
    """Return the template that Axolotl uses for the chats of an entry."""
    from axolotl.utils.chat_templates import get_chat_template_from_config

    # Axolotl's validation writes the default into an entry without a template, and the YAML's template into the tokenizer.
    own = None if entry.get("chat_template") in (None, "tokenizer_default") else entry
    return student.chat_template(
        str(cfg["base_model"]), lambda: get_chat_template_from_config(cfg=_theirs(cfg), ds_cfg=own, tokenizer=tokenizer)
    )


def _render(cfg: Mapping[str, Any], settings: Settings) -> preferences.Render:
    """Return a function that writes a chat as the student reads it."""
    _, tokenizer = _student(cfg)
    entry = next(entry for entry in cfg["datasets"] if _is_ours(cfg, entry, settings))
    template = _template(cfg, entry, tokenizer)

    def render(chat: Sequence[Mapping[str, str]], is_to_come: bool) -> str:
        return str(tokenizer.apply_chat_template(list(chat), chat_template=template, tokenize=False, add_generation_prompt=is_to_come))

    return render


def _refuse_open_review(settings: Settings) -> None:
    """Refuse to train, after generating, while people's decisions are missing."""
    if settings.review is not None:
        from axolotl_synthetic import run

        run.refuse_open_review(settings)


class _Failures:
    """Exit code of the last failed run. Ranks that waited for that run read it, so that they do not try, and pay, again."""

    def __init__(self, folder: Path, waiting_since: float | None) -> None:
        self.note = folder / ".ranks.failed"
        self.waiting_since = waiting_since

    def since_we_wait(self) -> bool:
        return self.waiting_since is not None and self.note.exists() and self.note.stat().st_mtime >= self.waiting_since

    def code(self) -> int:
        return int(self.note.read_text())

    def record(self, code: int) -> None:
        self.note.write_text(str(code))

    def clear(self) -> None:
        self.note.unlink(missing_ok=True)


@contextmanager
def _turn(folder: Path) -> Iterator[_Failures]:
    """Wait until no other rank generates into this folder. The run itself takes another lock, against unrelated runs."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / RANKS_LOCK)
        waiting_since = None
        try:
            lock.acquire(blocking=False)
        except Timeout:
            # The file system's clock may be coarser than ours.
            waiting_since = time.time() - 1
            _say(f"waiting for another process that generates into {folder}", every_rank=True)
            lock.acquire()
    except OSError as error:
        raise StorageError(f"synthetic.output_dir: cannot write to {folder}: {error.strerror}; choose another folder") from error
    try:
        yield _Failures(folder, waiting_since)
    finally:
        lock.release()


def _command(command: str, cfg: Mapping[str, Any], settings: Settings, more: Mapping[str, Any] = MappingProxyType({})) -> int:
    """Run `axolotl synthetic COMMAND` on these settings in a separate process, on this terminal; return its exit code.

    In a process of its own because distilabel takes over the root logger and the signal handlers, and because forking where
    CUDA is in use is unsafe.

    Args:
        command: its name.
        cfg: Axolotl's.
        settings: the block.
        more: further keys of the config.
    """
    told = {key: cfg[key] for key in ("base_model", "adapter", "output_dir") if cfg.get(key) is not None}
    block = {**more, **told, "synthetic": settings.model_dump(mode="json")}
    with tempfile.TemporaryDirectory(prefix="axolotl-synthetic-") as folder:
        config = Path(folder) / "config.yml"
        config.write_text(yaml.safe_dump(block, allow_unicode=True, sort_keys=False), encoding="utf-8")
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        parent = os.getpid()
        child = subprocess.Popen(
            [sys.executable, "-m", "axolotl_synthetic", command, str(config)],
            env=without_ranks(os.environ),
            preexec_fn=lambda: die_with(parent, signal.SIGTERM),
        )
        with _signals_to(child):
            code = child.wait()
    if code < 0:
        _say(f"{command} was ended by {signal.Signals(-code).name}" + ("; was memory short?" if code == -signal.SIGKILL else ""))
    return code if code >= 0 else 128 - code


@contextmanager
def _signals_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Forward signals to the child so that it ends in its own way: it keeps what was paid for, and its exit code becomes ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, _frame: FrameType | None) -> None:
        # A terminal sends Ctrl-C to the child as well; a second one would ask it to stop at once.
        if number != signal.SIGINT or not os.isatty(0):
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_to_file(folder: Path) -> None:
    """Send Axolotl's log below warnings to a file, unless the user has chosen what to see."""
    if terminal.is_verbose() or "AXOLOTL_LOG_LEVEL" in os.environ:
        return
    path = folder / "axolotl.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(path, encoding="utf-8")
    except OSError:
        return  # a read-only folder is no reason to stop; the log stays on the terminal
    to_file.set_name("axolotl-synthetic")
    to_file.setFormatter(logging.Formatter("[%(asctime)s] [%(levelname)s] [%(name)s] %(message)s"))
    for logger in (logging.getLogger("axolotl"), logging.getLogger()):
        for handler in list(logger.handlers):
            if handler.get_name() == to_file.get_name():
                logger.removeHandler(handler)
            elif handler.get_name() in AXOLOTL_TO_TERMINAL:
                handler.setLevel(logging.WARNING)
        logger.addHandler(to_file)
    _say(f"Axolotl's log is {path} ({terminal.VERBOSE}=1 shows it here)")


@contextmanager
def _one_message() -> Iterator[None]:
    """End the process with an error's text and exit code, without a traceback."""
    try:
        yield
    except SyntheticError as error:
        _say(str(error))
        raise SystemExit(error.exit_code) from None


def _say(text: str, *, every_rank: bool = False) -> None:
    if every_rank or os.environ.get("LOCAL_RANK", "0") == "0":
        print(terminal.shown(f"axolotl-synthetic: {text}"), file=sys.stderr, flush=True)
