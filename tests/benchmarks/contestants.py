"""The contestants: the bare client, the real command and the peers.

Each is installed as its users install it, into a separate environment under `.bench/`.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import yaml
from task import MAX_TOKENS, MODEL, TEMPERATURE, questions

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BENCH = ROOT / ".bench"
CONCURRENCY = 64
# Most seeds to draw: further samples are further answers, as in a real run.
MOST_SEEDS = 1000
# The environment in which our package is installed for measuring.
ENVIRONMENT = "axolotl-synthetic"

Command = Sequence[str | Path]


class SkippedError(Exception):
    """Error of a contestant that cannot be measured here; the text says why."""


class Contestant(Protocol):
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """Return variables to add to the environment of its command."""

    def prepare(self) -> None:
        """Prepare before anything is measured. Raises SkippedError."""

    def command(self, base_url: str, samples: int, calls: int, folder: Path) -> Command:
        """Return the command that makes `samples` samples with `calls` dependent calls each, with `folder` for its files."""

    def made(self, folder: Path, log: Path) -> int:
        """Return the number of samples that it made."""


@functools.cache
def _read_once(command: tuple[str | Path, ...], environment: tuple[tuple[str, str], ...]) -> None:
    """Read a contestant's libraries from the disk, so that the first run is not slower than the others."""
    subprocess.run(command, check=False, capture_output=True, timeout=600, env=os.environ | dict(environment))


def _python(name: str) -> Path:
    return BENCH / name / "bin" / "python"


def _install(name: str, *steps: Sequence[str | Path], read: Sequence[Path] = ()) -> None:
    """Create an environment with the packages of these `pip install` arguments and requirements files.

    Raises:
        SkippedError: if a step fails.
    """
    done = BENCH / name / "installed"
    wanted = "\n".join([*(" ".join(map(str, step)) for step in steps), *(path.read_text() for path in read)])
    if done.exists() and done.read_text() == wanted:
        return
    print(f"installing {name} into {BENCH / name} …", flush=True)
    BENCH.mkdir(exist_ok=True)
    venv.create(BENCH / name, with_pip=True)
    pip = [_python(name), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for step in steps:
        result = subprocess.run([*pip, *step], check=False, capture_output=True, text=True, timeout=1800)
        if result.returncode:
            errors = [line for line in result.stderr.splitlines() if "ERROR" in line] or ["pip failed"]
            raise SkippedError(f"cannot be installed: {errors[-1]}")
    done.write_text(wanted)


def _last_line(log: Path) -> int:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith('{"rows"')]
    return int(json.loads(lines[-1])["rows"]) if lines else 0


def _options(base_url: str, samples: int, calls: int, folder: Path) -> list[str | Path]:
    asked = ["--base-url", base_url, "--samples", str(samples), "--calls", str(calls), "--concurrency", str(CONCURRENCY)]
    return [*asked, "--folder", folder]


class Floor:
    """The bare client of floor.py."""

    name = "bare aiohttp"
    environment: ClassVar[dict[str, str]] = {"PYTHONPATH": str(HERE)}

    def prepare(self) -> None:
        pass

    def command(self, base_url: str, samples: int, calls: int, folder: Path) -> Command:
        return [sys.executable, HERE / "floor.py", *_options(base_url, samples, calls, folder)]

    def made(self, folder: Path, log: Path) -> int:
        return _last_line(log)


@dataclass
class Peer:
    """Another tool. `requirements` are installed into `.bench/<name>`; `script`, in peers/, is run."""

    name: str
    script: str
    requirements: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        # Nothing may leave this machine. Two peers would download a table to count tokens; litellm includes it.
        tables = next(BENCH.glob("*/lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"), None)
        return {
            "PYTHONPATH": str(HERE),
            "TELEMETRY_ENABLED": "false",
            "CURATOR_VIEWER": "false",
            "NEMO_TELEMETRY_ENABLED": "false",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "HF_HUB_OFFLINE": "1",
            "OPENAI_API_KEY": "none",
        } | ({"TIKTOKEN_CACHE_DIR": str(tables)} if tables else {})

    def prepare(self) -> None:
        _install(self.name, self.requirements)
        _read_once((_python(self.name), HERE / "peers" / f"{self.script}.py", "--help"), tuple(self.environment.items()))

    def command(self, base_url: str, samples: int, calls: int, folder: Path) -> Command:
        return [_python(self.name), HERE / "peers" / f"{self.script}.py", *_options(base_url, samples, calls, folder)]

    def made(self, folder: Path, log: Path) -> int:
        return _last_line(log)


@dataclass
class Ours:
    """The real command: as `axolotl synthetic`, which imports torch before it calls us, or as `axolotl-synthetic`, which does not.

    It runs in a separate environment: developers' packages would add a quarter of a second to `axolotl`.

    Attributes:
        source: another checkout whose code is run, such as the previous release; None for this one.
    """

    program: str = "axolotl synthetic"
    source: Path | None = None

    @property
    def name(self) -> str:
        return self.program if self.source is None else f"{self.program} of {self.source.name}"

    @property
    def environment(self) -> dict[str, str]:
        path = {} if self.source is None else {"PYTHONPATH": str(self.source.resolve() / "plugin")}
        return {"HF_HUB_OFFLINE": "1", "AXOLOTL_DO_NOT_TRACK": "1", "OPENAI_API_KEY": ""} | path

    def prepare(self) -> None:
        # The set of installed versions; .ci/setup has written its name.
        set_name = (Path(sys.prefix) / "set").read_text().strip()
        constraints, setup = ROOT / ".ci" / f"constraints-{set_name}.txt", ROOT / "setup.cfg"
        _install(ENVIRONMENT, ["-c", constraints, "-e", ROOT], read=[constraints, setup])
        imports = "import axolotl.cli.main, distilabel.pipeline, distilabel.steps"
        _read_once((_python(ENVIRONMENT), "-c", imports), tuple(self.environment.items()))

    def start(self) -> list[str | Path]:
        program, *group = self.program.split()
        return [_python(ENVIRONMENT).with_name(program), *group]

    def command(self, base_url: str, samples: int, calls: int, folder: Path) -> Command:
        return [*self.start(), "generate", self.config(base_url, samples, calls, folder)]

    def config(self, base_url: str, samples: int, calls: int, folder: Path) -> Path:
        """Write the seeds and the YAML of a run."""
        with (folder / "seeds.jsonl").open("w") as file:
            for number, question in enumerate(questions(min(samples, MOST_SEEDS))):
                product = (2 + number % 997) * (2 + number // 997)
                file.write(json.dumps({"question": question, "answer": f"#### {product}"}) + "\n")
        generation = {"temperature": TEMPERATURE, "max_new_tokens": MAX_TOKENS}
        block = {
            "task": "math",
            "seeds": {"path": str(folder / "seeds.jsonl")},
            "strategy": "answer_augmentation" if calls == 1 else "new_question",
            "budget": {"samples": samples},
            "teacher": {"model": MODEL, "base_url": base_url, "concurrency": CONCURRENCY, "generation": generation},
            "output_dir": str(folder / "synthetic"),
        }
        config = folder / "config.yml"
        config.write_text(yaml.safe_dump({"base_model": MODEL, "plugins": ["axolotl_synthetic.SyntheticPlugin"], "synthetic": block}))
        return config

    def made(self, folder: Path, log: Path) -> int:
        manifest = folder / "synthetic" / "manifest.json"
        return int(json.loads(manifest.read_text())["counts"]["accepted"]) if manifest.exists() else 0


OURS = (Ours("axolotl synthetic"), Ours("axolotl-synthetic"))

# The versions with which the README's table was measured.
PEERS: tuple[Peer, ...] = (
    Peer("distilabel", "with_distilabel", ("distilabel[openai]==1.5.3", "requests")),
    Peer("bespokelabs-curator", "with_curator", ("bespokelabs-curator==0.1.31",)),
    Peer("data-designer", "with_data_designer", ("data-designer==0.9.6",)),
)
