"""The `synthetic:` block: its fields, their defaults (each defined only here), and which of them may not be combined.

`load_settings` is the entry point. It reports every problem of a block at once, each with its path, the value and the remedy. The stage
that uses a name (a task, a check, a distilabel class) looks it up. `yaml_reader.py` reads YAML files.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic_core import ErrorDetails

from axolotl_synthetic import prices
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.labels import folded
from axolotl_synthetic.records import STRATEGIES, Role
from axolotl_synthetic.spoken import named
from axolotl_synthetic.yaml_reader import plain, short

# Keys that a user may expect here. They are refused with the reason, so that nobody searches for their spelling.
REFUSED: Mapping[tuple[Any, ...], str] = {
    ("engine", "ray", "generators"): (
        "leave it out: the calls are made by one process beside the ledger, which keeps dozens of GPUs busy; spread over several processes"
        " they were measured to be slower"
    ),
}
# Names of secrets, which must not be in a config: `openai_key`, `aws_secret_access_key`, `hf_token`, `X-Api-Key`. It does not match
# `max_tokens`, nor `api_key_env`, which holds a variable's name.
SECRET_KEYS = re.compile(
    r"((^|[_-]|api|access|private|secret)key|token|passwd|pwd|auth|authorization|bearer|cookie)$|secret|password|credential", re.IGNORECASE
)
# Texts that contain a key, in an address or a header.
SECRET_TEXTS = re.compile(r"[?&;][\w-]*(key|token|secret|password|sig|signature)=|\bbearer\s+\S|://[^/\s]*@", re.IGNORECASE)
DATABASE_SUFFIXES = (".sqlite", ".sqlite3", ".db", ".sql")
# Headers that the HTTP client sets itself.
OWN_HEADERS = frozenset({"connection", "content-length", "content-type", "host", "transfer-encoding"})
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The longest name and path in bytes that file systems and the kernel accept; the path leaves room for our files' names.
LONGEST_NAME, LONGEST_PATH = 255, 4_000
# Upper bounds of calls and tokens, of seconds, and of US dollars. A larger number is a mistake and would break later sums.
MOST, LONGEST_WAIT, DEAREST = 1_000_000_000, 604_800, 1_000_000
# The share of the normal price that a call in a batch costs at OpenAI, Azure, Anthropic and Groq.
BATCH_SHARE = 0.5
# The server whose batches have another format than OpenAI's.
ANTHROPIC_HOST = "api.anthropic.com"
# Answers to one prompt in a call: OpenAI's limit, and the smallest limit of other servers (Gemini's), which works for all.
MOST_AT_ONCE, AUTO_AT_ONCE = 128, 8
# In seconds. No server answers in less: every call would fail, and might be billed.
SHORTEST_WAIT = 0.1
# A run ends after this many candidates for each requested sample: what was rejected until then will go on being rejected.
CANDIDATES_PER_SAMPLE = 20
# A run ends when none of this many candidates in a row, or of as many as there are seeds if these are more, was accepted. At the lowest
# acceptance that a run tolerates, one in `CANDIDATES_PER_SAMPLE`, this happens by chance once in 28,000 times: 0.95 ** 200.
FRUITLESS_CANDIDATES = 200


def fruitless_after(seeds: int) -> int:
    """Return how many candidates in a row must go unaccepted to end a run with this many seeds."""
    return max(FRUITLESS_CANDIDATES, seeds)


# The longest reply in grading, unless the config sets it or a held-out answer needs more.
GRADED_TOKENS = 512


def _kinds_of(annotation: Any) -> set[Any]:
    """Return the plain types that a field may hold, itself or in a list."""
    parts = get_args(annotation)
    return set().union(*map(_kinds_of, parts)) if parts else {annotation}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Block(BaseModel):
    """Any part of the `synthetic:` block: unknown keys are refused, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
    LATER: ClassVar[frozenset[str]] = frozenset()
    """Fields that are dumped only where they are set, so that the fingerprints of earlier runs, which lacked them, stay the same."""

    @model_serializer(mode="wrap")
    def _without_defaults_of_later_fields(self, dump: Callable[[Block], dict[str, Any]]) -> dict[str, Any]:
        dumped = dump(self)
        for name in self.LATER & dumped.keys():
            if getattr(self, name) == type(self).model_fields[name].default:
                del dumped[name]
        return dumped

    @field_validator("*", mode="before")
    @classmethod
    def validate_no_boolean(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic reads true as 1.
        kinds = _kinds_of(cls.model_fields[str(info.field_name)].annotation)
        if not {bool, Any} & kinds and {int, float} & kinds and any(isinstance(one, bool) for one in _items(value)):
            raise ValueError("must be a number; write one")
        return value


def _path(value: str) -> str:
    try:
        path = Path(value).expanduser()
        whole = os.path.abspath(path)
    except RuntimeError:
        raise ValueError("begins with the home folder of a user that there is not; write the folder out") from None
    except OSError as error:
        raise ValueError(f"cannot be found from the working directory: {error.strerror}; change into a folder that there is") from None
    _refuse_special(path)
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > LONGEST_NAME or len(os.fsencode(whole)) > LONGEST_PATH:
        raise ValueError(f"is longer than the {LONGEST_NAME:,} bytes of a name and {LONGEST_PATH:,} of a path that can be; shorten it")
    return value


def _refuse_special(path: Path) -> None:
    """Refuse a pipe, a device or a socket, which may never end. A path that does not exist may be a name on the Hub."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ValueError("is a pipe, a device or a socket, and no file or folder; name one")


PathText = Annotated[str, AfterValidator(_path)]
"""A path, whose `~` is expanded where it is used. The user of the path checks that it exists."""


def _environment_name(value: object) -> object:
    # The message shows nothing of the value, because a key pasted here by mistake must not be echoed.
    if isinstance(value, str) and (not ENVIRONMENT_NAME.fullmatch(value) or value.startswith("sk_")):
        raise ValueError("must be the NAME of an environment variable, such as OPENAI_API_KEY; export the key under that name")
    return value


EnvironmentName = Annotated[str, BeforeValidator(_environment_name)]
# A value or a list of them. The branch is chosen before it is read, so that a problem is reported once.
ONE, SEVERAL = "(one)", "(several)"
ONE_OR_SEVERAL = Discriminator(lambda value: SEVERAL if isinstance(value, list) else ONE)
OneText = Annotated[str, Tag(ONE)]
SeveralTexts = Annotated[Annotated[list[str], Field(min_length=1)], Tag(SEVERAL)]
OneName = Annotated[EnvironmentName, Tag(ONE)]
SeveralNames = Annotated[Annotated[list[EnvironmentName], Field(min_length=1)], Tag(SEVERAL)]


def _url(value: str, example: str) -> str:
    if not re.match(r"https?://[^/]", value):
        raise ValueError(f"must begin with http:// or https:// and name a host, such as {example}")
    if "@" in value.split("//", 1)[1].split("/", 1)[0]:
        raise ValueError("must not hold a user name or password; put the key into the variable named by `api_key_env`")
    try:
        parts = urlsplit(value)
        fits = bool(parts.hostname) and parts.port != 0 and value.isprintable() and bool((parts.hostname or "").encode("idna"))
    except ValueError:  # an invalid port, brackets that do not close, a host such as a..b that no name server can look up
        fits = False
    if not fits or " " in value:
        raise ValueError(f"must be an address alone, with a port from 1 to 65535 if any and a host that can exist, such as {example}")
    if "?" in value or "#" in value:
        raise ValueError(
            f"must be an address without `?…` and `#…`, such as {example}; put a key into the variable named by `api_key_env`, and a"
            " teacher's `?api-version=…` into `query: {api-version: …}`"
        )
    return value.rstrip("/")


def _base_url(value: str) -> str:
    url = _url(value, "http://localhost:8000/v1").removesuffix("/chat/completions").rstrip("/")
    if (found := re.search(r"[^/]/(completions|responses|messages|embeddings|models)$", url)) is not None:
        raise ValueError(f"must be the address before `/chat/completions`, such as http://localhost:8000/v1, without `/{found[1]}`")
    return url


class Seeds(Block):
    """The user's own questions."""

    LATER = frozenset({"field_messages", "field_system", "message_property_mappings", "roles"})

    path: PathText = "seeds.jsonl"
    """A file (jsonl, json, csv, tsv or parquet, also with .gz or .zst at its end), a pattern of several (`seeds/*.jsonl`), the address of
    one (`hf://`, `s3://`, `gs://`, `https://`), a folder of files or of `save_to_disk`, or a Hub dataset."""
    name: str | None = None
    """The Hub dataset's configuration."""
    split: str = "train"
    """The Hub dataset's split."""
    limit: int | None = Field(default=None, ge=1, le=MOST)
    """|S|: the number of seeds to take, drawn with `seed`; null takes all."""
    holdout: float = Field(default=0, ge=0, le=MOST)
    """Seeds kept out of generation, for grading: a share (below 1) of the file's rows or a count (1 and more)."""
    fields: dict[str, str] = {"question": "question", "answer": "answer"}
    """The task's names and the file's columns; a dot reaches into a nested column. A name that is left out is also the column's name."""
    field_messages: str | None = None
    """Chat: the column of the turns, as in Axolotl's `datasets:`; null: messages or conversations."""
    field_system: str | None = None
    """Chat: the column of a system message that is not one of the turns; null: system."""
    message_property_mappings: dict[str, str] | None = None
    """Chat: a turn's keys, such as {role: from, content: value}; null: those, or role and content."""
    roles: dict[str, list[str]] | None = None
    """Chat: the file's names for user, assistant and system, such as {user: [customer], assistant: [agent]}; null: Axolotl's own names."""
    may_fail: float = Field(default=0.02, ge=0, le=1)
    """The share of rows that may be unusable, and of seeds whose own answer may fail the run's checks. With more, a run stops before its
    first call. 1: it never stops."""
    decimal: Literal["comma", "point"] | None = None
    """Math: which of `,` and `.` begins the decimals of a number; with `comma`, 3.600 is 3600. Null: found from the seeds."""
    databases: PathText | None = None
    """Text to SQL: where a seed's database is, such as `dbs/{database}.sqlite`, or `.sql` with CREATE TABLE statements."""
    dialect: str = "sqlite"
    """Text to SQL: the dialect of the queries. SQLite's is the only one that can be run."""

    @field_validator("dialect")
    @classmethod
    def validate_dialect(cls, value: str) -> str:
        if value.lower() not in ("sqlite", "sqlite3"):
            raise ValueError("queries of this dialect cannot be run; SQLite's can: rewrite them for it, and write `dialect: sqlite`")
        return "sqlite"

    @field_validator("databases")
    @classmethod
    def validate_databases(cls, value: str | None) -> str | None:
        if value is not None and (server := re.match(r"([a-z][a-z0-9+]*)://", value, re.IGNORECASE)):
            raise ValueError(f"a database of {server[1]} cannot be queried; give SQLite files, such as dbs/{{database}}.sqlite")
        if value is not None and not value.lower().endswith(DATABASE_SUFFIXES):
            raise ValueError(f"must name files that end in {', '.join(DATABASE_SUFFIXES)}, such as dbs/{{database}}.sqlite")
        return value

    @field_validator("holdout")
    @classmethod
    def validate_holdout(cls, value: float) -> float:
        if value >= 1 and value != int(value):
            raise ValueError("must be a share below 1 or a whole number of seeds")
        return value


class Budget(Block):
    """What a run may use. The first limit that is reached ends it."""

    samples: int | None = Field(default=None, ge=1, le=MOST)
    """Accepted samples: the paper's Q."""
    queries: int | None = Field(default=None, ge=1, le=MOST)
    """Calls of every kind, to every model, retries included."""
    tokens: int | None = Field(default=None, ge=1, le=MOST * MOST)
    """Prompt and completion tokens together."""
    usd: float | None = Field(default=None, gt=0, le=MOST)
    """US dollars; needs the models' `price`."""


# Parameters that have a key of their own, or that would make replies unreadable.
NOT_EXTRA: Mapping[str, str] = {
    "model": "write it as the teacher's `model`",
    "messages": "they are the run's own",
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_new_tokens"), "write `max_new_tokens` beside `extra_body`"),
    **{name: f"write `{name}` beside `extra_body`" for name in ("temperature", "top_p", "stop", "seed", "reasoning_effort")},
    **dict.fromkeys(("stream", "stream_options"), "replies are read whole"),
    "n": "write `samples_per_call` beside `generation`",
}


class Generation(Block):
    """How a model samples."""

    LATER = frozenset({"stop", "seed", "reasoning_effort", "extra_body"})

    temperature: float | None = Field(default=0.7, ge=0, le=2)
    """Sampling temperature; the paper's is 0.7. Null: not sent, for models that refuse it."""
    max_new_tokens: int = Field(default=512, ge=1, le=10_000_000)
    """The longest reply, in tokens."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus sampling; null leaves it to the server."""
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], BeforeValidator(_items, json_schema_input_type=str | list[str])] | None = (
        Field(default=None, min_length=1)
    )
    """A text, or several, that end a reply."""
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    """Sent with each call, with the sample's number added so that several answers to one prompt differ."""
    reasoning_effort: str | None = Field(default=None, min_length=1)
    """Measure of how much a model thinks, in its server's words: low, medium, high, none, …"""
    extra_body: dict[str, Any] = {}
    """Further parameters that the server takes: {top_k: 20, chat_template_kwargs: {enable_thinking: false}}."""

    @field_validator("extra_body")
    @classmethod
    def validate_extra_body(cls, value: dict[str, Any]) -> dict[str, Any]:
        if (name := next((name for name in value if name in NOT_EXTRA), None)) is not None:
            raise ValueError(f"must not hold `{name}`: {NOT_EXTRA[name]}")
        # OpenAI's `prompt_cache_key` is no secret: it tells which calls share a prefix.
        if (key := secret_in({name: item for name, item in value.items() if name != "prompt_cache_key"})) is not None:
            raise ValueError(f"must not hold `{key}`: keys are never written down; use `api_key_env` or `headers_env`")
        try:
            if json.loads(json.dumps(value)) != value:
                raise TypeError
        except (TypeError, ValueError):
            raise ValueError("must hold what JSON can: texts, numbers, true, false, null, lists, and blocks whose keys are texts") from None
        return value

    @cached_property
    def further(self) -> dict[str, Any]:
        """Return the parameters that are set and that ledgers of the first version did not know."""
        return {name: value for name in sorted(self.LATER) if (value := getattr(self, name)) not in (None, {})}

    @cached_property
    def parameters(self) -> str:
        """Return all parameters that are set, except the length limit, as JSON."""
        return json.dumps(self.model_dump(exclude={"max_new_tokens"}, exclude_none=True))


class Price(Block):
    """US dollars per million tokens, and discounts as a share of them."""

    LATER = frozenset({"cached_input", "cache_write", "batch"})

    input: float = Field(ge=0, le=DEAREST)
    """Per million prompt tokens."""
    output: float = Field(ge=0, le=DEAREST)
    """Per million completion tokens."""
    cached_input: float | None = Field(default=None, ge=0)
    """Cost of a prompt token that the server reads from its cache, as a share of `input`: 0.1 is a tenth. Null: the full price."""
    cache_write: float | None = Field(default=None, ge=0, le=100)
    """Cost of a prompt token that the server writes to its cache, as a share of `input`: 1.25 for a quarter more. Null: the full price."""
    batch: float | None = Field(default=None, ge=0)
    """Cost of a call in a batch, as a share of any other call. Null: 0.5, as OpenAI, Azure, Anthropic and Groq have it."""

    @field_validator("cached_input", "batch")
    @classmethod
    def validate_share(cls, value: float | None) -> float | None:
        if value is not None and value > 1:
            raise ValueError("must be a share, from 0 to 1, and no price: 0.5 for half of it")
        return value

    def usd(self, prompt: float, completion: float, cached: float = 0, written: float = 0) -> float:
        """Return US dollars for these numbers of tokens; `cached` and `written` are parts of the prompt's."""
        share = 1.0 if self.cached_input is None else self.cached_input
        surcharge = 1.0 if self.cache_write is None else self.cache_write
        plain = max(0, prompt - cached - written)
        return ((plain + cached * share + written * surcharge) * self.input + completion * self.output) / 1e6

    def worst_usd(self, prompt: float, completion: float) -> float:
        """Return an upper bound: no token is read from the cache, and all are written to it."""
        return self.usd(prompt, completion, written=prompt if (self.cache_write or 0) > 1 else 0)

    def in_batches(self) -> Price:
        """Return the price of a call in a batch."""
        share = BATCH_SHARE if self.batch is None else self.batch
        return self.model_copy(update={"input": self.input * share, "output": self.output * share})


def _batch(value: object) -> object:
    if value is True:
        return {}
    return {"protocol": value} if isinstance(value, str) else None if value is False else value


class Batch(Block):
    """Settings for calls that are sent in batches. See `plugin/docs/batch.md`."""

    protocol: Literal["openai", "anthropic"] | None = None
    """OpenAI's files and batches, which Azure and Groq also have, or Anthropic's message batches; null: by the host of `base_url`."""
    poll: float = Field(default=60, ge=0.02, le=3_600)
    """The most seconds between two polls of a batch; the first comes after 5. A batch of Anthropic's whose creation was interrupted is
    looked for twice, this many seconds apart."""
    window: str = Field(default="24h", min_length=1)
    """`completion_window` of OpenAI's protocol; Groq takes up to 7d."""
    endpoint: str | None = Field(default=None, pattern=r"^/")
    """`url` of a call in OpenAI's protocol; null: /v1/chat/completions, or /chat/completions for a deployment in the `base_url`."""
    requests: int | None = Field(default=None, ge=1, le=MOST)
    """The most calls in one batch; null: 50,000 by OpenAI's protocol, 100,000 by Anthropic's. More calls go into several batches."""
    smallest: int = Field(default=1, ge=1, le=4_096)
    """The fewest calls of a wave that are sent in batches; a smaller wave is asked directly, at the full price. 1: every wave goes in
    batches."""
    megabytes: float | None = Field(default=None, gt=0, le=MOST)
    """The largest size of a batch, in millions of bytes; null: 190 by OpenAI's protocol (the limit is 200), 240 by Anthropic's (256)."""


class Model(Block):
    """Settings that every provider has."""

    LATER = frozenset({"thinking"})

    concurrency: int = Field(default=64, ge=1, le=4096)
    """Calls open at once."""
    timeout: float = Field(default=600, ge=SHORTEST_WAIT, le=LONGEST_WAIT)
    """The most seconds that one call may take."""
    retries: int = Field(default=6, ge=0, le=1_000)
    """How often a failed call is retried, where a retry can help."""
    generation: Generation = Generation()
    """How the model samples."""
    price: Price | None = None
    """Null: the known price of a known model at a known server; else the cost is unknown, and shown as such."""
    thinking: Literal["drop", "keep"] = "drop"
    """Whether the training file keeps what the teacher thought before an accepted answer, as `reasoning_content` of the assistant's
    message. No check or prompt reads it either way."""
    strength: Literal["strong", "weak"] | None = None
    """Augmenter only: a weak one does not invent new questions. Null: weak if it is smaller than the teacher by its name."""

    @property
    def at_once(self) -> int:
        """Return the largest number of answers to one prompt in a call."""
        return 1

    @property
    def listed(self) -> prices.Listed | None:
        """Return the price that is looked up because none is given; None where it is not known."""
        return None

    @cached_property
    def known_price(self) -> Price | None:
        """Return the price to use: the given one, or else the one that is looked up."""
        if self.price is not None or (listed := self.listed) is None:
            return self.price
        return Price(
            input=listed.input,
            output=listed.output,
            cached_input=None if listed.cached_input is None else min(1.0, listed.cached_input),
            cache_write=listed.cache_write,
            batch=None if listed.batch is None else min(1.0, listed.batch),
        )

    @property
    def charged(self) -> Price | None:
        """Return the price of a call in the way it is sent, None when it is unknown."""
        return self.known_price


# LiteLLM's names of providers that charge everybody the same price, and the addresses of their servers.
LITELLM_HOSTS: Mapping[str, str] = {
    "anthropic": "https://api.anthropic.com",
    "cohere_chat": "https://api.cohere.com",
    "deepseek": "https://api.deepseek.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "groq": "https://api.groq.com",
    "mistral": "https://api.mistral.ai",
    "openai": "https://api.openai.com",
    "openrouter": "https://openrouter.ai",
    "xai": "https://api.x.ai",
}
# Arguments that have a key of their own, or that the run must decide.
NOT_LITELLM: Mapping[str, str] = {
    **dict.fromkeys(("model", "api_key"), "write `model` and `api_key_env` beside `kwargs`"),
    **dict.fromkeys(("api_base", "base_url"), "write `base_url` beside `kwargs`"),
    **dict.fromkeys(("messages", "timeout", "n", "stream", "num_retries", "max_retries", "fallbacks", "caching"), "the run decides it"),
    **dict.fromkeys(("callbacks", "success_callback", "failure_callback", "mock_response"), "the run calls the model alone"),
    **{name: f"write it under `generation`{more}" for name, more in {"max_tokens": " as `max_new_tokens`"}.items()},
    **dict.fromkeys(("temperature", "top_p", "stop", "seed", "reasoning_effort", "extra_body"), "write it under `generation`"),
    "thinking": "write it into `generation.extra_body`",
}
NOT_VLLM: Mapping[str, str] = {
    **dict.fromkeys(("--host", "--port", "--uds", "--root-path", "--served-model-name", "--headless", "--config"), "the run decides it"),
    **dict.fromkeys(("--tensor-parallel-size", "-tp"), "write `tensor_parallel`"),
    **dict.fromkeys(("--data-parallel-size", "-dp"), "write `replicas`"),
    "--api-key": "the servers are reached from this machine alone, and go without one",
    "--model": "write `model`",
}


def _as_texts(value: object) -> object:
    # YAML reads `api-version: 2024-10-21` as a date.
    if not isinstance(value, Mapping):
        return value
    return {key: str(item) if isinstance(item, date | int) and not isinstance(item, bool) else item for key, item in value.items()}


def _texts(value: object) -> object:
    # YAML reads 8192 as a number.
    if not isinstance(value, list):
        return value
    return [str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item for item in value]


# Fields of a model that change where and how calls are made, but no reply. A finished run stays finished when they change.
OF_THE_WAY = {
    "concurrency",
    "timeout",
    "retries",
    "price",
    "api_key_env",
    "base_url",
    "headers_env",
    "query",
    "batch",
    "samples_per_call",
} | {*("tensor_parallel", "replicas", "python", "start_timeout")}


def _samples_per_call(value: object) -> object:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_AT_ONCE):
        raise ValueError(f"must be auto or a number from 1 to {MOST_AT_ONCE}")
    return value


class OpenAIModel(Model):
    """Any OpenAI-compatible server, or several that serve the same model."""

    LATER = Model.LATER | {"headers_env", "query", "system_role", "batch", "samples_per_call"}

    provider: Literal["openai"] = "openai"
    """Which kind of teacher this is."""
    model: str = "meta-llama/Llama-3.1-70B-Instruct"
    """The model's name, as the server knows it."""
    base_url: Annotated[OneText | SeveralTexts, ONE_OR_SEVERAL] = "http://localhost:8000/v1"
    """The server's address, as a rule up to and including `/v1`. If only the address with it, or without it, works, that one is used. A
    list spreads the calls over several servers of the same model."""
    api_key_env: Annotated[OneName | SeveralNames, ONE_OR_SEVERAL] = "OPENAI_API_KEY"
    """The NAME of the environment variable that holds the key. A server on this machine may go without one. A list: one for each address
    of `base_url`, or several keys for the one address."""
    headers_env: dict[str, EnvironmentName] = {}
    """Headers, each with the NAME of the environment variable that holds its value: {api-key: AZURE_OPENAI_API_KEY}. A header that holds a
    key replaces `api_key_env`, unless that names a variable of its own."""
    query: Annotated[dict[str, str], BeforeValidator(_as_texts)] = {}
    """Parameters added to the address of each call: {api-version: 2024-10-21}."""
    system_role: Literal["auto", "fold", "keep"] = "auto"
    """For models without a system role: `fold` puts its text before the first user turn, `keep` sends it as a system message, and `auto`
    folds once the server has refused it."""
    batch: Annotated[Batch | None, BeforeValidator(_batch, json_schema_input_type=bool | Literal["openai", "anthropic"] | Batch | None)] = (
        None
    )
    """Send calls in batches, which take up to a day and cost half: true, the protocol (openai or anthropic), or a block of settings."""

    @field_validator("batch")
    @classmethod
    def validate_batch(cls, value: Batch | None, info: ValidationInfo) -> Batch | None:
        """Set the protocol, and refuse parameters that Anthropic's format does not have."""
        if value is None:
            return None
        urls, keys = _items(info.data.get("base_url")), _items(info.data.get("api_key_env"))
        if len(urls) > 1 or len(keys) > 1:
            raise ValueError("goes to one address with one key; write a single `base_url` and `api_key_env`, or remove it")
        if value.protocol is None:
            host = urlsplit(str(urls[0] or "")).hostname
            value = value.model_copy(update={"protocol": "anthropic" if host == ANTHROPIC_HOST else "openai"})
        generation = info.data.get("generation")
        if value.protocol == "anthropic" and isinstance(generation, Generation):
            for name in ("seed", "reasoning_effort"):
                if getattr(generation, name) is not None:
                    raise ValueError(
                        f"`generation.{name}` cannot be sent in Anthropic's batches; remove it (`extra_body` takes `thinking`)"
                    )
        return value

    @property
    def charged(self) -> Price | None:
        price = self.known_price
        return price if price is None or self.batch is None else price.in_batches()

    samples_per_call: Annotated[int | Literal["auto"], BeforeValidator(_samples_per_call)] = 1
    """Answers to one prompt that a call asks for (`n`), where the run certainly needs them, so that the prompt is paid once; `auto` is 8.
    If a server still gives one answer, or refuses, each answer gets a call of its own from then on. Calls in a batch ask for one each."""

    @property
    def at_once(self) -> int:
        """Return the largest number of answers to one prompt in a call."""
        # Each sample has its own seed, and a call has one. A batch already costs half.
        if self.generation.seed is not None or self.batch is not None:
            return 1
        return AUTO_AT_ONCE if self.samples_per_call == "auto" else self.samples_per_call

    @property
    def listed(self) -> prices.Listed | None:
        if self.price is not None:
            return None
        found = {prices.look_up(url, self.model) for url in _items(self.base_url)}
        return found.pop() if len(found) == 1 else None

    @field_validator("base_url")
    @classmethod
    def validate_base_url(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, str):
            return _base_url(value)
        urls = [_base_url(url) for url in value]
        if (twice := next((url for url in urls if urls.count(url) > 1), None)) is not None:
            raise ValueError(f"holds {twice} twice; write each address once, and several keys for it into `api_key_env`")
        return urls

    @field_validator("api_key_env")
    @classmethod
    def validate_api_key_env(cls, value: str | list[str], info: ValidationInfo) -> str | list[str]:
        urls = len(_items(info.data.get("base_url")))
        if isinstance(value, list) and 1 != urls != len(value):
            raise ValueError(
                f"must name one variable for each of the {urls} addresses of `base_url`, or one for all; it names {len(value)}"
            )
        if isinstance(value, list) and len(set(value)) < len(value) and urls == 1:
            raise ValueError("names a variable twice; keep one of them")
        return value

    @field_validator("headers_env")
    @classmethod
    def validate_headers_env(cls, value: dict[str, str]) -> dict[str, str]:
        names = [name.lower() for name in value]
        for name in names:
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name) or name in OWN_HEADERS:
                raise ValueError(f"must hold names of headers such as X-Name, and none of {', '.join(sorted(OWN_HEADERS))}")
        if len(set(names)) < len(names):
            raise ValueError("holds a header twice, for their case does not count; keep one of them")
        return value

    @field_validator("query")
    @classmethod
    def validate_query(cls, value: dict[str, str]) -> dict[str, str]:
        if (key := secret_in(value)) is not None:
            raise ValueError(f"must not hold `{key}`: keys are never written down; use `api_key_env` or `headers_env`")
        return value

    @property
    def endpoints(self) -> tuple[OpenAIModel, ...]:
        """Return these settings once for each address and key, in the order in which they are written."""
        urls, keys = _items(self.base_url), _items(self.api_key_env)
        count = max(len(urls), len(keys))
        pairs = zip(urls * (count // len(urls)), keys * (count // len(keys)), strict=True)
        return tuple(self.model_copy(update={"base_url": url, "api_key_env": key}) for url, key in pairs)

    @property
    def url(self) -> str:
        """Return the address of settings that have only one, as `endpoints` returns them."""
        return str(_items(self.base_url)[0])

    @property
    def key_variable(self) -> str:
        """Return the name of the variable with the key, for settings that have only one."""
        return str(_items(self.api_key_env)[0])


class LiteLLMModel(Model):
    """Any provider that LiteLLM knows, for servers that are not OpenAI-compatible."""

    provider: Literal["litellm"]
    """Which kind of teacher this is."""
    model: str = Field(min_length=1)
    """The model's name as LiteLLM writes it: anthropic/claude-…, gemini/…, bedrock/…"""
    base_url: str | None = None
    """The server's address; null: the provider's own."""
    api_key_env: EnvironmentName | None = None
    """The NAME of the environment variable that holds the key; null: those that LiteLLM reads for the provider."""
    kwargs: dict[str, Any] = {}
    """Further arguments of `litellm.acompletion` that say where the model is: {aws_region_name: us-east-1}, {vertex_project: NAME}."""

    @property
    def listed(self) -> prices.Listed | None:
        provider, _, name = self.model.partition("/")
        url = self.base_url or LITELLM_HOSTS.get(provider)
        return None if self.price is not None or url is None else prices.look_up(url, name)

    @field_validator("base_url")
    @classmethod
    def validate_base_url(cls, value: str | None) -> str | None:
        return None if value is None else _url(value, "https://api.anthropic.com")

    @field_validator("kwargs")
    @classmethod
    def validate_kwargs(cls, value: dict[str, Any]) -> dict[str, Any]:
        if (key := secret_in(value)) is not None:
            raise ValueError(
                f"must not hold `{key}`: keys are never written down; name the variable in `api_key_env`, or export what LiteLLM reads"
            )
        if (name := next((name for name in value if name in NOT_LITELLM), None)) is not None:
            raise ValueError(f"must not hold `{name}`: {NOT_LITELLM[name]}")
        return value


class VLLMModel(Model):
    """A model that vLLM serves on this machine, started and stopped by the run."""

    provider: Literal["vllm"]
    """Which kind of teacher this is."""
    model: str = Field(min_length=1)
    """A folder, or a name on the Hub."""
    tensor_parallel: int = Field(default=1, ge=1, le=1024)
    """GPUs for one copy of the model."""
    replicas: int = Field(default=1, ge=1, le=1024)
    """Copies of the model, each on its own GPUs."""
    args: Annotated[list[str], BeforeValidator(_texts)] = []
    """Further arguments of `vllm serve`: [--max-model-len, 8192]."""
    python: PathText | None = None
    """The Python of an environment with vLLM; null: the `vllm` of PATH, or that of this environment."""
    start_timeout: float = Field(default=1800, ge=1, le=LONGEST_WAIT)
    """Seconds within which all servers must be ready, downloads included."""
    system_role: Literal["auto", "fold", "keep"] = "auto"
    """See `provider: openai`."""

    @field_validator("args")
    @classmethod
    def validate_args(cls, value: list[str]) -> list[str]:
        names = [text.partition("=")[0].replace("_", "-") for text in value]
        if (name := next((name for name in names if name in NOT_VLLM), None)) is not None:
            raise ValueError(f"must not hold `{name}`: {NOT_VLLM[name]}")
        if (key := secret_in(dict.fromkeys((name.lstrip("-") for name in names if name.startswith("-")), "x"))) is not None:
            raise ValueError(f"must not hold `--{key}`: keys are never written down; export what vLLM reads, such as HF_TOKEN")
        if value and not value[0].startswith("-"):
            raise ValueError("must be what stands behind the model on the command line, such as [--max-model-len, 8192]")
        return value


class EmbeddedModel(Model):
    """SmolLM2-135M-Instruct on this machine's CPU, started and stopped by the run."""

    provider: Literal["embedded"]
    """Which kind of teacher this is."""
    model: Literal["SmolLM2-135M-Instruct"] = "SmolLM2-135M-Instruct"
    """The one model that comes with the package."""
    concurrency: int = Field(default=8, ge=1, le=64)
    """Calls open at once; the server keeps one slot for each."""

    @field_validator("generation")
    @classmethod
    def validate_generation(cls, value: Generation) -> Generation:
        if value.reasoning_effort is not None:
            raise ValueError("`reasoning_effort` cannot be sent: this model does not think; remove it")
        return value


class DistilabelModel(Model):
    """Any LLM class of distilabel. A parameter of `generation` that the class does not take is refused when it is loaded."""

    provider: Literal["distilabel"]
    """Which kind of teacher this is."""
    llm: str
    """A class of `distilabel.models`, such as `LiteLLM`, or a dotted path to a class of yours."""
    model: str | None = None
    """The name to record; null takes it from `kwargs`."""
    kwargs: dict[str, Any] = {}
    """The class's arguments. Keys stay in the environment variables that the class reads."""

    @field_validator("generation")
    @classmethod
    def validate_generation(cls, value: Generation) -> Generation:
        if value.seed is not None:
            raise ValueError("`seed` cannot be sent: distilabel takes one for all calls, so that answers to one prompt would be the same")
        return value

    @field_validator("kwargs")
    @classmethod
    def validate_no_secret(cls, value: dict[str, Any]) -> dict[str, Any]:
        if (key := secret_in(value)) is not None:
            raise ValueError(f"must not hold `{key}`: keys are never written down; export the variable that the class reads")
        return value


def _provider(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("provider", "openai"))
    return str(getattr(value, "provider", "openai"))


ModelSettings = OpenAIModel | LiteLLMModel | VLLMModel | EmbeddedModel | DistilabelModel
PROVIDERS: Mapping[str, type[Model]] = {
    "openai": OpenAIModel,
    "litellm": LiteLLMModel,
    "vllm": VLLMModel,
    "embedded": EmbeddedModel,
    "distilabel": DistilabelModel,
}
AnyModel = Annotated[
    Annotated[OpenAIModel, Tag("openai")]
    | Annotated[LiteLLMModel, Tag("litellm")]
    | Annotated[VLLMModel, Tag("vllm")]
    | Annotated[EmbeddedModel, Tag("embedded")]
    | Annotated[DistilabelModel, Tag("distilabel")],
    Discriminator(
        _provider,
        custom_error_type="unknown_provider",
        custom_error_message="provider must be openai, litellm, vllm, embedded or distilabel",
    ),
]


def _one_teacher(value: object) -> object:
    if isinstance(value, list):
        raise ValueError(
            "is a list, which is for `axolotl synthetic plan CONFIG --pilot N` alone: it measures them side by side; choose one of them and"
            " write it as `teacher: {…}`"
        )
    return value


def _strategy(value: object) -> object:
    names = " | ".join(STRATEGIES)
    if isinstance(value, str) and value in ("auto", *STRATEGIES):
        return value
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"must be auto | {names}, or {{name: share, …}} with shares that add up to 1")
    for name, share in value.items():
        if name not in STRATEGIES:
            raise ValueError(f"`{name}` is no strategy; the strategies are {names}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"the share of {name} must be a number from 0 to 1, not {_shown(share)}")
    if abs(sum(value.values()) - 1) > 1e-6:
        raise ValueError(f"the shares add up to {sum(value.values()):g}, not to 1")
    return value


def _checks(value: object) -> object:
    for entry in value if isinstance(value, list) else [value]:
        options = list(entry.values()) if isinstance(entry, Mapping) and len(entry) == 1 else None
        if not isinstance(entry, str) and not (options and (options[0] is None or isinstance(options[0], Mapping))):
            raise ValueError(f"must be a list of check names or {{name: {{option: value}}}}, not {_shown(entry)}")
    return [entry if isinstance(entry, str) else {k: v or {} for k, v in entry.items()} for entry in value]  # type: ignore[attr-defined]


Checks = Annotated[list[str | dict[str, dict[str, Any]]], BeforeValidator(_checks)]


def _greedy(value: ModelSettings) -> ModelSettings:
    """Set the temperature of a student to 0 unless it is given, to ask for its likeliest answer."""
    if "temperature" in value.generation.model_fields_set:
        return value
    return value.model_copy(update={"generation": value.generation.model_copy(update={"temperature": 0.0})})


def first_of_same(models: Mapping[Role, ModelSettings]) -> dict[Role, Role]:
    """Return for each role the first role whose model has the same settings; such roles share a server and a limit on open calls."""
    return {role: next(one for one in models if models[one] == settings) for role, settings in models.items()}


class Grade(Block):
    """What lm-eval grades, on the base model and on the student."""

    tasks: list[str] = []
    """lm-eval tasks besides the task of the held-out seeds."""
    limit: int | None = Field(default=None, ge=1, le=MOST)
    """The most questions of a task."""
    max_new_tokens: int | None = Field(default=None, ge=1)
    """The student's longest reply to a held-out question, in tokens; null: 512, or more where a held-out answer is long. Limited to half of
    the student's context."""
    after_train: bool = True
    """Grade after `axolotl train`, if there is a task or a held-out seed."""


class Select(Block):
    """Which samples people review."""

    policy: Literal["uncertain", "random", "stratified", "all"] = "uncertain"
    """`uncertain`: the most doubtful first; `random`: any; `stratified`: the same number of each kind; or all."""
    count: int = Field(default=200, ge=1, le=MOST)
    """How many, accepted and rejected together; `all` ignores it."""


class Review(Block):
    """Human review in Argilla."""

    api_url: str = "http://localhost:6900"
    """The server's address; `axolotl synthetic review serve` starts one on this machine."""
    api_key_env: EnvironmentName = "ARGILLA_API_KEY"
    """The NAME of the environment variable that holds the key. The server that `review serve` started needs none."""
    workspace: str = Field(default="synthetic", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_\-]*$")
    """Argilla's workspace; created if it is missing and the key's user may create one."""
    dataset: str = Field(default="review", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_\- ]*$", max_length=200)
    """Argilla's dataset; use another one for each round of review."""
    select: Select = Select()
    """Which samples people review."""
    annotators: int = Field(default=1, ge=1, le=1000)
    """Submitted responses that a record needs."""
    unreviewed: Literal["keep", "drop", "wait"] = "keep"
    """What happens to samples that were pushed and not decided: they are trained on (`keep`), they are not (`drop`), or training waits for
    them (`wait`)."""
    guidelines: PathText | None = None
    """A Markdown file that the page shows to reviewers; null: an explanation of the task."""

    @field_validator("api_url")
    @classmethod
    def validate_api_url(cls, value: str) -> str:
        return _url(value, "http://localhost:6900")


class RayCluster(Block):
    """A Ray cluster whose processors verify samples."""

    address: str = "auto"
    """`auto`: the cluster that this machine belongs to (RAY_ADDRESS can name it); `local`: one on this machine, for this run only; or the
    `host:port` of the head of a cluster that this machine has joined."""
    verifiers: int | None = Field(default=None, ge=1, le=4_096)
    """Processes that verify, on one processor each; null: as many as the cluster has free processors when the run starts."""

    @field_validator("address")
    @classmethod
    def validate_address(cls, value: str) -> str:
        if "://" in value:
            raise ValueError("must be an address without `…://`: run on a machine of the cluster, and write auto or its head's host:port")
        if value not in ("auto", "local") and not re.fullmatch(r"\S+:\d{1,5}", value):
            raise ValueError("must be auto, local, or the host:port of a cluster's head, such as 10.0.0.1:6379")
        return value


class RayEngine(Block):
    """An engine that runs the pipeline on this machine and its verification on a Ray cluster."""

    ray: RayCluster
    """Which cluster, and how much of it."""


ENGINES = ("engine_name", "engine_block")
"""Tags of the two forms in which an engine is written."""


def _engine_kind(value: object) -> str:
    return ENGINES[isinstance(value, Mapping | RayEngine)]


AnyEngine = Annotated[
    Annotated[Literal["local", "ray"], Tag(ENGINES[0])] | Annotated[RayEngine, Tag(ENGINES[1])], Discriminator(_engine_kind)
]


def _label(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a text; put it into quotes, for YAML reads yes and no as true and false")
    text = str(value).strip() if isinstance(value, str | int) else value
    if isinstance(text, str) and (not text or "\n" in text):
        raise ValueError("must be a text on one line")
    return text


def _labels(value: list[str]) -> list[str]:
    known: dict[str, str] = {}
    for label in value:
        if (other := known.setdefault(folded(label), label)) is not label:
            raise ValueError(f"has {other!r} and {label!r}, which are read as the same; drop or change one")
    return value


# Keys that apply to one task only.
OF_A_TASK: Mapping[str, str] = {"labels": "classification", "balance": "classification", "turns": "chat"}


# The value of `system` that keeps each seed's own system message.
OF_THE_SEED = "seed"
# The reviewers' verdict, as a reason for a rejection.
REVIEWED = "review"
# Reasons for a rejection that do not make the answer wrong.
NO_WRONG_ANSWER: Mapping[str, str] = {
    **dict.fromkeys(("duplicate", "near_duplicate", "diversity"), "it rejects what was there before, right or wrong"),
    **dict.fromkeys(("self_check", "rephrase_fidelity"), "it rejects questions"),
    "difficulty": "it rejects what the student can answer already",
    "decontamination": "it rejects what gives a held-out seed away",
    "unreviewed": "nobody has decided on such samples",
}


def _preferences(value: object) -> object:
    return {} if value is True else None if value is False else value


class Preferences(Block):
    """Right and wrong answers to the same question, for `rl:`. See `plugin/docs/training.md`."""

    reasons: list[str] = Field(default=["final_answer", "execution", "judge", REVIEWED], min_length=1)
    """Checks whose rejected answers count as wrong; `review`: answers that people rejected or corrected."""
    # K in Iterative Reasoning Preference Optimization (arXiv 2404.19733, section 3): more pairs of one question add little.
    per_question: int | None = Field(default=10, ge=1, le=MOST)
    """The most pairs of one question; null: as many as there are wrong answers."""

    @field_validator("reasons")
    @classmethod
    def validate_reasons(cls, value: list[str]) -> list[str]:
        if (name := next((name for name in value if name in NO_WRONG_ANSWER), None)) is not None:
            raise ValueError(f"{name} finds no wrong answers: {NO_WRONG_ANSWER[name]}; remove it")
        return value


# Values of `axolotl train --launcher`.
Launcher = Literal["accelerate", "torchrun", "python"]

# Axolotl's keys that a round sets itself, or that would train on something else.
NOT_A_ROUNDS: Mapping[str, str] = {
    **dict.fromkeys(("output_dir", "dataset_prepared_path", "datasets"), "each round has its own"),
    **dict.fromkeys(("synthetic", "plugins", "rl"), "a round trains as the YAML says, on questions and answers"),
    "base_model": "the student's state is what is looked at; train the model that the YAML names",
}


class Rounds(Block):
    """The budget in parts, between which the student is trained; seeds that it is worse at get more of the next part.

    See `plugin/docs/rounds.md`.
    """

    count: int = Field(default=3, ge=2, le=20)
    """Parts that the budget is divided into."""
    growth: float = Field(default=2, ge=1, le=10)
    """How many times as large each part is as the one before."""
    by: Literal["loss", "wrong", "uniform"] = "loss"
    """What a seed's need is: `loss`, the bits that each byte of its answer costs the student; `wrong`, whether the student's own answer
    fails the task's check; `uniform`, the same for all: no student is trained, as a control."""
    train: dict[str, Any] = {}
    """Axolotl's keys that replace the YAML's where a round trains, such as a quick LoRA: {adapter: lora, lora_r: 8, lora_target_linear:
    true, num_epochs: 1}."""
    launcher: Launcher | None = None
    """`--launcher` of `axolotl train`, for the students of the rounds; null: Axolotl's own default."""

    @field_validator("train")
    @classmethod
    def validate_train(cls, value: dict[str, Any]) -> dict[str, Any]:
        if (name := next((name for name in value if name in NOT_A_ROUNDS), None)) is not None:
            raise ValueError(f"`{name}` cannot be set here: {NOT_A_ROUNDS[name]}; remove it")
        return value

    @property
    def trains(self) -> bool:
        """Return whether students are trained between the parts."""
        return self.by != "uniform"


def _language(value: str) -> str:
    # The name goes into prompts, so it must not hold a sentence.
    if not re.fullmatch(r"[^\W\d_][\w ()'-]{1,59}", value):
        raise ValueError("must be a language's name, such as German or Brazilian Portuguese, or a code such as de")
    return named(value)


Language = Annotated[str, AfterValidator(_language)]


class Settings(Block):
    """The whole `synthetic:` block."""

    LATER = frozenset({"prompts", "examples", "labels", "balance", "turns", "preferences", "system", "language", "rounds", "student"})

    task: str = "math"
    """math, multiple_choice, text_to_sql, instruction, chat, classification, or the dotted path of a class of yours."""
    seeds: Seeds = Seeds()
    """The user's own questions."""
    strategy: Annotated[str | dict[str, float], BeforeValidator(_strategy)] = "auto"
    """One strategy, shares of several that add up to 1 (of what is tried; more may be rejected of one than of another), or `auto`: by the
    ratio of budget to seeds."""
    budget: Budget = Budget(samples=1000)
    """At least one limit; the first that is reached ends the run."""
    teacher: Annotated[AnyModel, BeforeValidator(_one_teacher, json_schema_input_type=AnyModel | list[AnyModel])] = OpenAIModel()
    """The model that answers. A list is for `plan --pilot N` alone, which measures them side by side."""
    augmenter: AnyModel | None = None
    """The model that rewrites and invents questions; null: the teacher."""
    student: Annotated[AnyModel, AfterValidator(_greedy)] | None = None
    """The model that the check `difficulty` tries new questions on: the one to be trained, or another weak one. Its temperature is 0 unless
    set, and its calls cost nothing unless it has a price."""
    verify: Checks | None = None
    """Checks by name, or {name: options}; null: the task's own."""
    review: Review | None = None
    """Human review in Argilla."""
    study: PathText | None = None
    """A finished study's folder: `auto` then decides by its results."""
    prompts: PathText | None = None
    """A folder with your own prompts: a file there replaces the task's of the same name. `axolotl synthetic prompts CONFIG` prints them."""
    examples: int | None = Field(default=None, ge=0, le=64)
    """Worked examples (seeds with answers) that the teacher sees with each question; null: 4, or one of each label."""
    labels: Annotated[list[Annotated[str, BeforeValidator(_label)]], AfterValidator(_labels)] | None = Field(default=None, min_length=2)
    """Classification: the possible labels; null: those of the seeds."""
    balance: Literal["seeds", "uniform"] = "seeds"
    """Classification: samples are made of every seed as often (`seeds`), or for every label (`uniform`)."""
    turns: int | None = Field(default=None, ge=1, le=32)
    """Chat: New Question writes whole new conversations with this many turns of the user, whom the augmenter plays. Null: it writes another
    last turn of the seed's conversation."""
    reuse_seed_answers: bool = False
    """Question Rephrase takes the seed's own answer, where it has one, instead of asking the teacher again."""
    include_seeds: bool = True
    """Add the seed pairs to the training file."""
    language: Language | None = None
    """The language of new questions and answers, where it is not the seeds': its English name, or a code such as de."""
    system: str | None = Field(default=None, min_length=1)
    """The system message of training data, and of the questions in grading: a text, which replaces a seed's own, or `seed` for each seed's
    own. Null: as `seed`, but seeds may have none. The text is not sent to a teacher."""
    preferences: Annotated[Preferences | None, BeforeValidator(_preferences, json_schema_input_type=bool | Preferences | None)] = None
    """True, or a block: also write files of right and wrong answers to the same question, which Axolotl trains on with `rl: dpo`, `simpo`,
    `ipo`, `orpo` or `kto`."""
    weight: float | None = Field(default=None, gt=0, le=1)
    """Share of the training file that Axolotl trains on, drawn again by its `seed`: the `weight` of our entry in `datasets:`. Null: all.
    Needs Axolotl 0.20."""
    thinking_key: str = Field(default="reasoning_content", pattern=r"^[A-Za-z_]\w*$")
    """The key that the student's chat template reads thoughts from, for a teacher with `thinking: keep`: `template_thinking_key` of our
    entry in `datasets:`."""
    rounds: Rounds | None = None
    """Divide the budget, and spend each part on the seeds that the student, trained on the parts before, is worst at."""
    grade: Grade = Grade()
    """What is graded, and when."""
    output_dir: PathText = Field(default="./synthetic", validate_default=True)
    """The folder of the run's files."""
    seed: int = Field(default=42, ge=-(2**63), lt=2**63)
    """The seed of every random draw."""
    engine: AnyEngine = "local"
    """Where samples are verified: `local`, `ray`, or {ray: {address: …, verifiers: …}}."""

    @field_validator("output_dir")
    @classmethod
    def validate_output_dir(cls, value: str) -> str:
        # Axolotl passes the training file's path to a loader that reads it as a pattern, or as several addresses.
        whole = os.path.abspath(Path(value).expanduser())
        if (found := re.search(r"[*?\[]|::|://", value) or re.search(r"[*?\[]|::", whole)) is not None:
            where = "" if found[0] in value else f" ({whole})"
            raise ValueError(f"must not hold `{found[0]}`{where}: Axolotl would look for the training file by a pattern; rename the folder")
        there = next((folder for folder in (Path(whole), *Path(whole).parents) if os.path.exists(folder)), None)
        if there is not None and not os.path.isdir(there):
            raise ValueError(f"{'is' if there == Path(whole) else f'lies below {there}, which is'} a file and no folder; name a folder")
        return value

    @property
    def keeps_thinking(self) -> bool:
        """Return whether thoughts are trained on."""
        return self.teacher.thinking == "keep"

    @property
    def system_message(self) -> str | None:
        """Return the system message that all questions get, None where each has its own or none."""
        return None if self.system == OF_THE_SEED else self.system

    @property
    def folder(self) -> Path:
        return Path(self.output_dir).expanduser()

    @property
    def cluster(self) -> RayCluster | None:
        """Return the Ray cluster to verify on, None for this machine."""
        if isinstance(self.engine, RayEngine):
            return self.engine.ray
        return RayCluster() if self.engine == "ray" else None

    @property
    def models(self) -> dict[Role, ModelSettings]:
        """Return the model of each role. The student is there only if the config names one, and is free unless its price is known."""
        models: dict[Role, ModelSettings] = {"teacher": self.teacher, "augmenter": self.augmenter or self.teacher}
        if self.student is None:
            return models
        is_free = self.student.price is None and self.student.listed is None and self.student not in models.values()
        free = {"price": Price(input=0, output=0)} if is_free else {}
        return {**models, "student": self.student.model_copy(update=free)}

    def model_for(self, role: Role) -> ModelSettings:
        return self.models.get(role, self.teacher)


def load_settings(block: object) -> Settings:
    """Read a `synthetic:` block.

    Args:
        block: the value of `synthetic:`, as YAML gives it.

    Raises:
        ConfigError: with every problem of the block, one a line.
    """
    if not isinstance(block, Mapping):
        raise ConfigError("synthetic: must be a block of settings such as `seeds:`, `budget:` and `teacher:`; see the README")
    unfit: list[str] = []
    raw = plain(block, "synthetic", unfit)
    problems = list(_combinations(raw))
    settings = None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        said = {problem.partition(": ")[0] for problem in unfit}
        found = [_describe(detail, raw) for detail in error.errors(include_url=False)]
        problems = [problem for problem in found if problem.partition(": ")[0] not in said] + problems
    problems = unfit + problems
    if settings is None or problems:
        unique = list(dict.fromkeys(problem for problem in problems if problem))
        count = "a problem" if len(unique) == 1 else f"{len(unique)} problems"
        raise ConfigError(f"the `synthetic:` block has {count}:\n" + "\n".join(f"  - {problem}" for problem in unique))
    return settings


def load_candidates(block: object) -> list[Settings]:
    """Read a block whose `teacher` may be a list; return the settings with each teacher, in their order.

    Args:
        block: the value of `synthetic:`, as YAML gives it.

    Raises:
        ConfigError: as `load_settings`, with the teacher's position in the list; or if the list is empty.
    """
    teachers = block.get("teacher") if isinstance(block, Mapping) else None
    if not isinstance(block, Mapping) or not isinstance(teachers, list):
        return [load_settings(block)]
    if not teachers:
        raise ConfigError("synthetic.teacher: is an empty list; write a teacher, or a list of them")
    found = []
    for place, teacher in enumerate(teachers, 1):
        try:
            if isinstance(teacher, list):
                raise ConfigError("synthetic.teacher: is a list within a list; write each teacher as a block")
            found.append(load_settings({**block, "teacher": teacher}))
        except ConfigError as error:
            raise ConfigError(f"teacher {place} of the list: {error}") from None
    return found


def secret_in(value: object, name: str = "") -> str | None:
    """Return the name under which a value holds a key or a password, at any depth; None where it seems to hold none.

    Args:
        value: what a config holds.
        name: the key of this value in the config.
    """
    if isinstance(value, Mapping):
        return next((found for key, item in value.items() if (found := secret_in(item, str(key))) is not None), None)
    if isinstance(value, list | tuple):
        return next((found for item in value if (found := secret_in(item, name)) is not None), None)
    named = bool(SECRET_KEYS.search(name)) and not name.endswith("_env") and not isinstance(value, bool)
    if isinstance(value, str | bytes | int | float) and (named or (isinstance(value, str) and SECRET_TEXTS.search(value))):
        return name
    return None


def _combinations(raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield the problems between keys. Reads the raw block, to find them together with the problems of single keys."""

    def part(name: str) -> Mapping[str, Any]:
        return value if isinstance(value := raw.get(name), Mapping) else {}

    budget = part("budget")
    if "budget" in raw and isinstance(raw["budget"], Mapping) and not any(v is not None for v in budget.values()):
        yield "synthetic.budget: sets no limit; give at least one of samples, queries, tokens, usd"
    if budget.get("usd") is not None:
        for role in ("teacher", "augmenter"):
            if isinstance(raw.get(role), list):
                continue
            if (role == "teacher" or part(role)) and not part(role).get("price") and _listed(part(role)) is None:
                yield (
                    f"synthetic.budget.usd: {_shown(budget['usd'])} cannot be kept without synthetic.{role}.price; "
                    "add `price: {input: …, output: …}` in USD per million tokens"
                )
        prices = [part(role).get("price") for role in ("teacher", "augmenter") if part(role)]
        free = [price for price in prices if isinstance(price, Mapping) and not any(price.get(way) for way in ("input", "output"))]
        others = [name for name in ("samples", "queries", "tokens") if budget.get(name) is not None]
        if prices and len(free) == len(prices) and not others:
            yield "synthetic.budget.usd: no limit where every price is 0; add samples, queries or tokens"
    for role in ("teacher", "student"):
        if part(role).get("strength") is not None:
            yield f"synthetic.{role}.strength: only an augmenter has a strength; move it under `augmenter:`"
    for role in ("augmenter", "student"):
        if part(role).get("thinking") == "keep" and part("teacher").get("thinking") != "keep":
            yield f"synthetic.{role}.thinking: only what the teacher thought before an answer can be kept; move it under `teacher:`"
    checks = [name for entry in _items(raw.get("verify")) for name in (entry if isinstance(entry, Mapping) else [entry])]
    if "difficulty" in checks and raw.get("student") is None:
        yield (
            "synthetic.student: is missing, and the check difficulty asks it; write `student: {provider: vllm, model: BASE_MODEL}`, or"
            " `student: {base_url: …, model: …}` for a server that has it"
        )
    if raw.get("student") is not None and "difficulty" not in checks:
        yield "synthetic.student: only the check difficulty asks it; add difficulty to `verify:`, or remove `student:`"
    for role in ("teacher", "augmenter", "student"):
        generation = part(role).get("generation")
        several = part(role).get("samples_per_call", 1)
        if several not in (1, "auto") and isinstance(generation, Mapping) and generation.get("seed") is not None:
            yield (
                f"synthetic.{role}.samples_per_call: {_shown(several)}: answers of one call have one seed, and each sample has its own;"
                " remove `generation.seed`, or write `samples_per_call: 1`"
            )
        if part(role).get("provider") == "distilabel":
            kwargs = part(role).get("kwargs")
            for key in kwargs if isinstance(kwargs, Mapping) else ():
                if key == "generation_kwargs":
                    yield f"synthetic.{role}.kwargs.generation_kwargs: write `generation:` beside `kwargs:` instead"
    yield from _of_rounds(raw, budget if "budget" in raw else Settings.model_fields["budget"].default.model_dump())
    task = raw.get("task", "math")
    for key, only in OF_A_TASK.items():
        # A user's class may be derived from that task.
        if raw.get(key) not in (None, Settings.model_fields[key].default) and isinstance(task, str) and task != only and "." not in task:
            yield f"synthetic.{key}: is for `task: {only}`, and the task is {task}; remove it, or change the task"
    if raw.get("language") is not None and raw.get("reuse_seed_answers") is True:
        yield (
            f"synthetic.reuse_seed_answers: a seed's answer is in the seeds' language, and synthetic.language asks for"
            f" {_shown(raw['language'])}; remove one of them"
        )
    if raw.get("task") == "text_to_sql" and part("seeds").get("databases") is None:
        yield "synthetic.seeds.databases: text_to_sql needs to know where the databases are; write `databases: dbs/{database}.sqlite`"


def _of_rounds(raw: Mapping[str, Any], budget: Mapping[str, Any]) -> Iterator[str]:
    try:
        asked = Rounds.model_validate(raw["rounds"])
    except (KeyError, ValidationError):  # there are no rounds, or their problem is already reported
        return
    share = first_share(asked)
    for name in ("samples", "queries", "tokens"):
        limit = budget.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit * share < 1:
            yield (
                f"synthetic.rounds.count: {asked.count}: the first part of budget.{name}: {limit} would be less than one; raise the budget,"
                " or lower `count` or `growth`"
            )
    if asked.trains and raw.get("balance") == "uniform":
        yield (
            "synthetic.rounds: cannot be combined with `balance: uniform`, which decides by itself which seeds come more often; remove one"
            " of them"
        )


def first_share(rounds: Rounds) -> float:
    """Return the first round's share of the budget; each further round is `growth` times as large as the one before."""
    return 1 / sum(rounds.growth**number for number in range(rounds.count))


def _listed(model: Mapping[str, Any]) -> prices.Listed | None:
    try:
        return (LiteLLMModel if _provider(model) == "litellm" else OpenAIModel).model_validate(model).listed
    except ValidationError:  # already reported, or the model is another provider's
        return None


def _describe(detail: ErrorDetails, raw: Mapping[str, Any]) -> str:
    """Describe one problem on a line: its path, the value, the remedy."""
    location = [part for part in detail["loc"] if part not in _TAGS]
    path = ".".join(["synthetic", *(part if isinstance(part, str) else short(part) for part in location)])
    if tuple(location) in REFUSED:
        return f"{path}: {REFUSED[tuple(location)]}"
    if detail["type"] == "extra_forbidden":
        return f"{path}: unknown key{_remedy(location, raw)}"
    context = detail.get("ctx", {})
    message = str(context["error"]) if "error" in context else detail["msg"][:1].lower() + detail["msg"][1:]
    name = str(location[-1]) if location else ""
    if detail["type"] == "value_error" and (name in ("strategy", "verify") or location == ["teacher"]):
        return f"{path}: {message}"
    if detail["type"] == "missing":
        return f"{path}: is required"
    hidden = {"api_key_env", "args", "kwargs", "base_url", "api_url", "databases", "headers_env", "query", "extra_body"}
    if hidden & set(location) or SECRET_KEYS.search(name) or (name == "generation" and detail["type"] == "value_error"):
        return f"{path}: {message}"
    return f"{path}: {_shown(detail['input'])}: {message}"


# pydantic adds the chosen branch of a union to a location; a user's YAML has no such key.
_TAGS = {*PROVIDERS, ONE, SEVERAL, *ENGINES}


def _remedy(location: list[Any], raw: Mapping[str, Any]) -> str:
    key = str(location[-1])
    if SECRET_KEYS.search(key):
        return "; keys are never written into a config: export it and name the variable in `api_key_env`"
    known = _known_keys(location[:-1], raw)
    if len(location) == 2 and key in OpenAIModel.model_fields and "provider" in known:
        taker = "the class" if "llm" in known else "LiteLLM"
        return f"; `{key}` is for `provider: openai`" + (f"; write what {taker} takes into `kwargs`" if "kwargs" in known else "")
    # With the library's own limit of 0.6, `stops` would suggest `top_p`.
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    return f"; did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known)}"


def _known_keys(location: list[Any], raw: Mapping[str, Any]) -> list[str]:
    """Return the keys of the block at `location`."""
    blocks: Mapping[str, type[Block]] = {
        "seeds": Seeds,
        "budget": Budget,
        "grade": Grade,
        "generation": Generation,
        "price": Price,
        "batch": Batch,
        "review": Review,
        "select": Select,
        "preferences": Preferences,
        "rounds": Rounds,
        "engine": RayEngine,
        "ray": RayCluster,
    }
    if not location:
        return list(Settings.model_fields)
    name = str(location[-1])
    if name in ("teacher", "augmenter", "student"):
        return list(PROVIDERS[_provider(raw[name])].model_fields)
    return list(blocks[name].model_fields) if name in blocks else []


def _shown(value: object) -> str:
    """Return a value for a message, unless it seems to hold a key."""
    return "(not shown, for it seems to hold a key)" if secret_in([value]) is not None else short(value)
