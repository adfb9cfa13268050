"""Axolotl's own validation of a config, with a GPU that the machine need not have."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest

from axolotl_synthetic.errors import ConfigError

PLUGIN = "axolotl_synthetic.SyntheticPlugin"
# Axolotl's description of the machine: it asks the GPU, which may be missing here.
GPUS = {"24 GB": {"bf16": True, "fp8": False, "tf32": True, "n_gpu": 1, "compute_capability": "sm_86"}}
GPUS["80 GB"] = GPUS["24 GB"] | {"compute_capability": "sm_80"}
GPUS["8 of 80 GB"] = GPUS["80 GB"] | {"n_gpu": 8, "compute_capability": "sm_90", "fp8": True}


@pytest.fixture
def validate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Mapping[str, Any]]]:
    """Yield a function that validates a config as Axolotl does, and also refuses keys that its schema silently accepts."""
    from axolotl.integrations.base import PluginManager
    from axolotl.utils.config import prepare_plugins, validate_config
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.config import AxolotlInputConfig

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("AXOLOTL_SYNTHETIC_VERBOSE", "1")  # otherwise it would change the logging of the test's process

    def validated(config: dict[str, Any], gpu: str = "80 GB") -> Mapping[str, Any]:
        PluginManager.get_instance().plugins.clear()  # plugins of an earlier config
        cfg = DictDefault(copy.deepcopy(config))
        prepare_plugins(cfg)
        arguments = [locate(path) for path in PluginManager.get_instance().get_input_args()]
        known = {name for model in (AxolotlInputConfig, *arguments) for name in model.model_fields}
        if unknown := sorted(set(config) - known):
            raise ConfigError(f"Axolotl knows no {', '.join(unknown)}")
        valid: Mapping[str, Any] = validate_config(cfg, capabilities=GPUS[gpu], env_capabilities={"torch_version": "2.13.0"})
        return valid

    yield validated
    PluginManager.get_instance().plugins.clear()
