"""Starts the Argilla server once for the session; tests use different names for their datasets."""

import itertools

import pytest

from argilla_here import ArgillaHere

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def argilla(tmp_path_factory):
    server = ArgillaHere(tmp_path_factory.mktemp("argilla"))
    with pytest.MonkeyPatch.context() as patched:
        # This process finds the server as the user's own.
        patched.setenv("XDG_DATA_HOME", str(server.data))
        patched.delenv("ARGILLA_API_KEY", raising=False)
        from axolotl_synthetic.review import serve

        serve.install()  # if `make test` has not: the first start's time must not include it
        server.start()
        yield server
        serve.stop()


@pytest.fixture
def review(argilla):
    """Return a `review:` block with a new dataset, selecting everything."""
    return {"api_url": argilla.url, "dataset": f"round-{next(_NUMBERS)}", "select": {"policy": "all"}}
