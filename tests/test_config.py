"""The `synthetic:` block: the contract's defaults, and every problem reported at once, with path and remedy."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from axolotl_synthetic.config import Block, Settings, load_settings
from axolotl_synthetic.errors import ConfigError

# The contract's block, verbatim, without what this version refuses.
CONTRACT = """
task: math
seeds:
  path: seeds.jsonl
  name: null
  split: train
  limit: null
  holdout: 0
  fields: {question: question, answer: answer}
strategy: auto
budget:
  samples: 1000
  queries: null
  tokens: null
  usd: null
teacher:
  provider: openai
  model: meta-llama/Llama-3.1-70B-Instruct
  base_url: http://localhost:8000/v1
  api_key_env: OPENAI_API_KEY
  concurrency: 64
  timeout: 600
  retries: 6
  generation: {temperature: 0.7, max_new_tokens: 512}
augmenter: null
verify: null
review: null
study: null
include_seeds: true
grade: {tasks: [], limit: null, after_train: true}
output_dir: ./synthetic
seed: 42
engine: local
"""


def problems(block: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings(block)
    assert caught.value.exit_code == 2
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


def test_every_default_is_the_contracts():
    assert load_settings(yaml.safe_load(CONTRACT)) == load_settings({})


def test_a_budget_of_queries_alone_sets_no_limit_of_samples():
    assert load_settings({"budget": {"queries": 300}}).budget.samples is None


def test_every_field_has_a_description():
    def blocks(block: type[Block]):
        yield block
        for sub in block.__subclasses__():
            yield from blocks(sub)

    bare = [f"{block.__name__}.{name}" for block in blocks(Block) for name, field in block.model_fields.items() if not field.description]
    assert bare == []


def test_all_problems_are_reported_at_once():
    found = problems(
        {
            "seeds": {"paht": "x", "holdout": 1.5},
            "strategy": {"answer_augmentation": 0.5, "new_question": 0.3},
            "budget": {"samples": 0},
            "teacher": {"concurrency": 0},
            "engine": "spark",
            "grade": {"limit": 0},
        }
    )
    assert found == [
        "synthetic.seeds.holdout: 1.5: must be a share below 1 or a whole number of seeds",
        "synthetic.seeds.paht: unknown key; did you mean `path`?",
        "synthetic.strategy: the shares add up to 0.8, not to 1",
        "synthetic.budget.samples: 0: input should be greater than or equal to 1",
        "synthetic.teacher.concurrency: 0: input should be greater than or equal to 1",
        "synthetic.grade.limit: 0: input should be greater than or equal to 1",
        "synthetic.engine: 'spark': input should be 'local' or 'ray'",
    ]


@pytest.mark.parametrize(
    ("engine", "cluster"),
    [
        ("local", None),
        ("ray", ("auto", None)),
        ({"ray": {}}, ("auto", None)),
        ({"ray": {"address": "10.0.0.1:6379", "verifiers": 8}}, ("10.0.0.1:6379", 8)),
        ({"ray": {"address": "local"}}, ("local", None)),
    ],
)
def test_an_engine_is_a_name_or_a_cluster(engine, cluster):
    found = load_settings({"engine": engine}).cluster
    assert (found and (found.address, found.verifiers)) == cluster


@pytest.mark.parametrize(
    ("ray", "problem"),
    [
        ({"generators": 4}, "synthetic.engine.ray.generators: leave it out: the calls are made by one process beside the ledger, which"),
        ({"verifier": 4}, "synthetic.engine.ray.verifier: unknown key; did you mean `verifiers`?"),
        ({"verifiers": 0}, "synthetic.engine.ray.verifiers: 0: input should be greater than or equal to 1"),
        ({"verifiers": True}, "synthetic.engine.ray.verifiers: True: must be a number; write one"),
        ({"address": "ray://head:10001"}, "synthetic.engine.ray.address: 'ray://head:10001': must be an address without `…://`: run on"),
        ({"address": "head"}, "synthetic.engine.ray.address: 'head': must be auto, local, or the host:port of a cluster's head"),
        (None, "synthetic.engine.ray: None: input should be a valid dictionary"),
    ],
)
def test_what_a_cluster_cannot_be_is_refused_with_the_remedy(ray, problem):
    (found,) = problems({"engine": {"ray": ray}})
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("seeds", "named"),
    [
        ({}, "synthetic.seeds.databases: text_to_sql needs to know where the databases are; write `databases: dbs/{database}.sqlite`"),
        ({"databases": "dbs/{database}"}, "synthetic.seeds.databases: must name files that end in .sqlite, .sqlite3, .db, .sql, such as"),
        ({"databases": "postgresql://me:hunter2@host/x.db"}, "synthetic.seeds.databases: a database of postgresql cannot be queried; give"),
        (
            {"databases": "x.sql", "dialect": "mysql"},
            "synthetic.seeds.dialect: 'mysql': queries of this dialect cannot be run; SQLite",
        ),
    ],
)
def test_text_to_sql_needs_databases_of_sqlite(seeds, named):
    (found,) = problems({"task": "text_to_sql", "seeds": {"path": "seeds.jsonl", **seeds}})
    assert found.startswith(named)
    assert "hunter2" not in found


def test_sqlite_is_the_one_dialect():
    for dialect in ("sqlite", "SQLite", "sqlite3"):
        block = {"task": "text_to_sql", "seeds": {"databases": "dbs/{database}.sql", "dialect": dialect}}
        assert load_settings(block).seeds.dialect == "sqlite"


def test_the_review_blocks_defaults_are_the_contracts():
    text = """
    api_url: http://localhost:6900
    api_key_env: ARGILLA_API_KEY
    workspace: synthetic
    select: {policy: uncertain, count: 200}
    annotators: 1
    unreviewed: keep
    guidelines: null
    """
    assert load_settings({"review": yaml.safe_load(text)}).review == load_settings({"review": {}}).review
    assert load_settings({}).review is None


def test_every_problem_of_the_review_block_has_its_path():
    review = {
        **{"api_url": "localhost:6900", "api_key_env": "argilla.apikey", "workspace": "a b", "dataset": "-x"},
        **{"select": {"policy": "doubtful", "cuont": 3}, "annotators": 0, "unreviewed": "forget"},
    }
    assert problems({"review": review}) == [
        "synthetic.review.api_url: must begin with http:// or https:// and name a host, such as http://localhost:6900",
        "synthetic.review.api_key_env: must be the NAME of an environment variable, such as OPENAI_API_KEY; export the key under that name",
        "synthetic.review.workspace: 'a b': string should match pattern '^[a-zA-Z0-9][a-zA-Z0-9_\\-]*$'",
        "synthetic.review.dataset: '-x': string should match pattern '^[a-zA-Z0-9][a-zA-Z0-9_\\- ]*$'",
        "synthetic.review.select.policy: 'doubtful': input should be 'uncertain', 'random', 'stratified' or 'all'",
        "synthetic.review.select.cuont: unknown key; did you mean `count`?",
        "synthetic.review.annotators: 0: input should be greater than or equal to 1",
        "synthetic.review.unreviewed: 'forget': input should be 'keep', 'drop' or 'wait'",
    ]


def test_a_password_in_the_servers_address_is_not_repeated():
    (found,) = problems({"review": {"api_url": "http://me:hunter2@argilla.example"}})
    assert found.startswith("synthetic.review.api_url: must not hold a user name or password")
    assert "hunter2" not in found


@pytest.mark.parametrize("key", ["api_key", "token", "openai_api_key"])
def test_a_keys_value_has_no_place_and_is_not_repeated(key):
    (found,) = problems({"teacher": {key: "sk-12345"}})
    assert found.startswith(f"synthetic.teacher.{key}: unknown key; keys are never written into a config")
    assert "sk-12345" not in found


def test_a_key_where_its_variables_name_belongs_is_not_repeated():
    (found,) = problems({"teacher": {"api_key_env": "sk-12345"}})
    assert "NAME of an environment variable" in found
    assert "sk-12345" not in found


@pytest.mark.parametrize(
    "host", ["localhost:99999", "localhost:abc", "localhost:0", "[::1", ":80", "a b", "a\tb", "a..b", ".a", "ä..de", "a" * 64, "ä" * 60]
)
def test_an_address_that_cannot_be_one_is_refused(host):
    (found,) = problems({"review": {"api_url": f"http://{host}"}})
    assert found.startswith("synthetic.review.api_url: must be an address alone, with a port from 1 to 65535")
    (found,) = problems({"teacher": {"base_url": f"http://{host}/v1"}})
    assert found.startswith("synthetic.teacher.base_url: must be an address alone")


@pytest.mark.parametrize("host", ["[::1]:8000", "münchen.de", "a_b", "a.", "a" * 63, "127.0.0.1:80"])
def test_an_address_that_can_be_one_is_taken(host):
    assert load_settings({"teacher": {"base_url": f"http://{host}/v1"}}).teacher.base_url == f"http://{host}/v1"


@pytest.mark.parametrize("seconds", [0, 1e-300, 0.09])
def test_a_timeout_in_which_no_server_can_answer_is_refused_with_the_bound(seconds):
    (found,) = problems({"teacher": {"timeout": seconds}})
    assert "greater than or equal to 0.1" in found


def test_a_password_in_the_address_is_not_repeated():
    (found,) = problems({"teacher": {"base_url": "http://me:hunter2@example.org/v1"}})
    assert found.startswith("synthetic.teacher.base_url: must not hold a user name or password")
    assert "hunter2" not in found


def test_a_key_among_the_arguments_of_a_distilabel_class_is_not_repeated():
    (found,) = problems({"teacher": {"provider": "distilabel", "llm": "OpenAILLM", "kwargs": {"api_key": "sk-12345"}}})
    assert found.startswith("synthetic.teacher.kwargs: must not hold `api_key`")
    assert "sk-12345" not in found


@pytest.mark.parametrize("name", ["openai_key", "aws_secret_access_key", "apiKey", "api_key", "hf_token", "password", "credentials"])
def test_a_secret_among_the_arguments_is_refused_and_not_echoed(name):
    (found,) = problems({"teacher": {"provider": "distilabel", "llm": "OpenAILLM", "kwargs": {name: "recognisable-12345"}}})
    assert found.startswith(f"synthetic.teacher.kwargs: must not hold `{name}`")
    assert "recognisable" not in found


@pytest.mark.parametrize("name", ["tokenizer_id", "max_tokens", "monkey", "key_frames"])
def test_an_argument_that_only_sounds_like_a_secret_is_taken(name):
    load_settings({"teacher": {"provider": "distilabel", "llm": "OpenAILLM", "kwargs": {name: "x"}}})


@pytest.mark.parametrize("tail", ["?api_key=recognisable-12345", "#recognisable-12345", "?api-version=2024-10-21"])
def test_an_address_with_a_query_is_refused_and_not_echoed(tail):
    (found,) = problems({"teacher": {"base_url": f"https://api.example.com/v1{tail}"}})
    assert "must be an address without `?…`" in found
    assert "recognisable" not in found


def test_dollars_need_the_price_of_each_model():
    assert problems({"budget": {"usd": 3}, "augmenter": {"provider": "embedded"}}) == [
        "synthetic.budget.usd: 3 cannot be kept without synthetic.teacher.price; add `price: {input: …, output: …}` in USD per"
        " million tokens",
        "synthetic.budget.usd: 3 cannot be kept without synthetic.augmenter.price; add `price: {input: …, output: …}` in USD per"
        " million tokens",
    ]


def test_a_budget_without_a_limit_is_refused():
    assert problems({"budget": {"samples": None}}) == [
        "synthetic.budget: sets no limit; give at least one of samples, queries, tokens, usd"
    ]


def test_dollars_are_no_limit_where_everything_is_free():
    free = {"price": {"input": 0, "output": 0}}
    assert problems({"budget": {"usd": 3}, "teacher": free}) == [
        "synthetic.budget.usd: no limit where every price is 0; add samples, queries or tokens"
    ]
    assert load_settings({"budget": {"usd": 3, "queries": 10}, "teacher": free}).budget.usd == 3


def test_a_provider_that_there_is_not_is_named_with_those_there_are():
    (found,) = problems({"teacher": {"provider": "anthropic"}})
    assert found.endswith("provider must be openai, litellm, vllm, embedded or distilabel")


def test_a_key_of_another_provider_is_refused():
    (found,) = problems({"teacher": {"provider": "embedded", "base_url": "http://localhost:1/v1"}})
    assert found.startswith("synthetic.teacher.base_url: unknown key")


def test_strength_is_the_augmenters():
    assert load_settings({"augmenter": {"strength": "weak"}}).augmenter.strength == "weak"
    assert problems({"teacher": {"strength": "weak"}}) == [
        "synthetic.teacher.strength: only an augmenter has a strength; move it under `augmenter:`"
    ]


def test_the_augmenter_is_the_teacher_unless_named():
    settings = load_settings({"teacher": {"model": "one"}})
    assert settings.model_for("augmenter").model == "one"


def test_what_is_no_block_is_refused():
    with pytest.raises(ConfigError, match="must be a block of settings"):
        load_settings("math")


@given(st.dictionaries(st.sampled_from(("answer_augmentation", "question_rephrase", "new_question")), st.floats(0.01, 1), min_size=1))
def test_shares_are_accepted_if_and_only_if_they_add_up_to_one(shares):
    scaled = {name: share / sum(shares.values()) for name, share in shares.items()}
    assert load_settings({"strategy": scaled}).strategy == scaled
    if abs(sum(shares.values()) - 1) > 1e-3:
        with pytest.raises(ConfigError, match="add up to"):
            load_settings({"strategy": shares})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*Settings.model_fields, "x"]), inner, max_size=4),
        max_leaves=12,
    )
)
def test_no_block_whatever_ends_in_anything_but_settings_or_a_message(block):
    try:
        load_settings(block)
    except ConfigError as error:
        assert "synthetic" in str(error)


# Parameters, addresses and headers


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({"generation": {"top_k": 5}}, "generation.top_k: unknown key; did you mean `top_p`?"),
        ({"generation": {"reasoning_efort": "low"}}, "generation.reasoning_efort: unknown key; did you mean `reasoning_effort`?"),
        ({"generation": {"stop": []}}, "generation.stop: []: value should have at least 1 item"),
        ({"generation": {"stop": True}}, "generation.stop.0: True: input should be a valid string"),
        ({"generation": {"seed": True}}, "generation.seed: True: must be a number"),
        (
            {"generation": {"extra_body": {"temperature": 1}}},
            "generation.extra_body: must not hold `temperature`: write `temperature` beside",
        ),
        (
            {"generation": {"extra_body": {"max_completion_tokens": 1}}},
            "generation.extra_body: must not hold `max_completion_tokens`: write",
        ),
        ({"generation": {"extra_body": {"stream": True}}}, "generation.extra_body: must not hold `stream`: replies are read whole"),
        ({"generation": {"extra_body": {"a": {"api_key": "recog"}}}}, "generation.extra_body: must not hold `api_key`: keys are never"),
        ({"generation": {"extra_body": {"a": yaml.safe_load("2024-10-21")}}}, "generation.extra_body: must hold what JSON can"),
        ({"generation": {"extra_body": {"a": {1: 2}}}}, "generation.extra_body: must hold what JSON can"),
        ({"headers_env": {"X-Name": "recog value"}}, "headers_env.X-Name: must be the NAME of an environment variable"),
        ({"headers_env": {"X Name": "X"}}, "headers_env: must hold names of headers"),
        ({"headers_env": {"Content-Type": "X"}}, "headers_env: must hold names of headers"),
        ({"headers_env": {"X-Name": "X", "x-name": "Y"}}, "headers_env: holds a header twice"),
        ({"query": {"api_key": "recog"}}, "query: must not hold `api_key`: keys are never written down"),
        ({"system_role": "folded"}, "system_role: 'folded': input should be 'auto', 'fold' or 'keep'"),
        ({"base_url": "https://x.com/v1/completions"}, "base_url: must be the address before `/chat/completions`"),
        ({"base_url": "https://x.com/v1/models/"}, "base_url: must be the address before `/chat/completions`"),
        ({"provider": "embedded", "generation": {"reasoning_effort": "low"}}, "generation: `reasoning_effort` cannot be sent: this model"),
        ({"provider": "embedded", "query": {}}, "query: unknown key; `query` is for `provider: openai`"),
        ({"provider": "distilabel", "llm": "X", "generation": {"seed": 1}}, "generation: `seed` cannot be sent: distilabel takes one"),
        (
            {"provider": "distilabel", "llm": "X", "system_role": "fold"},
            "system_role: unknown key; `system_role` is for `provider: openai`; write what the class takes into `kwargs`",
        ),
    ],
)
def test_a_parameter_that_cannot_be_sent_is_refused_in_words(teacher, said):
    (found,) = problems({"teacher": teacher})
    assert found.startswith(f"synthetic.teacher.{said}")
    assert "recog" not in found.replace("recognisable", "")


def test_parameters_are_read_as_they_are_written_and_again_as_they_are_dumped():
    text = """
    base_url: https://example.com/openai/v1/chat/completions/
    headers_env: {api-key: AZURE_KEY, HTTP-Referer: REFERER}
    query: {api-version: 2024-10-21, n: 3}
    system_role: fold
    generation:
      temperature: null
      stop: "#"
      seed: 0
      reasoning_effort: none
      extra_body: {top_k: 20, provider: {order: [a, b]}, prompt_cache_key: seeds, chat_template_kwargs: {enable_thinking: false}}
    """
    settings = load_settings({"teacher": yaml.safe_load(text)})
    assert settings.teacher.base_url == "https://example.com/openai/v1"
    assert settings.teacher.query == {"api-version": "2024-10-21", "n": "3"}
    assert (settings.teacher.generation.stop, settings.teacher.generation.reasoning_effort) == (["#"], "none")
    assert load_settings(settings.model_dump(mode="json")) == settings


def test_what_is_not_set_is_not_dumped_so_that_finished_runs_keep_their_fingerprint():
    teacher = load_settings({}).model_dump()["teacher"]
    assert set(teacher["generation"]) == {"temperature", "max_new_tokens", "top_p"}
    assert not {"headers_env", "query", "system_role"} & set(teacher)
    assert load_settings({"teacher": {"system_role": "keep"}}).model_dump()["teacher"]["system_role"] == "keep"
