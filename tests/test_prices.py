"""Prices from the table: for which servers and models, and the same number wherever a run shows dollars."""

from __future__ import annotations

import json
import socket
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import data
from genai_prices.types import (
    ClauseEquals,
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from axolotl_synthetic import prices
from axolotl_synthetic.config import load_settings
from axolotl_synthetic.errors import ConfigError

from fake_profiles import math
from fake_server import FakeServer
from fake_wire import counted, message
from projects import Project

OPENAI = "https://api.openai.com/v1"


def price(paid: str, said: str, **more: str) -> ModelPrice:
    return ModelPrice(
        input_mtok=Decimal(paid), output_mtok=Decimal(said), **{f"{name}_mtok": Decimal(value) for name, value in more.items()}
    )


def model(name: str, prices: object, **more: object) -> ModelInfo:
    return ModelInfo(id=name, match=ClauseEquals(equals=name), prices=prices, **more)  # type: ignore[arg-type]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch):
    """Return a function that replaces the table by one provider's models; it answers for api.hosted.ai."""

    def write(*models: ModelInfo, provider: str = "hosted") -> None:
        monkeypatch.setattr(
            data, "providers", [Provider(id=provider, name="", api_pattern=r"https://api\.hosted\.ai", models=list(models))]
        )
        prices.look_up.cache_clear()

    yield write
    prices.look_up.cache_clear()


def test_a_known_model_of_a_known_server_has_the_tables_price():
    found = prices.look_up(OPENAI, "gpt-4o-mini")
    # https://openai.com/api/pricing: 0.15 and 0.60; cached tokens cost half, and so does everything in a batch.
    assert (found.input, found.output, found.cached_input, found.batch) == (0.15, 0.6, 0.5, 0.5)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost:8000/v1",
        "http://127.0.0.1:8000/v1",
        "http://10.0.0.7/v1",
        "http://[::1]:8000/v1",
        "http://gpu-box:8000/v1",
        "http://models.internal/v1",
        "https://llm.my-company.com/v1",
        "https://api.openai.com.example.org/v1",
        # A deployment's owner chooses its name.
        "https://name.openai.azure.com/openai/deployments/gpt-4o-mini",
    ],
)
def test_a_known_name_on_another_server_has_no_price(base_url):
    assert prices.look_up(base_url, "gpt-4o-mini") is None


@pytest.mark.parametrize("name", ["gpt-4o-mini-of-mine", "ft:gpt-4o-mini-2024-07-18:org::abc", "gpt-4o-mini:free", "", "no-such-model"])
def test_a_name_that_is_not_the_models_has_no_price(name):
    assert prices.look_up(OPENAI, name) is None


def test_a_model_of_litellms_is_looked_up_by_its_provider():
    def known(model: str, **more: str):
        teacher = {"provider": "litellm", "model": model, **more}
        return load_settings({"teacher": teacher}).teacher.known_price

    assert known("openai/gpt-4o-mini").input == known("openai/gpt-4o-mini").output / 4 == 0.15
    assert known("anthropic/claude-haiku-4-5").cached_input == 0.1
    for unknown in ("gpt-4o-mini", "azure/gpt-4o-mini", "ollama/gpt-4o-mini", "openai/mine", "hosted_vllm/gpt-4o-mini"):
        assert known(unknown) is None
    assert known("openai/gpt-4o-mini", base_url="http://localhost:8000/v1") is None
    budget = {"teacher": {"provider": "litellm", "model": "openai/gpt-4o-mini"}, "budget": {"usd": 1}}
    assert load_settings(budget).budget.usd == 1


def test_a_name_that_is_in_the_table_at_two_prices_has_none(table):
    prefix = ModelInfo(id="small", match=ClauseStartsWith(starts_with="small"), prices=price("1", "2"))
    table(prefix, model("small-2", price("3", "4")))
    assert prices.look_up("https://api.hosted.ai/v1", "small-2") is None
    assert prices.look_up("https://api.hosted.ai/v1", "small").input == 1
    table(prefix, model("small-2", price("1", "2")))
    assert prices.look_up("https://api.hosted.ai/v1", "small-2").input == 1


def test_the_price_is_todays_and_the_dearest_of_the_day(table):
    from datetime import date, time

    later = StartDateConstraint(start_date=date(2999, 1, 1))
    now = StartDateConstraint(start_date=date(2020, 1, 1))
    noon = TimeOfDateConstraint(start_time=time(12), end_time=time(13))
    old, new, at_noon, future = price("9", "9"), price("1", "2"), price("3", "5", cache_read="0.75"), price("7", "7")
    table(
        model(
            "m",
            [
                ConditionalPrice(prices=old),
                ConditionalPrice(now, prices=new),
                ConditionalPrice(noon, prices=at_noon),
                ConditionalPrice(later, prices=future),
            ],
        )
    )
    found = prices.look_up("https://api.hosted.ai/v1", "m")
    assert (found.input, found.output, found.cached_input) == (3, 5, 0.25)


def test_a_price_that_rises_for_long_prompts_is_that_of_ours_unless_ours_are_long(table):
    def tiered(start: int) -> ModelPrice:
        return ModelPrice(input_mtok=TieredPrices(Decimal(1), [Tier(start, Decimal(2))]), output_mtok=Decimal(4))

    table(model("long", tiered(200_000)), model("short", tiered(1_000)))
    assert prices.look_up("https://api.hosted.ai/v1", "long").input == 1
    assert prices.look_up("https://api.hosted.ai/v1", "short") is None


def test_a_batch_is_as_dear_as_the_dearer_of_its_parts(table):
    table(model("m", price("1", "2"), price_variants=[PriceVariant({"processing": "batch"}, price("0.5", "1.2"))]))
    assert prices.look_up("https://api.hosted.ai/v1", "m").batch == 0.6


def test_nothing_is_looked_up_on_the_network(monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))
    prices.look_up.cache_clear()
    assert prices.look_up(OPENAI, "gpt-4o-mini") is not None


def test_the_tables_date_is_a_day_in_the_past():
    assert "2025-01-01" < prices.table_date() < "2100-01-01"
    assert prices.source().startswith("genai-prices 0.")


# In a config


def settings(**teacher: object):
    return load_settings({"teacher": {"base_url": OPENAI, "model": "gpt-4o-mini", **teacher}, "budget": {"usd": 1}})


def test_a_budget_of_dollars_takes_a_price_that_is_known_and_refuses_without():
    found = settings().teacher
    assert found.price is None
    assert (found.known_price.input, found.known_price.cached_input, found.known_price.batch) == (0.15, 0.5, 0.5)
    assert settings(price={"input": 7, "output": 7}).teacher.known_price.input == 7
    with pytest.raises(ConfigError, match=r"budget.usd: 1 cannot be kept without synthetic.teacher.price"):
        settings(model="mine")
    with pytest.raises(ConfigError, match=r"cannot be kept without synthetic.teacher.price"):
        settings(base_url="http://localhost:8000/v1")


def test_shares_of_a_price_are_shares():
    given = settings(price={"input": 2, "output": 8, "cached_input": 0.25, "batch": 0.5}).teacher.known_price
    # 36 at 2 and 64 at a quarter of it, 10 at 8: 72 + 32 + 80 millionths.
    assert given.usd(100, 10, 64) == pytest.approx(184e-6)
    for name in ("cached_input", "batch"):
        with pytest.raises(ConfigError, match=f"teacher.price.{name}: 75: must be a share, from 0 to 1, and no price"):
            settings(price={"input": 150, "output": 600, name: 75})


def test_what_is_written_to_a_cache_is_reserved_and_billed_at_its_price():
    given = settings(price={"input": 2, "output": 8, "cache_write": 1.25}).teacher.known_price
    # 36 at 2, 64 at 2.5, 10 at 8.
    assert given.usd(100, 10, written=64) == pytest.approx((72 + 160 + 80) / 1e6)
    assert given.worst_usd(100, 10) == pytest.approx((250 + 80) / 1e6)


# In a run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project whose local server has OpenAI's prices."""
    patch = (
        "import axolotl_synthetic.prices as p\nreal = p.look_up\np.look_up = lambda url, model: real('https://api.openai.com/v1', model)\n"
    )
    (tmp_path / "sitecustomize.py").write_text(patch)
    import os

    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    return Project(tmp_path / "project", seeds=20)


@pytest.mark.slow
def test_dollars_by_a_looked_up_price_with_cached_tokens_are_the_same_everywhere_and_keep_the_budget(project):
    cached = counted(100, 10, prompt_tokens_details={"cached_tokens": 64}, completion_tokens_details={"reasoning_tokens": 4})
    with FakeServer(lambda body: message(math(body), usage=cached)) as server:
        project.configure(server, teacher={"model": "gpt-4o-mini", "concurrency": 2}, budget={"usd": 0.0008})
        done = project.run()
    assert done.code == 0, done.err
    # 36 at 0.15, 64 at 0.075, 10 at 0.60: 5.4 + 4.8 + 6 millionths per call.
    calls = server.count
    billed = calls * 16.2e-6
    assert 10 < calls <= 49
    manifest = project.manifest
    assert manifest["ended_by"] == "usd"
    assert manifest["usd"] == pytest.approx(billed)
    assert billed <= 0.0008
    [[in_ledger, spent]] = project.ledger("SELECT (SELECT sum(usd) FROM calls), (SELECT usd FROM spent)")
    assert in_ledger == pytest.approx(billed)
    assert spent == pytest.approx(billed)
    assert json.loads(project.run("status", "--json").out)["usd"] == pytest.approx(billed)
    assert (manifest["cached_tokens"], manifest["cached_share"]) == (64 * calls, 0.64)
    # Thinking is part of the ten that are billed.
    assert (manifest["reasoning_tokens"], manifest["tokens"]["completion"]) == (4 * calls, 10 * calls)
    known = manifest["prices"]["teacher"]
    assert (known["input"], known["output"], known["cached_input"]) == (0.15, 0.6, 0.5)
    assert known["from"] == prices.source() and known["date"] == prices.table_date()
    plan = project.run("plan").out
    assert "price of the teacher: USD 0.15 per million prompt tokens, cached prompt tokens at 50%" in " ".join(plan.split())
    assert prices.table_date() in plan
    assert project.run("report").code == 0
    page = (project.out / "report.html").read_text(encoding="utf-8")
    assert f"{64 * calls:,} (64%)" in page
    assert f"{4 * calls:,} (40%)" in page
    assert f"{billed:,.4f}" in page


def test_without_a_price_that_is_known_all_stays_unknown(project):
    with FakeServer(lambda body: message(math(body), usage=counted(100, 10))) as server:
        project.configure(server, teacher={"model": "of-mine"}, budget={"samples": 3})
        assert project.run().code == 0
    assert project.manifest["usd"] is None
    assert project.manifest["prices"] == {"teacher": None}
    assert project.manifest["cached_tokens"] is None


@pytest.mark.parametrize(
    ("model", "base_url", "same_as"),
    [
        ("anthropic/claude-sonnet-4-5", None, ("https://api.anthropic.com/v1", "claude-sonnet-4-5")),
        ("gemini/gemini-2.5-flash", None, ("https://generativelanguage.googleapis.com/v1beta/openai", "gemini-2.5-flash")),
        ("openrouter/qwen/qwen3-32b", None, ("https://openrouter.ai/api/v1", "qwen/qwen3-32b")),
        # A local server, a price that depends on the region, and no provider at all.
        ("anthropic/claude-sonnet-4-5", "http://127.0.0.1:4000", None),
        ("bedrock/anthropic.claude-3-haiku-20240307-v1:0", None, None),
        ("claude-sonnet-4-5", None, None),
    ],
)
def test_a_model_through_litellm_costs_what_it_does_at_its_own_address(model, base_url, same_as):
    block = {"teacher": {"provider": "litellm", "model": model, "base_url": base_url}}
    listed = load_settings(block).teacher.listed
    assert listed == (None if same_as is None else prices.look_up(*same_as))
    assert (listed is None) == (same_as is None)
    if listed is not None:
        assert load_settings({**block, "budget": {"usd": 1}}).teacher.known_price.input == listed.input
