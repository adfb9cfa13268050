"""Token counts in each provider's sense."""

from __future__ import annotations

import pytest

from axolotl_synthetic.teachers.usage import read_usage

from fake_wire import counted


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (counted(100, 50), (100, 50, None)),
        # Gemini: the total of 1,150 is 100 + 50 + 1,000 of hidden reasoning, billed as completion.
        ({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 1150}, (100, 1050, 1000)),
        # OpenAI: the 40 are part of the 50.
        (counted(100, 50, completion_tokens_details={"reasoning_tokens": 40}), (100, 50, 40)),
        # xAI: by the total, the 300 are additional to the 50.
        (
            {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 450, "completion_tokens_details": {"reasoning_tokens": 300}},
            (100, 350, 300),
        ),
        # 300 cannot be part of 50, whatever the total leaves out.
        ({"prompt_tokens": 100, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 300}}, (100, 350, 300)),
        (counted(100, 50, reasoning_tokens=40), (100, 50, 40)),
        ({"input_tokens": 100, "output_tokens": 50}, (100, 50, None)),
        # OpenAI and DeepSeek: cached tokens are part of the prompt's.
        (counted(100, 50, prompt_tokens_details={"cached_tokens": 90}), (100, 50, None)),
        (counted(100, 50, prompt_cache_hit_tokens=90, prompt_cache_miss_tokens=10), (100, 50, None)),
        # Anthropic: they are additional to it.
        ({"input_tokens": 10, "output_tokens": 50, "cache_read_input_tokens": 90}, (100, 50, None)),
        (
            {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 150, "prompt_tokens_details": {"cached_tokens": 90}},
            (100, 50, None),
        ),
        # Also under OpenAI's names, read and written: 10 + 90 + 200. If a total says so, they are part of the prompt's.
        (
            {"prompt_tokens": 10, "completion_tokens": 50, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 200},
            (300, 50, None),
        ),
        ({"prompt_tokens": 100, "completion_tokens": 50, "cache_read_input_tokens": 90}, (190, 50, None)),
        ({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 240, "cache_read_input_tokens": 90}, (190, 50, None)),
        ({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "cache_read_input_tokens": 90}, (100, 50, None)),
        (
            {"input_tokens": 100, "output_tokens": 50, "cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 3}},
            (110, 50, None),
        ),
        # Bedrock
        ({"inputTokens": 10, "outputTokens": 50, "totalTokens": 150, "cacheReadInputTokens": 90}, (100, 50, None)),
        # A total that is too small is ignored.
        ({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 50}, (100, 50, None)),
        ({"prompt_tokens": True, "completion_tokens": 50.0, "total_tokens": "150"}, (None, None, None)),
        ({"total_tokens": 150}, (0, 150, None)),
    ],
)
def test_usage_is_read_as_its_provider_means_it(usage, expected):
    assert read_usage(usage)[:3] == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # 9,100 - 100 were billed for a reply with only thoughts.
        ({"prompt_tokens": 100, "total_tokens": 9_100}, (100, 9_000)),
        ({"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 9_100}, (100, 9_000)),
        ({"prompt_tokens": 100, "completion_tokens": None, "total_tokens": 9_100}, (100, 9_000)),
        ({"total_tokens": 9_100}, (0, 9_100)),
        # Nothing was generated.
        ({"prompt_tokens": 100, "total_tokens": 100}, (100, None)),
    ],
)
def test_a_total_tells_what_a_reply_cost_where_its_own_count_is_missing(usage, expected):
    assert read_usage(usage)[:2] == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (counted(100, 50), (None, None)),
        # OpenAI, DeepSeek and Moonshot: part of the prompt's; 0 is reported, too.
        (counted(100, 50, prompt_tokens_details={"cached_tokens": 64}), (64, None)),
        (counted(100, 50, prompt_tokens_details={"cached_tokens": 0}), (0, None)),
        (counted(100, 50, prompt_cache_hit_tokens=64, prompt_cache_miss_tokens=36), (64, None)),
        (counted(100, 50, cached_tokens=64), (64, None)),
        (counted(100, 50, prompt_tokens_details={"cached_tokens": 64, "cache_write_tokens": 30}), (64, 30)),
        # Anthropic and Bedrock: additional to the 10, which gives totals of 100 and 300.
        ({"input_tokens": 10, "output_tokens": 50, "cache_read_input_tokens": 90}, (90, None)),
        ({"input_tokens": 10, "output_tokens": 50, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 200}, (90, 200)),
        ({"inputTokens": 10, "outputTokens": 50, "totalTokens": 150, "cacheReadInputTokens": 90}, (90, None)),
        # No more than the prompt can have been cached, whatever a server says.
        (counted(100, 50, total_tokens=150, prompt_tokens_details={"cached_tokens": 100}), (100, None)),
        (counted(100, 50, prompt_tokens_details={"cached_tokens": True}), (None, None)),
        (counted(100, 50, prompt_tokens_details={"cached_tokens": -5}), (None, None)),
        (counted(100, 50, prompt_tokens_details="64"), (None, None)),
    ],
)
def test_what_was_read_from_a_cache_or_written_to_one_is_a_part_of_the_prompt(usage, expected):
    found = read_usage(usage)
    assert (found.cached, found.written) == expected
    assert (found.cached or 0) + (found.written or 0) <= found.prompt
