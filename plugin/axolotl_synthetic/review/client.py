"""Client for an Argilla server; every error becomes a ServiceError that says what to do.

The SDK signs in and makes the dataset. Records go through its HTTP client instead: when reading, the SDK crashes on a response whose values
are null, and when writing, it overwrites existing records.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from axolotl_synthetic.config import Review
from axolotl_synthetic.errors import ConfigError, ServiceError
from axolotl_synthetic.review import page, serve

if TYPE_CHECKING:
    import argilla

WRITTEN_AT_ONCE = 250  # Argilla takes 500; fewer update the progress every few seconds
LETTERS_AT_ONCE = 8_000_000  # so that a request with long texts takes no longer than one with many
READ_AT_ONCE = 500  # Argilla takes 1,000
SECONDS = 120.0
SECONDS_TO_ANSWER = 20.0
LONGEST_SHOWN = 300
# Records are listed by time of writing, which several may share, so pages may repeat one and skip another: read again until the count fits.
READINGS = 5


# Values of the questions with fixed options.
_OFFERED: Mapping[str, set[str | int]] = {"verdict": set(page.VERDICTS), "quality": set(page.QUALITY)}


@dataclass(frozen=True)
class Dataset:
    """A dataset on the server.

    Attributes:
        id: its id on the server.
        questions: ids of the questions by name.
        url: address of its page.
    """

    id: str
    questions: Mapping[str, str]
    url: str


class Server:
    """Connection to a server of a supported version that accepts our key.

    Args:
        settings: the `review:` block.

    Raises:
        ServiceError: if the server cannot be used.
        ConfigError: if there is no key.
    """

    def __init__(self, settings: Review) -> None:
        self._settings = settings
        self._url = settings.api_url
        _refuse_other_servers(self._url)
        key = _key(settings)
        # A local server is never behind a proxy.
        local = urlsplit(self._url).hostname in ("localhost", "127.0.0.1", "::1")
        with self._told():
            import argilla

            self._sdk: argilla.Argilla = argilla.Argilla(
                api_url=self._url, api_key=key, timeout=int(SECONDS), retries=1, **({"trust_env": False} if local else {})
            )
            self.user = str(self._sdk.me.username)
            self.role = str(self._sdk.me.role.value)

    def dataset(self) -> Dataset | None:
        """Return the config's dataset, None if it does not exist yet.

        Raises:
            ConfigError: if a dataset of that name was not made by `make_dataset`.
        """
        workspace = self._workspace()
        if workspace is None:
            return None
        found = self._get("/api/v1/me/datasets", workspace_id=str(workspace.id))["items"]
        for one in found:
            if one["name"] == self._settings.dataset:
                if one["status"] == "draft":
                    # A draft is left over from a server or command that ended while making it.
                    self._call("DELETE", f"/api/v1/datasets/{one['id']}")
                    return None
                return self._known(one)
        return None

    def make_dataset(self, guidelines: str) -> Dataset:
        """Make the config's dataset, and its workspace if necessary."""
        import argilla as rg

        settings = self._settings
        with self._told():
            workspace = self._workspace() or rg.Workspace(name=settings.workspace, client=self._sdk).create()
            made = rg.Dataset(
                name=settings.dataset,
                workspace=workspace,
                client=self._sdk,
                settings=rg.Settings(
                    guidelines=guidelines,
                    fields=[
                        rg.TextField("question", title="Question"),
                        rg.TextField("context", title="Beside the question", required=False),
                        rg.TextField("answer", title="Answer", use_markdown=True),
                        rg.TextField("seed", title="The seed that it was made from", use_markdown=True, required=False),
                        rg.TextField("checks", title="What the checks say", use_markdown=True, required=False),
                    ],
                    questions=[
                        rg.LabelQuestion("verdict", labels=dict(page.VERDICTS), title="What becomes of it?", required=True),
                        rg.TextQuestion("corrected_answer", title="The answer, corrected", required=False),
                        rg.TextQuestion("corrected_question", title="The question, corrected", required=False),
                        rg.TextQuestion("reason", title="Why?", required=False),
                        rg.RatingQuestion("quality", values=list(page.QUALITY), title="How good is it?", required=False),
                    ],
                    metadata=[
                        rg.TermsMetadataProperty("strategy", title="Strategy"),
                        rg.TermsMetadataProperty("status", title="By the checks"),
                        rg.TermsMetadataProperty("rejected_by", title="Rejected by"),
                        rg.FloatMetadataProperty("agreement", title="Agreement of several answers"),
                        rg.IntegerMetadataProperty("tokens", title="Tokens"),
                    ],
                    allow_extra_metadata=True,
                    distribution=rg.TaskDistribution(min_submitted=settings.annotators),
                ),
            ).create()
            return self._known(self._get(f"/api/v1/datasets/{made.id}"))

    def records(self, dataset: Dataset, *, responses: bool) -> list[dict[str, Any]]:
        """Return all records of a dataset as the HTTP API gives them, with their responses on request."""
        include = {"include": "responses"} if responses else {}
        found: dict[str, dict[str, Any]] = {}
        total = 0
        for _ in range(READINGS):
            found.clear()
            offset, total = 0, 1
            while offset < total:
                part = self._get(f"/api/v1/datasets/{dataset.id}/records", offset=offset, limit=READ_AT_ONCE, **include)
                found |= {record["id"]: record for record in part["items"]}
                offset, total = offset + READ_AT_ONCE, part["total"]
            if len(found) == total:
                return list(found.values())
        raise ServiceError(
            f"{self._url}: the records of {self._settings.dataset} keep changing while they are read ({len(found):,} of {total:,}); try"
            " again when nobody adds or deletes any"
        )

    def add(self, dataset: Dataset, records: Sequence[Mapping[str, Any]], on_added: Callable[[int], None]) -> None:
        """Add records that are not on the server yet.

        Args:
            records: as `page.record` makes them.
            on_added: called with the number added so far.
        """
        added = 0
        for some in _parts(records):
            items = [
                {
                    **record,
                    "suggestions": [{"question_id": dataset.questions[name], **given} for name, given in record["suggestions"].items()],
                }
                for record in some
            ]
            self._call("POST", f"/api/v1/datasets/{dataset.id}/records/bulk", json={"items": items})
            added += len(some)
            on_added(added)

    def names(self) -> dict[str, str]:
        """Return the names of people who may have answered, by id."""
        if self.role == "owner":
            people = self._get("/api/v1/users")["items"]
        else:
            workspace = self._workspace()
            assert workspace is not None
            people = [*self._get(f"/api/v1/workspaces/{workspace.id}/users")["items"], self._get("/api/v1/me")]
        return {one["id"]: one["username"] for one in people}

    def _workspace(self) -> argilla.Workspace | None:
        with self._told():
            return next((one for one in self._sdk.workspaces.list() if one.name == self._settings.workspace), None)

    def _known(self, found: Mapping[str, Any]) -> Dataset:
        """Return the dataset, or raise ConfigError if it differs from what `make_dataset` makes."""
        questions = {one["name"]: one for one in self._get(f"/api/v1/datasets/{found['id']}/questions")["items"]}
        fields = {one["name"] for one in self._get(f"/api/v1/datasets/{found['id']}/fields")["items"]}
        name, wrong = self._settings.dataset, None
        if missing := [one for one in page.QUESTIONS if one not in questions]:
            wrong = f"it does not ask for {', '.join(missing)}"
        elif different := [one for one, values in _OFFERED.items() if _offered(questions[one]) != values]:
            wrong = f"it offers other answers to {', '.join(different)}"
        elif fields != set(page.FIELDS):
            wrong = f"its fields are {', '.join(sorted(fields))}"
        if wrong is not None:
            raise ConfigError(
                f"synthetic.review.dataset: {name!r} on {self._url} was not made by `review push`: {wrong}; choose another name"
            )
        needed, asked = self._settings.annotators, found["distribution"]["min_submitted"]
        if asked < needed:
            raise ConfigError(
                f"synthetic.review.annotators: {needed}, and {name!r} on {self._url} was made for {asked}: Argilla shows a record to nobody"
                f" else when it has as many; write `annotators: {asked}`, or choose another `dataset`"
            )
        ids = {one: str(question["id"]) for one, question in questions.items()}
        return Dataset(found["id"], ids, f"{self._url}/dataset/{found['id']}/annotation-mode")

    def _get(self, path: str, **parameters: Any) -> Any:
        return self._call("GET", path, params=parameters)

    def _call(self, method: str, path: str, **request: Any) -> Any:
        with self._told():
            response = self._sdk.http_client.request(method, path, **request)
            response.raise_for_status()
            return response.json() if response.content else None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Convert errors of the SDK and of the HTTP client to ours."""
        from argilla._exceptions import ArgillaAPIError, ArgillaCredentialsError, ArgillaError, ForbiddenError

        try:
            yield
        except ArgillaCredentialsError as error:
            raise self._refused(401, "") from error
        except ForbiddenError as error:
            raise self._refused(403, "") from error  # some of them are raised without their status
        except ArgillaAPIError as error:
            raise self._refused(error.status_code, str(error)) from error
        except httpx.HTTPStatusError as error:
            raise self._refused(error.response.status_code, error.response.text) from error
        except httpx.TransportError as error:
            raise _unreachable(self._url, error) from error
        except (ArgillaError, ValueError, KeyError, TypeError) as error:
            cause = error.__cause__
            if isinstance(cause, httpx.TransportError):
                raise _unreachable(self._url, cause) from error
            if isinstance(cause, ArgillaAPIError):
                raise self._refused(cause.status_code, str(cause)) from error
            raise ServiceError(
                f"{self._url}: gives an answer that cannot be read ({type(error).__name__}: {error}); is it Argilla?"
            ) from error

    def _refused(self, status: int, text: str) -> ServiceError:
        name = self._settings.api_key_env
        said = " ".join(text.split())[:LONGEST_SHOWN]
        if status == 401:
            return ServiceError(f"{self._url} does not know the key in {name}; copy it anew from Argilla's page `My settings`")
        if status == 403:
            who = f"{self.user}, {self.role}" if hasattr(self, "role") else "the key's user"
            return ServiceError(
                f"{self._url} does not allow this to {who}: reviews are pushed and pulled by an owner, or by an admin who is in the"
                f" workspace {self._settings.workspace!r}; put the key of one into {name}"
            )
        remedy = "see its log; what was done is kept, so run the same command again" if status >= 500 else "see its log"
        return ServiceError(f"{self._url} answers with HTTP {status}: {said or 'no reason given'}; {remedy}")


def _parts(records: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the records in order, in groups that fit one request."""
    part: list[Mapping[str, Any]] = []
    letters = 0
    for record in records:
        length = sum(map(len, record["fields"].values()))
        if part and (len(part) == WRITTEN_AT_ONCE or letters + length > LETTERS_AT_ONCE):
            yield part
            part, letters = [], 0
        part.append(record)
        letters += length
    if part:
        yield part


def _offered(question: Mapping[str, Any]) -> set[str | int]:
    return {option["value"] for option in question["settings"].get("options") or ()}


def _key(settings: Review) -> str:
    key = os.environ.get(settings.api_key_env) or serve.key_for(settings.api_url)
    if not key:
        raise ConfigError(
            f"synthetic.review.api_key_env: {settings.api_key_env} is not set; export the key of {settings.api_url} under that name"
            " (Argilla shows it under `My settings`)"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        # The HTTP client would report it too, but would show the key.
        raise ConfigError(f"synthetic.review.api_key_env: what {settings.api_key_env} holds is no key: it has spaces or other signs in it")
    return key


def _refuse_other_servers(url: str) -> None:
    """Raise ServiceError unless the address is a supported Argilla.

    Argilla returns its version without a key, so this tells a wrong address from a wrong key.
    """
    try:
        with httpx.Client(trust_env=False) if "://localhost" in url or "://127." in url else httpx.Client() as client:
            response = client.get(f"{url}/api/v1/version", timeout=SECONDS_TO_ANSWER)
            version = str(response.json()["version"])
    except httpx.TransportError as error:
        raise _unreachable(url, error) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(
            f"{url} answers (HTTP {response.status_code}), but is no Argilla server; correct synthetic.review.api_url"
        ) from error
    if not version.startswith("2."):
        raise ServiceError(
            f"{url} is Argilla {version}; this needs version 2 (tried with {serve.VERSION}): update the server, or start one here with"
            " `axolotl synthetic review serve`"
        )


def _unreachable(url: str, error: Exception) -> ServiceError:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return ServiceError(
            f"{url} cannot be reached ({error or type(error).__name__}); start it (`axolotl synthetic review serve` starts one on this"
            " machine), or correct synthetic.review.api_url"
        )
    return ServiceError(
        f"{url} stopped answering ({error or type(error).__name__}); see that it runs, then run the same command again: it goes on where it"
        " stopped"
    )
