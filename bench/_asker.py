"""Asks addresses in turn from a process of its own, so that what else a bench does is not in the answers' times.

`python -m bench._asker URL …` asks until its input ends, and then prints how long each answer took.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import uvloop

from bench._conditions import go_first
from bench._figures import Samples
from bench._http import Caller
from cli.stack.folders import REPOSITORY

PAUSE_SECONDS = 0.02
"""Between two questions: an asker that hurries would be the load."""


@asynccontextmanager
async def asked(*urls: str, first: bool = False) -> AsyncIterator[dict[str, Samples]]:
    """What each address took for its answers meanwhile; filled at the end. `first`: who asks never waits for a core."""
    argv = [sys.executable, "-m", "bench._asker", *urls]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, cwd=REPOSITORY)
    if first:
        go_first(process.pid)
    found: dict[str, Samples] = {}
    try:
        yield found
    finally:
        assert process.stdin is not None
        process.stdin.close()
        told, _ = await process.communicate()
        found |= {url: Samples(seconds) for url, seconds in json.loads(told or b"{}").items()}


async def _ask(urls: Sequence[str]) -> None:
    over = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    samples = {url: Samples() for url in urls}
    callers = {url: Caller(url) for url in urls}
    while not over.done():
        for url in urls:
            path = urlsplit(url).path or "/"
            await samples[url].time(lambda caller=callers[url], path=path: caller.fetch("GET", path))  # type: ignore[misc]
        await asyncio.sleep(PAUSE_SECONDS)
    sys.stdout.write(json.dumps({url: one.seconds for url, one in samples.items()}))


if __name__ == "__main__":
    uvloop.run(_ask(sys.argv[1:]))
