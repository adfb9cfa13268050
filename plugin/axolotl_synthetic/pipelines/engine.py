"""The engine: a rolling window of open candidates, each a chain of calls; when one ends, the next starts.

There is no barrier, so a slow reply delays only its own candidate. `schedule.py` numbers the candidates; this file decides whether one
may start. None starts while the open candidates may still yield enough samples, so no unneeded sample is paid for. So the order in which
replies arrive does not decide which samples a run has.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from axolotl_synthetic.checks import load_inquiries, names_of
from axolotl_synthetic.config import CANDIDATES_PER_SAMPLE, OpenAIModel, first_of_same
from axolotl_synthetic.errors import CallFailed, ServiceError, SyntheticError, remedy_for
from axolotl_synthetic.ledger import CANDIDATES, EXHAUSTED, FRUITLESS, NOTICE, Ledger, Progress, Waiting
from axolotl_synthetic.pipelines.admission import BudgetReached, Stopped
from axolotl_synthetic.pipelines.ahead import Ahead
from axolotl_synthetic.pipelines.calls import Asked, Calls
from axolotl_synthetic.pipelines.exhaustion import Exhaustion, key_of
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.schedule import Planned, schedule, sure_rounds
from axolotl_synthetic.pipelines.waves import MOST_OPEN, Waves
from axolotl_synthetic.records import Candidate, Role
from axolotl_synthetic.strategies import Source, load_strategies, worked_examples
from axolotl_synthetic.tasks import Task, load_task
from axolotl_synthetic.teachers import open_teacher

# Abort after this many consecutive candidates exhaust their retries.
FAILURES_IN_A_ROW = 20
# Candidates refused by the budget before the run stops looking for later ones whose replies are all in the ledger.
LOOK_AHEAD = 256
# Limit on candidates that wait for verification, at some 2 kB each in queues: with slow checks, millions would accumulate.
MOST_UNJUDGED = 20_000
POLL_SECONDS = 0.02
STOP_POLL_SECONDS = 0.2
# Candidates that are started together where calls go out in batches.
WAVE_STEP = 256


class Engine:
    """Rolling window of one run.

    Args:
        job: what to generate.
        emit: receives each candidate as it ends. One that the run leaves out has the status None and an empty id; only its number counts.
        stop: set by others when no new call may leave; the ledger can ask for that too.

    Attributes:
        error: error that ended the run early, None when there was none.
    """

    def __init__(self, job: Job, emit: Callable[[Candidate], None], stop: threading.Event) -> None:
        self._job = job
        self._hand_on = emit
        self._emitted = 0
        # Number of planned rounds that were left out because their seed is exhausted.
        self._skipped = 0
        self._stop = stop
        self.error: SyntheticError | None = None
        settings = self._job.settings
        self._task = load_task(settings.task, settings.prompts, settings.language)
        self._strategies = load_strategies(self._job.settings.turns)
        self._inquiries = load_inquiries(self._job.settings.verify, self._task)
        # A user's own task may have no kinds.
        kinds = getattr(self._task, "kinds", None)
        # Draw once: hashing thousands of seeds for each candidate would cost more than an instant call.
        self._examples = worked_examples(self._job.seeds, self._job.settings.seed, self._job.settings.examples, kinds)
        self._sure = _sure_candidates(self._job, {name: strategy.calls for name, strategy in self._strategies.items()})
        self._kinds = kinds if job.settings.balance == "uniform" else None
        self._known = Progress()
        self._exhaustion = _exhaustion(self._job, self._task)
        self._fruitless = False
        self._failures = 0
        self._denied = 0
        self._under_way: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Generate until a limit is reached, the user asks to stop, or no call can succeed any more."""
        job = self._job
        budget = job.settings.budget
        async with AsyncExitStack() as stack:
            reader = stack.enter_context(Ledger(job.ledger))
            writer = stack.enter_context(Ledger(job.ledger, budget))
            models = self._open_models(stack)
            self._calls = Calls(reader, writer, models, budget)
            stack.push_async_callback(self._calls.close)
            self._ledger = reader
            self._waves = self._open_waves(stack, models)
            self._ahead = Ahead(self._exhaustion) if self._waves and self._exhaustion is not None else None
            reader.set_calling(os.getpid())
            stack.callback(reader.set_calling, 0)
            watcher = asyncio.create_task(self._watch())
            watcher.add_done_callback(lambda task: self._end_if_broken(task, "the look for a wish to stop"))
            # A candidate has at most one open call, so this many candidates keep every model busy.
            places = sum({id(asked): asked.settings.concurrency for asked in models.values()}.values())
            if any(asked.batched for asked in models.values()):
                places = MOST_OPEN
            try:
                ended_by = await self._roll(places)
            except SyntheticError as error:
                self._end(error)
                ended_by = ""
            if self._under_way:
                await asyncio.wait(self._under_way)
            watcher.cancel()
            self._tell_surplus(models)
            # Verification may report, now or later, that it ended the run earlier.
            reader.report(ended_by=FRUITLESS if self._is_fruitless() else ended_by, reused=self._calls.reused)

    def _open_models(self, stack: AsyncExitStack) -> dict[Role, Asked]:
        job = self._job
        models: dict[Role, Asked] = {}
        first = first_of_same(job.models)
        for role, settings in job.models.items():
            if first[role] != role:
                models[role] = models[first[role]]  # one model, one window
                continue
            if job.most_candidates is not None and isinstance(settings, OpenAIModel):
                settings = settings.model_copy(update={"batch": None})  # somebody waits for a short run
            teacher = open_teacher(settings)
            stack.push_async_callback(teacher.close)
            models[role] = Asked(settings, teacher, isinstance(settings, OpenAIModel) and settings.batch is not None)
        return models

    def _open_waves(self, stack: AsyncExitStack, models: Mapping[Role, Asked]) -> bool:
        """Open the models' batches and pick up those of earlier runs; return whether any new calls go out in batches."""
        from axolotl_synthetic.pipelines import picking_up

        opened = picking_up.open_waves(self._job, models, self._calls, self._is_idle)
        for waves in opened:
            task = asyncio.create_task(waves.run())
            task.add_done_callback(lambda task: self._end_if_broken(task, "the sending of batches"))
            stack.push_async_callback(_finish, task, waves)
        return any(asked.batched for asked in models.values())

    def _is_idle(self) -> bool:
        """Return whether every candidate waits for a batch or for what a batch will free, and no verdict can start another."""
        if len(self._under_way) > self._calls.blocked:
            return False
        return self._job.settings.budget.samples is None or self._ledger.progress().seen >= self._emitted

    def _emit(self, candidate: Candidate) -> None:
        self._emitted += 1
        self._hand_on(candidate)

    async def _roll(self, places: int) -> str:
        """Start candidates while they may start; return the limit that ended it, empty when the user or an error did."""
        job = self._job
        most = job.most_candidates
        samples = job.settings.budget.samples
        if most is None and samples is not None:
            most = CANDIDATES_PER_SAMPLE * samples
        ended_by = ""
        for started, planned in enumerate(schedule(job.seeds, job.shares, self._kinds, job.phases)):
            while len(self._under_way) >= places:
                self._ended.clear()
                await self._ended.wait()
            await self._let_verification_catch_up(started)
            if self._waves and started % WAVE_STEP == 0:
                await self._let_in()
            if samples is not None and not await self._needed(started, samples):
                ended_by = FRUITLESS if self._fruitless else "samples"
                break
            # Answers that came with other calls are paid for, so look for their candidates as far as these are sure to be wanted.
            looks_on = self._denied < LOOK_AHEAD or (self._calls.has_more and started < self._sure)
            if self._calls.stopping.is_set() or self._fruitless or not looks_on:
                break
            if most is not None and started - self._skipped >= most:
                ended_by = CANDIDATES
                break
            if await self._is_exhausted(planned):
                if self._exhaustion is not None and self._exhaustion.complete:
                    ended_by = EXHAUSTED
                    break
                self._skipped += 1
                self._emit(_skipped(planned.candidate))
                continue
            task = asyncio.create_task(self._candidate(planned))
            self._under_way.add(task)
            task.add_done_callback(self._leave)
        if self._under_way:
            await asyncio.wait(self._under_way)
        if self._calls.stopping.is_set():
            return ""
        return ended_by if ended_by == "samples" else self._calls.denied_by or ended_by

    async def _let_verification_catch_up(self, started: int) -> None:
        """Wait while too many started candidates are not judged yet, unless the run is ending."""
        while started - self._known.seen >= MOST_UNJUDGED and not self._calls.stopping.is_set():
            self._known = self._ledger.progress()
            if started - self._known.seen >= MOST_UNJUDGED:
                await asyncio.sleep(POLL_SECONDS)

    async def _let_in(self) -> None:
        """Let started candidates reach their first call, and wait while many of them wait for budget.

        Otherwise a window as large as a wave would start candidates without end.
        """
        await asyncio.sleep(0)
        while self._calls.admission.waiting >= WAVE_STEP and not self._calls.stopping.is_set():
            await asyncio.sleep(POLL_SECONDS)

    async def _needed(self, started: int, samples: int) -> bool:
        """Wait until another candidate is surely needed (True), or is not or the run is ending (False)."""
        while not self._calls.stopping.is_set():
            # Old progress is safe: the number of samples that may still come can only shrink.
            known = self._known
            if known.accepted + known.waiting + (started - known.seen) < samples:
                return True
            if known.accepted >= samples or self._fruitless:
                return False
            self._known = self._ledger.progress()
            self._fruitless = self._known.ended_by == FRUITLESS
            if self._known == known:
                await asyncio.sleep(POLL_SECONDS)
        return False

    async def _is_exhausted(self, planned: Planned) -> bool:
        """Return whether the seed is exhausted, after waiting for those of its open answers that decide it."""
        if self._exhaustion is None:
            return False
        name = planned.candidate.strategy, planned.seed.id, planned.round
        while not self._calls.stopping.is_set():
            if self._ahead is not None:
                if (may := self._ahead.may_start(name[:2], planned.round)) is not None:
                    return not may
            elif (exhausted := self._exhaustion.decide(*name)) is not None:
                if not exhausted:
                    self._exhaustion.started(*name)
                return exhausted
            self._ended.clear()
            await self._ended.wait()
        return False

    def _note(self, candidate: Candidate, round: int) -> None:
        """Record what a candidate says, for the decision on its seed's later rounds."""
        if self._exhaustion is None:
            return
        text = None
        if candidate.status != "failed" and candidate.prompt is not None:
            with suppress(Exception, SystemExit):  # a task's class may return any value; verification reports it
                text = key_of(candidate.prompt, candidate.answer or "")
        self._exhaustion.ended(candidate.strategy, candidate.seed_id, round, text)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._ended.set()
        self._end_if_broken(task, "a candidate")

    def _end_if_broken(self, task: asyncio.Task[None], what: str) -> None:
        """End the run if a task broke unexpectedly: others would wait for its work for ever."""
        if (error := None if task.cancelled() else task.exception()) is not None:
            if not isinstance(error, SyntheticError):
                error = SyntheticError(f"{what} broke the run: {type(error).__name__}: {error}; please report this")
            self._end(error)

    async def _candidate(self, planned: Planned) -> None:
        strategy = self._strategies[planned.candidate.strategy]
        candidate = planned.candidate
        extra = sum(inquiry.calls(candidate.strategy, planned.round) for inquiry in self._inquiries)
        chain = self._calls.chain(strategy.calls + extra)
        try:
            source = Source(
                planned.seed,
                self._examples.beside(planned.seed),
                planned.round,
                reuse_answer=self._job.settings.reuse_seed_answers,
                keep_thinking=self._job.settings.keeps_thinking,
                shown=self._examples.shown,
                rounds=self._sure_rounds(planned),
            )
            candidate = await strategy(candidate, source, self._task, chain.ask)
            for inquiry in self._inquiries:
                # A rejected candidate is not worth another call.
                if candidate.status is not None or not candidate.answer or candidate.answer_cut_off:
                    break
                # In a thread, because comparing answers may run SQL.
                if inquiry.after is None or not await asyncio.to_thread(inquiry.is_vain, candidate, planned.seed, self._task):
                    candidate = await inquiry(candidate, source, self._task, chain.ask)
            self._failures = 0
            self._denied = 0
        except CallFailed as error:
            candidate = candidate.fail(str(error))
            self._count_failure(ServiceError, f"{error}", remedy_for(error.reason))
        except BudgetReached as reached:
            self._denied += 1
            candidate = candidate.fail(f"budget: no {reached.args[0]} left for the next call") if chain.began else _skipped(candidate)
        except Stopped:
            candidate = candidate.fail("stopped") if chain.began else _skipped(candidate)
        except SyntheticError as error:
            self._end(error)
            candidate = candidate.fail(str(error))
        # One broken candidate must not affect others: even a SystemExit would end the process with its open calls.
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            candidate = candidate.fail(f"{type(error).__name__}: {error}")
            self._count_failure(SyntheticError, f"{type(error).__name__}: {error}", "correct the task's class, or report this")
        finally:
            chain.close()
        self._note(candidate, planned.round)
        teacher, augmenter = self._calls.models["teacher"].name, self._calls.models["augmenter"].name if strategy.calls > 1 else None
        candidate = replace(candidate, requests=tuple(chain.requests), tokens=chain.tokens, teacher=teacher, augmenter=augmenter)
        if self._ahead is None:
            return self._emit(candidate)
        for one, is_ours in self._ahead.ended((candidate.strategy, candidate.seed_id), planned.round, candidate):
            self._skipped += not is_ours
            self._emit(one if is_ours else _skipped(one))

    def _sure_rounds(self, planned: Planned) -> int:
        """Return the number of candidates that a seed will surely have; 0 where a balance or phases change the seeds' turns."""
        if self._kinds or self._job.phases:
            return 0
        return sure_rounds(planned, len(self._job.seeds), self._sure, self._job.shares[planned.candidate.strategy])

    def _count_failure(self, kind: type[SyntheticError], said: str, remedy: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            self._end(
                kind(
                    f"the last {self._failures} candidates all failed, the last with `{said}`; {remedy}, then run the same command again:"
                    " what was paid for is kept"
                )
            )

    def _is_fruitless(self) -> bool:
        return self._ledger.progress().ended_by == FRUITLESS

    def _end(self, error: SyntheticError) -> None:
        self.error = self.error or error
        self._calls.stop()

    async def _watch(self) -> None:
        """Watch for a request to stop by the user or by verification, and report reused replies and waits to the terminal."""
        told, waiting = time.monotonic(), None
        while not self._stop.is_set() and not self._ledger.is_asked_to_stop():
            await asyncio.sleep(STOP_POLL_SECONDS)
            self._fruitless = self._is_fruitless()
            if time.monotonic() - told < 1:
                continue
            told = time.monotonic()
            try:
                if self._calls.reused:
                    self._ledger.report(reused=self._calls.reused)
                if (now := self._calls.waiting()) != waiting:
                    waiting = now
                    self._ledger.set_waiting(None if now is None else Waiting(now[0], now[1].until, now[1].reason))
            except SyntheticError as error:
                self._end(error)
        self._calls.stop()

    def _tell_surplus(self, models: Mapping[Role, Asked]) -> None:
        """Leave a notice if a server billed more than it was asked for; open calls may then have exceeded the budget."""
        said = []
        for asked in {id(one): one for one in models.values()}.values():
            longest, (prompt, completion) = asked.settings.generation.max_new_tokens, asked.surplus
            if completion:
                said.append(f"{longest + completion:,} tokens for a reply of at most {longest:,} (generation.max_new_tokens)")
            if prompt:
                said.append(f"{prompt:,} tokens more for a prompt than it can have")
        if not said:
            return
        passed = [f"{name} {used:,.7g} of {limit:,.7g}" for name, used, limit in self._calls.admission.spent() if limit and used > limit]
        over = f"; the budget was passed by the calls under way: {', '.join(passed)}" if passed else ""
        self._ledger.set_meta(**{NOTICE: f"the server of the model billed more than it was asked for, up to {' and '.join(said)}{over}"})


def _exhaustion(job: Job, task: Task) -> Exhaustion | None:
    """Return the exhaustion of seeds; None where repeated answers are wanted, and in a short run, which measures."""
    if job.most_candidates is not None or "duplicate" not in names_of(job.settings.verify, task):
        return None
    seeds = {seed.id: seed for seed in job.seeds if job.settings.include_seeds}

    def own(seed_id: str) -> bytes | None:
        seed = seeds.get(seed_id)
        solution = None if seed is None else task.solution(seed)
        return None if seed is None or solution is None else key_of(task.prompt(seed.question), solution)

    return Exhaustion(own, len(job.seeds), sum(share > 0 for share in job.shares.values()))


async def _finish(task: asyncio.Task[None], waves: Waves) -> None:
    """Stop sending batches; open batches go on at their providers."""
    task.cancel()
    await asyncio.wait({task})
    await waves.close()


def _sure_candidates(job: Job, calls: Mapping[str, int]) -> float:
    """Return a lower bound of the run's candidates where neither tokens nor dollars end it; 0 without other limits.

    Each candidate yields at most one sample and takes the calls of its strategy.
    """
    budget = job.settings.budget
    mean = sum(share * calls[name] for name, share in job.shares.items())
    limits = [budget.samples, job.most_candidates, None if budget.queries is None else math.floor(budget.queries / mean)]
    return min((limit for limit in limits if limit is not None), default=0)


def _skipped(candidate: Candidate) -> Candidate:
    return replace(candidate, id="", status=None)
