"""Serves the teacher as an OpenAI-compatible server on this machine, and runs a command beside it:

    python serve.py FOLDER PORT COMMAND …

What is asked at once is answered in one batch by transformers; the command's exit code becomes this one's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MOST_AT_ONCE = 96
# After the first question of a batch arrives, others may join it for so long.
GATHER_SECONDS = 0.02
DEFAULT_TEMPERATURE = 0.7


@dataclass
class Asked:
    prompt: str
    temperature: float
    max_new_tokens: int
    reply: asyncio.Future[dict[str, Any]] = field(repr=False)


class Model:
    """A model and its tokenizer; answers batches, in one thread."""

    def __init__(self, folder: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        torch.manual_seed(0)

    def prompt(self, messages: list[dict[str, str]]) -> str:
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    def answer(self, batch: list[Asked]) -> list[dict[str, Any]]:
        import torch

        inputs = self.tokenizer([one.prompt for one in batch], return_tensors="pt", padding=True, return_token_type_ids=False)
        with torch.inference_mode():
            replies = self.model.generate(
                **inputs,
                do_sample=batch[0].temperature > 0,
                temperature=batch[0].temperature or None,
                top_k=0,
                max_new_tokens=max(one.max_new_tokens for one in batch),
                pad_token_id=self.tokenizer.pad_token_id,
            )
        width = inputs["input_ids"].shape[1]
        found = []
        for one, asked, reply in zip(batch, inputs["attention_mask"].sum(1).tolist(), replies[:, width:].tolist(), strict=True):
            end = reply.index(self.tokenizer.eos_token_id) if self.tokenizer.eos_token_id in reply else len(reply)
            cut_off = end >= one.max_new_tokens
            ids = reply[: min(end, one.max_new_tokens)]
            found.append(
                {
                    "text": self.tokenizer.decode(ids, skip_special_tokens=True),
                    "finish_reason": "length" if cut_off else "stop",
                    "prompt_tokens": asked,
                    "completion_tokens": len(ids),
                }
            )
        return found


async def answer_all(queue: asyncio.Queue[Asked], model: Model) -> None:
    """Batch after batch; what differs in temperature waits for the next."""
    loop, thread, waiting = asyncio.get_running_loop(), ThreadPoolExecutor(1), []
    while True:
        if not waiting:
            waiting.append(await queue.get())
        end = time.monotonic() + GATHER_SECONDS
        while len(waiting) < MOST_AT_ONCE and (left := end - time.monotonic()) > 0:
            try:
                waiting.append(await asyncio.wait_for(queue.get(), left))
            except TimeoutError:
                break
        alike = [one for one in waiting if one.temperature == waiting[0].temperature][:MOST_AT_ONCE]
        waiting = [one for one in waiting if one not in alike]
        try:
            replies = await loop.run_in_executor(thread, model.answer, alike)
        except Exception as error:  # the boundary: who asked must hear of it
            for one in alike:
                one.reply.set_exception(RuntimeError(f"the teacher broke: {error}"))
            continue
        for one, reply in zip(alike, replies, strict=True):
            if not one.reply.done():
                one.reply.set_result(reply)


def application(model: Model, name: str) -> web.Application:
    queue: asyncio.Queue[Asked] = asyncio.Queue()

    async def completions(request: web.Request) -> web.Response:
        body = await request.json()
        temperature = body.get("temperature")
        most = body.get("max_tokens") or body.get("max_completion_tokens") or 128
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        asked = Asked(model.prompt(body["messages"]), DEFAULT_TEMPERATURE if temperature is None else temperature, most, future)
        queue.put_nowait(asked)
        reply = await future
        usage = {"prompt_tokens": reply["prompt_tokens"], "completion_tokens": reply["completion_tokens"]}
        message = {"role": "assistant", "content": reply["text"]}
        choice = {"index": 0, "message": message, "finish_reason": reply["finish_reason"]}
        return web.json_response({"object": "chat.completion", "model": name, "choices": [choice], "usage": usage})

    async def start(app: web.Application) -> None:
        app["worker"] = asyncio.create_task(answer_all(queue, model))

    app = web.Application()
    app.router.add_post("/v1/chat/completions", completions)
    app.router.add_get("/v1/models", lambda request: web.json_response({"data": [{"id": name, "object": "model"}]}))
    app.on_startup.append(start)
    return app


async def main() -> int:
    folder, port, *command = sys.argv[1:]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    runner = web.AppRunner(application(Model(folder), os.path.basename(folder)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(port)).start()
    child = await asyncio.create_subprocess_exec(*command)
    # Ctrl-C in a terminal reaches the child as well; it ends in its own way, and needs the server until then.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, lambda n=number: child.send_signal(n) if n == signal.SIGTERM else None)
    code = await child.wait()
    await runner.cleanup()
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
