"""The lower bound: the same calls from a bare aiohttp client, all at once through 64 connections. No checks, no ledger, no files."""

from __future__ import annotations

import asyncio

import aiohttp
from task import ANSWER, MAX_TOKENS, MODEL, NEW_QUESTION, SELF_CHECK, TEMPERATURE, arguments, questions, report


async def main(base_url: str, samples: int, calls: int, concurrency: int) -> None:
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=3600)) as session:

        async def ask(prompt: str, question: str) -> str:
            messages = [{"role": "user", "content": prompt.format(question=question)}]
            body = {"model": MODEL, "messages": messages, "temperature": TEMPERATURE, "max_tokens": MAX_TOKENS}
            async with session.post(f"{base_url}/chat/completions", json=body) as response:
                response.raise_for_status()
                return str((await response.json())["choices"][0]["message"]["content"])

        async def sample(question: str) -> str:
            if calls == 3:
                question = await ask(NEW_QUESTION, question)
                await ask(SELF_CHECK, question)
            return await ask(ANSWER, question)

        report(await asyncio.gather(*(sample(question) for question in questions(samples))))


if __name__ == "__main__":
    options = arguments()
    asyncio.run(main(options.base_url, options.samples, options.calls, options.concurrency))
