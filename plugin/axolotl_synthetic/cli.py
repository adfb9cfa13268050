"""The commands of `axolotl synthetic …`: read the config, call `run.py` (or `reviewing.py`), print the result. They decide nothing.

Only the `synthetic:` block and what grading needs are read from the YAML, without Axolotl's validation of the rest, so that a command
starts at once and needs no GPU. Heavy imports stay inside the commands.
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from axolotl_synthetic import extras, versions
from axolotl_synthetic.errors import ConfigError, Interrupted, ServiceError, SyntheticError
from axolotl_synthetic.records import STRATEGIES
from axolotl_synthetic.wording import number_of

if TYPE_CHECKING:
    from axolotl_synthetic.config import Settings
    from axolotl_synthetic.dataset import Counts
    from axolotl_synthetic.plan.measured import Measured

Command = TypeVar("Command", bound=Callable[..., Any])
CONFIG = click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG")


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(versions.summary())
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print our version, and those of what we run on, as a bug report needs them.",
)
def synthetic() -> None:
    """Make training data from a few seed questions: plan, generate, verify and grade it.

    Add a `synthetic:` block to the YAML that you train with. `plan` says which strategy is worth your budget and what it will cost,
    `preview` shows a few samples, `generate` makes the training file. `axolotl train CONFIG` does it all, and trains.

    A run that was stopped goes on where it stopped: start it again. Nothing that was paid for is lost.
    """
    if warning := versions.untested():
        _complain(warning)
    # At exit Python would collect garbage among all objects of torch and others, which takes up to a second and frees nothing useful.
    atexit.register(gc.freeze)


def _set_verbosity(_context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from axolotl_synthetic import terminal

        # Child processes inherit it.
        os.environ[terminal.QUIET if parameter.name == "quiet" else terminal.VERBOSE] = "1"


def _one_message(command: Command) -> Command:
    """Add what all commands share: `--quiet`, `--verbose`, and an error's text and exit code. A traceback is a bug."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except SyntheticError as error:
            _complain(str(error))
            sys.exit(error.exit_code)
        except SystemExit as error:
            # Raised by the user's code, such as a task's module. A command exits by our errors, and with 0 only when it is done.
            _complain(f"a module of yours called sys.exit({error.code!r}) when it was imported or used; take that call out of it")
            sys.exit(ConfigError.exit_code)
        except MemoryError:
            _complain("there is not enough memory; end other programs, or raise the limit (`ulimit -v`). What was paid for is kept")
            sys.exit(ServiceError.exit_code)
        except KeyboardInterrupt:
            _complain("stopped; what was paid for is kept")
            sys.exit(Interrupted.exit_code)

    shared: dict[str, Any] = {"is_flag": True, "expose_value": False, "callback": _set_verbosity}
    verbose = click.option("-v", "--verbose", help="Show the logs of distilabel, lm-eval and Axolotl here, too.", **shared)
    quiet = click.option("-q", "--quiet", help="No progress and no notices: results and errors alone.", **shared)
    return verbose(quiet(wrapped))  # type: ignore[return-value]


@synthetic.command()
@CONFIG
@click.option("--pilot", type=click.IntRange(min=1), metavar="N", help="Measure with N samples a strategy (asks the teacher).")
@click.option(
    "--teachers",
    multiple=True,
    metavar="A.yml,B.yml",
    help="With --pilot: measure the `teacher:` (and `augmenter:`) of these files as well, side by side.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@_one_message
def plan(config: Path, pilot: int | None, teachers: tuple[str, ...], as_json: bool) -> None:
    """Say which strategy is worth the budget, why, and what it will cost. Asks no teacher, except for a pilot.

    With --teachers, or a list as `teacher:` in the block, a pilot makes the same candidates with each and shows, with intervals: the
    accepted
    share; USD and seconds of calls for an accepted sample; distinct, the share of new questions that repeat no seed and no earlier
    question;
    alike, their mean similarity; and agree, the share of answers that end where the seed's answer does (or most of several answers to the
    question).
    """
    from axolotl_synthetic import pilots, run, terminal
    from axolotl_synthetic.plan import show

    files = pilots.files_named(teachers)
    if files and pilot is None:
        raise ConfigError("--teachers: needs a pilot, for only that tells teachers apart; add `--pilot 20`")
    document = _document(config)
    pairs = pilots.read_pairs(config, document["synthetic"], files)
    made = run.plan(pairs[0].settings, student=_student(document), pilot=pilot, pairs=pairs)
    if as_json:
        click.echo(json.dumps(show.to_dict(made), indent=2))
    else:
        show.show(terminal.out(), made)


@synthetic.command()
@CONFIG
@click.option("-n", "number", type=click.IntRange(min=1), default=3, show_default=True, help="How many samples.")
@_one_message
def preview(config: Path, number: int) -> None:
    """Show a few samples with their verdicts. They stay in the ledger, so `generate` does not pay for them again."""
    from axolotl_synthetic.pipelines.process import waiting

    with waiting() as process:
        from axolotl_synthetic import run, terminal
        from axolotl_synthetic.show import show_checks

        settings, training = _read(config)
        rows = run.preview(settings, number, student=_student(training), process=process)
    console = terminal.out()
    for row in rows:
        console.rule(f"{row['id']}: {row['status']}", align="left")
        console.print("question:", style="bold")
        console.print(row["question"] or "(none)", markup=False, highlight=False)
        console.print("answer:", style="bold")
        console.print(row["answer"] or "(none)", markup=False, highlight=False)
        if row["status"] == "failed":
            console.print(f"failed: {row['reason']}", markup=False)
        show_checks(console, row)


@synthetic.command()
@CONFIG
@click.argument("id", required=False)
@click.option("--status", type=click.Choice(["accepted", "rejected", "failed"]), help="Only those that ended so.")
@click.option("--strategy", type=click.Choice(STRATEGIES), help="Only those of one strategy.")
@click.option("--reason", metavar="NAME", help="Only those that this check rejected, or whose failure begins so.")
@click.option("-n", "number", type=click.IntRange(min=1), default=5, show_default=True, help="How many are drawn; always the same.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for programs.")
@_one_message
def show(config: Path, id: str | None, as_json: bool, **wishes: Any) -> None:
    """Show samples with their verdicts and the calls that they came from: messages, reply, tokens, cost. Changes nothing.

    Without an ID some are drawn: `--status rejected --reason final_answer -n 3`.
    """
    from axolotl_synthetic import show as showing
    from axolotl_synthetic import terminal

    settings, _ = _read(config)
    found = showing.find(settings, showing.Choice(id=id, **wishes))
    if as_json:
        for one in found:
            click.echo(json.dumps(one.to_dict()))
    else:
        showing.show(terminal.out(), found)


@synthetic.command()
@CONFIG
@_one_message
def generate(config: Path) -> None:
    """Make the training file. Started again, it goes on where it stopped. Ctrl-C lets running calls finish and keeps them."""
    from axolotl_synthetic.pipelines.process import waiting

    # Import distilabel and what the calls need in another process while this one reads config and seeds.
    with waiting() as process:
        from axolotl_synthetic import run

        settings, training = _read(config)
        outcome = run.generate(settings, student=_student(training), process=process, training=training)
    if outcome.was_finished:
        click.echo("nothing to do: this run was finished before")
    _print_summary(outcome.folder, outcome.manifest, outcome.counts)


@synthetic.command()
@CONFIG
@_one_message
def pipeline(config: Path) -> None:
    """Print the distilabel pipeline that `generate` runs, as YAML with a drawing at its top. Asks no model.

    Save it to a file, and `distilabel pipeline info --config FILE` shows more about it.
    """
    from axolotl_synthetic import run

    settings, _ = _read(config)
    click.echo(run.picture(settings), nl=False)


@synthetic.command()
@click.option("--study", "of_study", is_flag=True, help="Of STUDY.yml instead.")
@click.option("--markdown", is_flag=True, help="A page with every key of both, its default and its meaning.")
@_one_message
def schema(of_study: bool, markdown: bool) -> None:
    """Print the JSON Schema of the `synthetic:` block, by which editors complete and check a YAML.

    Save it, and name the file in the first line of your YAML: `# yaml-language-server: $schema=synthetic.schema.json`.
    """
    if markdown:
        from axolotl_synthetic import reference

        click.echo(reference.markdown(), nl=False)
        return
    from axolotl_synthetic import schema as schemas

    click.echo(json.dumps(schemas.of_study() if of_study else schemas.of_config(), indent=2))


@synthetic.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@_one_message
def status(config: Path, as_json: bool) -> None:
    """Show the state of a run: calls, tokens, cost, verdicts. Changes nothing."""
    from axolotl_synthetic import run, terminal

    settings, _ = _read(config)
    stand = run.status(settings)
    if as_json:
        graded = run.read_grade(stand.folder)
        click.echo(json.dumps({**stand.to_dict(), "grade": None if graded is None else graded.to_dict()}, indent=2))
        return
    if stand.manifest is not None and not stand.running:
        _print_summary(stand.folder, stand.manifest, run.counts(stand.folder))
    else:
        progress = stand.progress
        state = "running" if stand.running else "stopped before its end; `axolotl synthetic generate` goes on"
        verdicts = f"{progress.accepted:,} accepted, {progress.rejected:,} rejected, {progress.failed:,} failed so far"
        terminal.print_lines(
            {
                "state": [state],
                "calls": [_calls(stand.queries, progress.reused, stand.tokens, stand.usd)],
                "failed": [f"{number_of(number, 'call')}: {reason}" for reason, number in stand.failures.items()],
                "waiting": [stand.waiting] if stand.running and stand.waiting else [],
                "batches": [f"{run.batch_line([batch])} ({batch.remote or 'no id yet'})" for batch in stand.batches],
                "samples": [verdicts],
            }
        )
    if (graded := run.read_grade(stand.folder)) is not None:
        from axolotl_synthetic import grading

        terminal.out().print(grading.table(graded.rows), markup=False)


@synthetic.command()
@CONFIG
@click.option("--output-dir", metavar="FOLDER", help="Where the student is, if `axolotl train` was told so by this option.")
@click.option("--base-model", metavar="MODEL", help="What it was trained from, if `axolotl train` was told so by this option.")
@_one_message
def grade(config: Path, output_dir: str | None, base_model: str | None) -> None:
    """Run lm-eval on the base model and on the trained student: held-out seeds, and the tasks named in `grade.tasks`."""
    from axolotl_synthetic import run, terminal

    settings, training = _read(config)
    told = {"output_dir": output_dir, "base_model": base_model}
    made = run.grade(settings, {**training, **{key: value for key, value in told.items() if value is not None}})
    from axolotl_synthetic import grading

    console = terminal.out()
    console.print(grading.table(made.rows), markup=False)
    for note in grading.notes(made.rows):
        console.print(note, markup=False, highlight=False)
    console.print(f"written to {settings.folder / run.GRADE}", markup=False, highlight=False)


@synthetic.command()
@click.argument("study", type=click.Path(path_type=Path), metavar="STUDY")
@click.option("--plan", "only_plan", is_flag=True, help="Only say what it will cost.")
@_one_message
def study(study: Path, only_plan: bool) -> None:
    """Measure which strategy is worth it on your own seeds: generate, train and grade every cell.

    Started again, it goes on where it stopped.
    """
    if not only_plan:
        # A study ends with a figure: check for what draws it before hours of calls.
        extras.require("report", "axolotl synthetic study")
    from axolotl_synthetic import run
    from axolotl_synthetic import study as studies

    asked = studies.load_study(study)
    settings, training = _read(Path(asked.config).expanduser())
    # A study plans for each number of seeds. Skipped rows are reported once, when data is generated from them.
    plan_only = functools.partial(run.plan, tell=False)
    if only_plan:
        studies.look_ahead(asked, settings, training, plan=plan_only)
    else:
        studies.conduct(asked, settings, training, plan=plan_only, generate=run.generate, draw=_study_figures)


def _study_figures(measured: Measured) -> Mapping[str, bytes]:
    # matplotlib takes seconds to import, so import it only when there is something to draw.
    from axolotl_synthetic import report

    return report.study_figures(measured)


@synthetic.command()
@CONFIG
@_one_message
def report(config: Path) -> None:
    """Write one HTML page about the run in `output_dir`, finished or not, with figures that the dataset card shows too. Asks no teacher."""
    extras.require("report", "axolotl synthetic report")
    from axolotl_synthetic import report as reporting
    from axolotl_synthetic import run, terminal

    settings, training = _read(config)
    found = run.find(settings, student=_student(training))
    click.echo(terminal.shown(f"written to {reporting.write(found)}"))


@synthetic.command()
@CONFIG
@click.option("--write", is_flag=True, help="Copy them into the folder that `prompts:` names, to be changed there.")
@_one_message
def prompts(config: Path, write: bool) -> None:
    """Print the prompts that the models are asked with. With `prompts: FOLDER` in the block, a file there replaces the one of its name."""
    from axolotl_synthetic import skeletons, terminal

    settings, _ = _read(config)
    if write:
        written, kept = skeletons.write_prompts(settings)
        terminal.print_lines({"written": list(map(str, written)), "kept": [f"{file}, which was there" for file in kept]})
        return
    console = terminal.out()
    for name, text in skeletons.prompts(settings).items():
        console.rule(name, align="left")
        console.print(text.strip(), markup=False, highlight=False)


@synthetic.command()
@click.argument("kind", type=click.Choice(["task", "check"]))
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), show_default="this one", help="Where the files go.")
@_one_message
def new(kind: str, name: str, folder: Path) -> None:
    """Write a task or a check of your own to start from, with its test: `axolotl synthetic new task SupportTicket`."""
    from axolotl_synthetic import skeletons, terminal

    file, test = skeletons.write(kind, name, folder)
    named = next(line for line in file.read_text(encoding="utf-8").splitlines() if "Named in the YAML" in line)
    used = named.partition("as `")[2].partition("`")[0]
    terminal.print_lines({"written": [f"{file}: change it to what you need", f"{test}: its test"], "used": [f"{used} (in the block)"]})


@synthetic.command("push")
@CONFIG
@click.argument("name", metavar="USER/NAME")
@click.option("--public", is_flag=True, help="Let everybody read it; without this it is private.")
@click.option("--dry-run", is_flag=True, help="Only list what would go. Sends nothing.")
@_one_message
def push_to_the_hub(config: Path, name: str, public: bool, dry_run: bool) -> None:
    """Push the data set to the Hugging Face Hub: Parquet, the card, how it was made. Never the ledger.

    Started again, it sends what is missing.
    Sign in with `hf auth login`, or export HF_TOKEN. (`review push` is for Argilla.)
    """
    from axolotl_synthetic import publishing, terminal

    settings, _ = _read(config)
    done = publishing.push(settings, name, public=public, dry_run=dry_run)
    lines = {
        "would go" if done.pushed is None else "files": list(done.lines),
        "licences": [f"{licence}: {number_of(number, 'seed')}" for licence, number in done.licences.items()],
    }
    if done.pushed is not None:
        lines["removed"] = list(done.pushed.removed)
        who = "private" if done.pushed.is_private else "everybody can read it"
        lines["data set"] = [f"{done.pushed.url} ({who})"]
    terminal.print_lines(lines)


@synthetic.group()
def review() -> None:
    """Let people accept, correct or reject samples in Argilla's web page, and take their decisions into the training file."""


@review.command()
@click.option("--port", type=click.IntRange(1, 65535), default=6900, show_default=True, help="The page's port on 127.0.0.1.")
@click.option("--stop", is_flag=True, help="End the server. Its data stays.")
@_one_message
def serve(port: int, stop: bool) -> None:
    """Start an Argilla server on this machine, for one person or a small team. It needs no Docker, no Elasticsearch and no root."""
    from axolotl_synthetic import reviewing, terminal

    if stop:
        click.echo("the server has ended; its data is kept" if reviewing.stop() else "no server was running")
        return
    served = reviewing.serve(port)
    state = "runs already" if served.was_running else "runs"
    password = served.password if served.is_new else f"the one in {served.credentials}"
    lines = {
        "page": [f"{served.url} ({state}; `axolotl synthetic review serve --stop` ends it)"],
        "sign in": [f"user {served.username}, password {password}"],
        "key": [served.api_key if served.is_new else f"the one in {served.credentials}"],
        "next": ["axolotl synthetic review push CONFIG; on this machine it finds the key by itself"],
        "note": [
            "for one person or a small team: SQLite, reached from this machine alone (others: `ssh -L`)",
            "for more, run a full Argilla and point `review.api_url` at it",
        ],
    }
    if served.is_new:
        lines["key"].append(f"shown this once; both are kept in {served.credentials}, which only you can read")
    terminal.print_lines(lines)


@review.command()
@CONFIG
@_one_message
def push(config: Path) -> None:
    """Send samples to Argilla. Started again, it sends what is new and touches nothing else."""
    extras.require("review", "axolotl synthetic review push")
    from axolotl_synthetic import reviewing, terminal

    settings, _ = _read(config)
    pushed = reviewing.push(settings)
    terminal.print_lines(
        {
            "pushed": [f"{number_of(pushed.added, 'record')}, {pushed.there:,} were there"],
            "deleted": [f"{pushed.deleted:,} were deleted in Argilla and stay so"] if pushed.deleted else [],
            "changed": [f"{pushed.changed:,} show a former text; another `review.dataset` shows the present one"] if pushed.changed else [],
            "page": [pushed.url],
        }
    )


@review.command("status")
@CONFIG
@_one_message
def review_status(config: Path) -> None:
    """Show the state of a review: who answered what, how far people agree, how often they overrule each check. Changes nothing."""
    extras.require("review", "axolotl synthetic review status")
    from axolotl_synthetic import reviewing
    from axolotl_synthetic.review import show

    settings, _ = _read(config)
    show.show(reviewing.status(settings))


@review.command()
@CONFIG
@_one_message
def pull(config: Path) -> None:
    """Take people's decisions into samples.jsonl and a new training file. Pulling again takes what is new."""
    extras.require("review", "axolotl synthetic review pull")
    from axolotl_synthetic import reviewing, terminal

    settings, _ = _read(config)
    outcome = reviewing.pull(settings)
    pulled, standing = outcome.pulled, outcome.standing
    kinds = Counter(ruling.what for ruling in standing.rulings.values())
    failed = outcome.effect.failed_edits if outcome.effect is not None else {}
    lines = {
        "answers": [f"{pulled.answers:,} submitted to {number_of(pulled.records, 'record')}, {pulled.changed:,} of them new or changed"],
        "decided": [
            f"{number_of(sum(kinds.values()), 'sample')}: " + ", ".join(f"{kinds[kind]:,} {kind}" for kind in ("accept", "edit", "reject"))
        ],
        "open": [number_of(len(standing.open), "sample")] if standing.open else [],
        "deleted": [f"{number_of(pulled.gone, 'record')} in Argilla; what was said of them is kept"] if pulled.gone else [],
        "outdated": [f"{len(standing.outdated):,} decisions are about texts that this run does not have"] if standing.outdated else [],
        "rejected": [f"{number_of(number, 'edit')} by {name}: {REJECTED.get(name, '')}".rstrip(": ") for name, number in failed.items()],
    }
    if outcome.manifest is None:
        lines["training"] = ["the settings have changed since the samples were made: `axolotl synthetic generate CONFIG` takes all this in"]
    else:
        train = outcome.manifest["files"]["train"]
        lines["training"] = [f"{number_of(train['rows'], 'chat')} in {settings.folder / train['path']}"]
    terminal.print_lines(lines)


def _read(config: Path) -> tuple[Settings, Mapping[str, Any]]:
    """Return the settings of a config's `synthetic:` block, and the whole config."""
    from axolotl_synthetic.config import load_settings

    document = _document(config)
    try:
        return load_settings(document["synthetic"]), document
    except ConfigError as error:
        raise ConfigError(f"{config}: {error}") from None


def _document(config: Path) -> Mapping[str, Any]:
    """Return a config that has a `synthetic:` block, as YAML gives it."""
    from axolotl_synthetic.yaml_reader import read_yaml

    document = read_yaml(config, "the path of your Axolotl YAML")
    if not isinstance(document, dict) or "synthetic" not in document:
        raise ConfigError(f"{config}: has no `synthetic:` block; add one (the README shows it)")
    return document


def _student(training: Mapping[str, Any]) -> str | None:
    """Return the name of the model that will be trained."""
    student = training.get("base_model")
    return None if student is None else str(student)


def _complain(text: str) -> None:
    from axolotl_synthetic import terminal

    click.echo(terminal.shown(f"axolotl-synthetic: {text}"), err=True)


def _print_summary(folder: Path, manifest: Mapping[str, Any], counts: Counts) -> None:
    """Print a run's summary: calls, accepted samples, rejections with their reasons, and where the files are."""
    from axolotl_synthetic import dataset, terminal

    queries, train = manifest["queries"], manifest["files"]["train"]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in manifest["strategy"].items())
    share = f" ({counts.accepted / counts.planned:.0%})" if counts.planned else ""
    terminal.print_lines(
        {
            "strategy": [
                f"{shares}, from {number_of(manifest['seeds']['count'], 'seed')} ({manifest['seeds']['held_out']:,} more held out)"
            ],
            "calls": [_calls(queries, queries["reused"], sum(manifest["tokens"].values()), manifest["usd"])],
            "samples": [f"{counts.accepted:,} of {counts.planned:,} accepted{share}"],
            "rejected": [f"{number:,} by {name}: {REJECTED.get(name, '')}".rstrip(": ") for name, number in counts.rejections.items()],
            "failed": [f"{number:,}: {reason}" for reason, number in counts.failures.items()],
            "ended": [ended] if (ended := dataset.ending(manifest, counts)) else [],
            "training": [f"{number_of(train['rows'], 'chat')} in {folder / train['path']}"],
            "pairs": _preferences(folder, manifest),
            "details": [f"{folder / 'samples.jsonl'}: every candidate with its verdicts; README.md there is a dataset card"],
        }
    )


def _preferences(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return lines about the files of right and wrong answers; empty where there are none."""
    if (pairs := manifest["files"].get("preferences")) is None:
        return []
    unpaired = manifest["files"]["kto"]
    by = ", ".join(f"{number:,} by {reason}" for reason, number in pairs["counts"].items())
    none = "" if pairs["rows"] else ": no question has a right and a wrong answer; several answers to one come of answer_augmentation"
    labels = ", ".join(f"{number:,} {label}" for label, number in unpaired["counts"].items())
    return [
        f"{number_of(pairs['rows'], 'pair')}{by and f' ({by})'} in {folder / pairs['path']}{none}",
        f"{number_of(unpaired['rows'], 'answer')} ({labels}) in {folder / unpaired['path']}",
    ]


# The meaning of each check's rejections, for a reader who knows nothing else.
REJECTED = {
    "format": "no answer in the task's form, cut off, a refusal, or in another language",
    "length": "shorter or longer than verify.length allows",
    "execution": "a query that does not run, or gives something else than the seed's",
    "final_answer": "does not agree with the seed's answer",
    "self_check": "the augmenter does not stand by its own question",
    "rephrase_fidelity": "a copy of the seed's question, or it asks something else",
    "self_consistency": "most answers to the question end elsewhere",
    "difficulty": "the student can answer the question already",
    "judge": "the judge's score is too low",
    "style": "another length or other forms than the seeds' answers have",
    "decontamination": "gives away a held-out seed, or what stands in verify.decontamination.files",
    "duplicate": "says what an earlier sample or a seed's pair says",
    "near_duplicate": "says almost what an earlier sample or a seed says",
    "diversity": "the seed has as many samples as verify.diversity allows",
    "review": "people rejected it",
    "unreviewed": "pushed for review and not decided",
}


def _calls(queries: Mapping[str, int], reused: int, tokens: int, usd: float | None) -> str:
    from axolotl_synthetic import terminal

    parts = [f"{queries['total']:,} to the models"]
    if queries["total"]:
        # Where the server counts no tokens, the ledger holds an upper bound of their cost.
        counted, most = (number_of(tokens, "token"), "") if tokens else ("no tokens counted by the server", "at most " if usd else "")
        parts += [counted, most + terminal.dollars(usd)]
    if queries["retried"]:
        parts.insert(1, f"{queries['retried']:,} of them retries")
    if reused:
        parts.append(f"{number_of(reused, 'reply', 'replies')} taken from the ledger")
    return ", ".join(parts)
