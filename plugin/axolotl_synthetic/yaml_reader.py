"""Reading of YAML files as plain dicts and lists; `config.py` interprets the values.

It refuses what would break a reader: anchors that expand a few lines to a hundred million values, and numbers and texts that no setting
takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from axolotl_synthetic.errors import ConfigError

# A config has some hundred values, but a few lines of anchors that refer to one another can expand to a hundred million.
MOST_VALUES = 100_000
DEEPEST = 50
LONGEST = 10_000_000
# Blocks that only we read. The rest is Axolotl's to interpret.
OURS = ("synthetic", "study")
_MERGE, _NUMBERS = "tag:yaml.org,2002:merge", ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with a limit on merged mappings (`<<`): a few lines could otherwise ask for a hundred million keys."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            raise yaml.constructor.ConstructorError(None, None, f"more than {MOST_VALUES:,} keys", node.start_mark)


def read_yaml(path: Path, give: str) -> Any:
    """Return a YAML file's content as plain dicts and lists.

    Args:
        path: the file.
        give: what the error message tells the user to give instead.

    Raises:
        ConfigError: if it cannot be read, or has a value that no config has.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise ConfigError(f"{path}: has more than {LONGEST:,} characters, which no config has; give {give}")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; give {give}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except ValueError as error:  # the path holds a NUL
        raise ConfigError(f"{path}: is no path: {error}; give {give}") from error
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            refuse_unclear(root, str(path))
            return plain(loader.construct_document(root), str(path), [])
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        # Omit PyYAML's own text: it quotes the line, which may hold a key.
        at = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}:{error.problem_mark.column + 1}"
        raise ConfigError(f"{path}{at}: is no YAML: {error.problem or error.context}; correct that place") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is no YAML: {' '.join(str(error).split())}; correct that place") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: is nested too deeply; write it with fewer brackets") from error
    # PyYAML's constructors raise these, for example for a number of 10,000 digits or the 32nd of a month.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ConfigError(f"{path}: holds a value that cannot be read ({error}); put it in quotes, or correct it") from error


def refuse_unclear(root: yaml.Node, path: str) -> None:
    """Refuse what YAML reads differently from how it looks, in our blocks.

    Of a duplicate key only the last value would count, `010` is 8, and `1:30:00` is 5400.

    Raises:
        ConfigError: with the line.
    """
    if not isinstance(root, yaml.MappingNode):
        return
    ours = [(key, value) for key, value in root.value if isinstance(key, yaml.ScalarNode) and key.value in OURS]
    _refuse_twice(ours, "", path)
    waiting = [(value, key.value) for key, value in ours]
    seen: set[int] = set()
    while waiting:
        node, at = waiting.pop()
        if id(node) in seen:  # an anchor may refer to itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _refuse_twice(node.value, f"{at}.", path)
            waiting += [(value, f"{at}.{key.value}" if isinstance(key, yaml.ScalarNode) else at) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(value, f"{at}.{number}") for number, value in enumerate(node.value)]
        elif node.tag in _NUMBERS and node.style is None and (":" in node.value or _OCTAL.fullmatch(node.value)):
            kind = "in base 60" if ":" in node.value else "in base 8"
            raise ConfigError(
                f"{path}:{node.start_mark.line + 1}: {at}: {short(node.value)} is a number {kind} to YAML; write a number without `:` and"
                " without a 0 in front, or a text in quotes"
            )


def _refuse_twice(pairs: Sequence[tuple[yaml.Node, yaml.Node]], at: str, path: str) -> None:
    first: dict[tuple[str, str], int] = {}
    for key, _ in pairs:
        if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
            line = key.start_mark.line + 1
            if (before := first.get((key.tag, key.value))) is not None:
                raise ConfigError(f"{path}:{line}: {at}{short(key.value)[1:-1]}: is there twice, first in line {before}; keep one of them")
            first[key.tag, key.value] = line


def plain(value: Any, path: str, problems: list[str]) -> Any:
    """Return plain dicts and lists for the content of Axolotl's DictDefault or a YAML file.

    Args:
        value: the content.
        path: its path in messages.
        problems: receives a message for each value that no setting takes.

    Raises:
        ConfigError: if it is too large or too deep for a config, for example by anchors that refer to one another.
    """
    left = MOST_VALUES

    def copied(value: Any, at: str, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:
            what = f"more than {MOST_VALUES:,} values" if left < 0 else f"a value {DEEPEST} levels deep"
            raise ConfigError(f"{path}: holds {what}, its anchors (`&…`, `*…`) written out; drop those that name one another")
        if isinstance(value, Mapping):
            return {key: copied(item, f"{at}.{key if isinstance(key, str) else short(key)}", depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [copied(item, f"{at}.{number}", depth + 1) for number, item in enumerate(value)]
        if problem := _unfit(value):
            problems.append(f"{at}: {problem}")
        return value

    return copied(value, path, 0)


def _unfit(value: object) -> str | None:
    """Return why no setting can have this number or text, None if one can."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}: must be a finite number; write one"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return f"{short(value)}: is a larger number than any setting takes; write a smaller one"
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        return "holds U+0000 or half a character (a lone surrogate), which no text may hold; remove it"
    return None


def short(value: object, limit: int = 80) -> str:
    """Return a value as text for a message, cut at `limit` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= limit else text[: limit - 1] + "…"
