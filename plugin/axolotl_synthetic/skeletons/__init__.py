"""Write starting points for users' own tasks, checks and prompts: `axolotl synthetic new` and `axolotl synthetic prompts`."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError, StorageError
from axolotl_synthetic.tasks import load_task, prompts_of

KINDS = ("task", "check")


def write(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a skeleton and its test.

    Args:
        kind: one of `KINDS`.
        name: name of the class or the function, as `SupportTicket` or `support_ticket`.
        folder: an existing folder that has none of the files.

    Returns:
        The files.

    Raises:
        ConfigError: if the name is not a Python name, or a file exists.
        StorageError: if they cannot be written.
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    module = "_".join(words).lower()
    if not name.isidentifier() or not name.isascii() or not module.isidentifier() or keyword.iskeyword(module):
        raise ConfigError(f"{name!r} cannot name a {kind}; take letters, digits and `_`, such as SupportTicket")
    values = {"module": module, "class": "".join(word[:1].upper() + word[1:] for word in words), "words": " ".join(words).lower()}
    files = {folder / f"{module}.py": f"{kind}.py.txt", folder / f"test_{module}.py": f"test_{kind}.py.txt"}
    for file in files:
        if file.exists():
            raise ConfigError(f"{file} is there already; take another name, or move it away")
    try:
        for file, template in files.items():
            text = (Path(__file__).parent / template).read_text(encoding="utf-8")
            with file.open("x", encoding="utf-8") as made:
                made.write(Template(text).substitute(values))
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; choose a folder that can be written") from error
    return list(files)


def prompts(settings: Settings) -> dict[str, str]:
    """Return the prompts of a run's task, by file name."""
    files = prompts_of(load_task(settings.task, settings.prompts))
    return {name: file.read_text(encoding="utf-8") for name, file in files.items()}


def write_prompts(settings: Settings) -> tuple[list[Path], list[Path]]:
    """Copy the prompts of a run's task into the folder that its config names.

    Returns:
        The files that were written, and those that existed and stay.

    Raises:
        ConfigError: if the config names no folder.
        StorageError: if they cannot be written.
    """
    if settings.prompts is None:
        raise ConfigError("synthetic.prompts: names no folder; write one, such as `prompts: ./prompts`, and run this again")
    folder = Path(settings.prompts).expanduser()
    written: list[Path] = []
    kept: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in prompts(settings).items():
            (kept if (folder / name).exists() else written).append(folder / name)
            if folder / name in written:
                (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; make it writable, or name another folder in `prompts`") from error
    return written, kept
