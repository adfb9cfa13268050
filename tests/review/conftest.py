"""Starts the Argilla server once for the session; tests keep apart by the names of their datasets."""

import itertools

import pytest

from argilla_here import ArgillaHere

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def argilla(tmp_path_factory):
    server = ArgillaHere(tmp_path_factory.mktemp("argilla"))
    with pytest.MonkeyPatch.context() as patched:
        # What runs in this process finds the server as the user's own.
        patched.setenv("XDG_DATA_HOME", str(server.data))
        patched.delenv("ARGILLA_API_KEY", raising=False)
        from axolotl_synthetic.review import serve

        serve.install()  # where `make test` has not done it, so that the first start's time is the start's alone
        server.start()
        yield server
        serve.stop()


@pytest.fixture
def review(argilla):
    """A `review:` block with a dataset of its own, everything chosen."""
    return {"api_url": argilla.url, "dataset": f"round-{next(_NUMBERS)}", "select": {"policy": "all"}}
