"""Picking up of batches that an earlier run left open, and release of its reservations for calls that were never sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing

from axolotl_synthetic.batch_ledger import Batch, BatchLedger
from axolotl_synthetic.config import Batch as BatchSettings
from axolotl_synthetic.config import OpenAIModel
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.ledger import NOTICE
from axolotl_synthetic.pipelines.calls import Asked, Calls
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.waves import Waves
from axolotl_synthetic.records import Role
from axolotl_synthetic.wording import number_of


def open_waves(job: Job, models: Mapping[Role, Asked], calls: Calls, is_idle: Callable[[], bool]) -> list[Waves]:
    """Open the batches of each model that sends batches or has open ones.

    Raises:
        ConfigError: if a batch is open at another address than the config's.
    """
    with closing(BatchLedger(job.ledger, job.settings.budget)) as ledger:
        ledger.release()
        left = ledger.open_batches()
        if strange := [batch for batch, _ in left if not any(_is_of(batch, asked) for asked in models.values())]:
            named = ", ".join(sorted({f"{batch.model} at {batch.base_url}" for batch in strange}))
            ledger.set_meta(
                **{NOTICE: f"{number_of(len(strange), 'batch', 'batches')} of {named} are open and not of this config: not read"}
            )
        opened: list[Waves] = []
        for asked in {id(one): one for one in models.values()}.values():
            theirs = [batch for batch, _ in left if _is_of(batch, asked)]
            if not asked.batched and not theirs:
                continue
            assert isinstance(asked.settings, OpenAIModel)
            settings = asked.settings
            if theirs and (settings.batch is None or settings.batch.protocol != theirs[0].protocol):
                settings = settings.model_copy(update={"batch": BatchSettings(protocol=theirs[0].protocol)})
            asked.waves = Waves(settings, BatchLedger(job.ledger, job.settings.budget), calls.stopping, is_idle)
            opened.append(asked.waves)
            for batch in theirs:
                _refuse_elsewhere(batch, settings)
                waiting = ledger.waiting_calls(batch.id, settings.charged)
                parked = asked.waves.pick_up(batch, [(number, call) for number, (_, call) in waiting.items()])
                for one in parked:
                    calls.pick_up(asked, waiting[one.call_id][0], one)
        return opened


def _is_of(batch: Batch, asked: Asked) -> bool:
    return isinstance(asked.settings, OpenAIModel) and asked.name == batch.model


def _refuse_elsewhere(batch: Batch, settings: OpenAIModel) -> None:
    # Ignore `/v1`: each run may find out anew whether the address needs it.
    if batch.base_url.removesuffix("/v1") != settings.url.removesuffix("/v1"):
        raise ConfigError(
            f"a batch of {number_of(batch.total, 'call')} to {batch.model} is open at {batch.base_url}, and `base_url` is"
            f" {settings.url} now; put the former one back until its replies are in"
        )
