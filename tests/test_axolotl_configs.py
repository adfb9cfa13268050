"""Axolotl configs of common kinds: each also validates with our block, which keeps its `datasets:` and adds ours.

test_plugin.py tests the messages for other kinds of training.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml

from axolotl_synthetic import versions

from axolotl_validation import PLUGIN

BASE = """
base_model: NousResearch/Llama-3.2-1B
sequence_len: 2048
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 3
learning_rate: 0.0002
optimizer: adamw_torch_fused
lr_scheduler: cosine
bf16: auto
attn_implementation: flash_attention_2
output_dir: ./student
"""
LORA = "adapter: lora\nlora_r: 16\nlora_alpha: 32\nlora_target_linear: true\n"
QLORA = LORA.replace("adapter: lora", "adapter: qlora") + "load_in_4bit: true\noptimizer: paged_adamw_32bit\n"
ALPACA = "datasets:\n  - {path: mhenrichsen/alpaca_2k_test, type: alpaca}\n"
SEVERAL = """
datasets:
  - {path: mhenrichsen/alpaca_2k_test, type: alpaca}
  - {path: fozziethebeat/alpaca_messages_2k_test, type: chat_template, field_messages: conversation, roles_to_train: [assistant]}
  - path: mine.jsonl
    ds_type: json
    type: {system_prompt: "", field_instruction: instruction, field_output: output, format: "{instruction}"}
  - {path: texts.jsonl, ds_type: json, type: completion, field: text}
"""
FSDP = """
fsdp_version: 2
fsdp_config:
  offload_params: false
  auto_wrap_policy: TRANSFORMER_BASED_WRAP
  transformer_layer_cls_to_wrap: LlamaDecoderLayer
  state_dict_type: FULL_STATE_DICT
"""
ZERO = {"zero_optimization": {"stage": 2, "overlap_comm": True}, "bf16": {"enabled": True}, "gradient_clipping": 1.0}
CONFIGS = {
    "lora": LORA + ALPACA,
    "lora, only our data": LORA,
    "qlora": QLORA + ALPACA,
    "full": ALPACA + "gradient_checkpointing: true\n",
    "full with fsdp": FSDP + ALPACA,
    "lora with fsdp": LORA + FSDP + ALPACA,
    "deepspeed": "deepspeed: zero2.json\n" + ALPACA,
    "chat_template: chatml": LORA + "chat_template: chatml\n" + SEVERAL,
    "chat_template: tokenizer_default": LORA + "chat_template: tokenizer_default\n" + SEVERAL,
    "chat_template: jinja": LORA + "chat_template: jinja\nchat_template_jinja: '{% for m in messages %}{{ m.content }}{% endfor %}'\n",
    "chat_template with a fallback": LORA + "chat_template: tokenizer_default_fallback_llama3\n" + SEVERAL,
    "several data sets": SEVERAL,
    "packed, with a validation share": LORA + SEVERAL + "sample_packing: true\nval_set_size: 0.05\neval_sample_packing: false\n",
    "test_datasets": LORA + SEVERAL + "test_datasets:\n  - {path: held.jsonl, ds_type: json, type: alpaca, split: train}\n",
    "more plugins": ALPACA + "plugins: [axolotl.integrations.liger.LigerPlugin]\nliger_rope: true\nliger_rms_norm: true\n",
    "curriculum": ALPACA + "shuffle_merged_datasets: false\ndataset_exact_deduplication: true\n",
}


def config(name: str) -> dict[str, Any]:
    # If a key occurs twice, such as an optimizer, the later value counts.
    made: dict[str, Any] = yaml.safe_load(BASE) | yaml.safe_load(CONFIGS[name])
    return made


def with_our_block(theirs: dict[str, Any], **block: Any) -> dict[str, Any]:
    return {**copy.deepcopy(theirs), "plugins": [*theirs.get("plugins", []), PLUGIN], "synthetic": {"task": "math", **block}}


def others(valid: Any) -> dict[str, Any]:
    """Return every key of a validated config that is not ours."""
    return json.loads(json.dumps({key: valid[key] for key in valid if key not in ("datasets", "plugins", "synthetic")}, default=str))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_validates_with_our_block_as_without_and_keeps_its_data_sets(name, validate, tmp_path):
    (tmp_path / "zero2.json").write_text(json.dumps(ZERO))
    theirs = config(name)
    # Axolotl refuses a config without data; our block adds it.
    alone = validate({**theirs, "datasets": theirs.get("datasets") or [{"path": "x.jsonl", "type": "alpaca"}]}, "8 of 80 GB")
    valid = validate(with_our_block(theirs), "8 of 80 GB")
    assert others(valid) == others(alone)
    *kept, ours = valid["datasets"]
    assert kept == (list(alone["datasets"]) if "datasets" in theirs else [])
    assert (ours["path"], ours["type"]) == ("synthetic/train.jsonl", "chat_template")


def test_our_entry_has_the_weight_of_the_block(validate):
    if not versions.datasets_take_weight():
        pytest.skip("this Axolotl has no weight")
    valid = validate(with_our_block(config("several data sets"), weight=0.25), "8 of 80 GB")
    assert [entry.get("weight") for entry in valid["datasets"]] == [None, None, None, None, 0.25]


def test_our_data_are_no_test_data_sets(validate):
    valid = validate(with_our_block(config("test_datasets")), "8 of 80 GB")
    assert [entry["path"] for entry in valid["test_datasets"]] == ["held.jsonl"]


def test_a_packed_stream_of_several_data_sets_is_refused_in_words(validate, capsys):
    theirs = config("lora") | {"streaming": True, "sample_packing": True, "max_steps": 10}
    with pytest.raises(SystemExit) as end:
        validate(with_our_block(theirs), "8 of 80 GB")
    assert end.value.code == 2
    assert "streaming: Axolotl cannot pack several streaming datasets" in capsys.readouterr().err
