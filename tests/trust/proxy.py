"""A proxy between the client library and DynamoDB that fails in the ways that wires and databases do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from urllib.parse import urlsplit

from tests.trust.faults import Fault, Message, choose, invent
from tests.trust.stack import HOST, find_port

OUTAGE_SECONDS = 0.02
TRICKLE_SECONDS = 0.01
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Carries requests to DynamoDB, and does to `rate` of them what the seed says, or always the `only` fault.

    `patience` is the client's: a silence lasts longer. `overdue` counts requests that DynamoDB itself took that long
    for, which a client may have repeated before they were carried out.
    """

    def __init__(self, endpoint: str, rate: float, seed: str, patience: float, only: Fault | None = None) -> None:
        parts = urlsplit(endpoint)
        self._upstream = (parts.hostname or HOST, parts.port or 80)
        self._rate = rate
        self._random = Random(seed)
        self._patience = patience
        self._only = only
        self._idle: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._port = find_port()
        self.requests = 0
        self.overdue = 0
        self.faults: Counter[Fault] = Counter()

    @contextmanager
    def run(self) -> Iterator[str]:
        """Serve in a thread and give the address."""
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()
        ready = threading.Event()

        async def serve() -> None:
            await self._listen()
            ready.set()
            await stop.wait()
            await self._hang_up()
            # Whoever was let in as the door closed gets a task a moment later.
            await asyncio.sleep(0.02)
            while self._tasks:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(self._tasks)

        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
        thread.start()
        try:
            assert ready.wait(10), f"port {self._port} is taken"
            yield f"http://{HOST}:{self._port}"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self._port)

    async def _hang_up(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._idle:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Python 3.11 logs a task of a stream's own that ends cancelled as an error.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            async with _connect(self._upstream) as upstream:
                while True:
                    self._idle.add(writer)
                    request = await _read(reader)
                    self._idle.discard(writer)
                    if not await self._carry(request, writer, upstream):
                        break
        self._idle.discard(writer)
        writer.close()

    async def _carry(
        self,
        request: Message,
        writer: asyncio.StreamWriter,
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        """Answer one request, and tell whether the connection survived."""
        operation = request.find("x-amz-target").partition(".")[2]
        fault = self._choose(operation)
        if fault is Fault.REFUSED and self._server is not None:
            # Closed first: whoever learns of it and comes back finds nobody.
            await self._hang_up()
            _reset(writer)
            await asyncio.sleep(OUTAGE_SECONDS)
            await self._listen()
            return False
        if fault in (Fault.CUT, Fault.REFUSED):
            _reset(writer)
            return False
        if fault is Fault.SILENT:
            await asyncio.sleep(self._patience * 1.5)
            return False
        invented = invent(fault, request)
        answer = invented
        if answer is None or fault is Fault.FAILED_LATE:
            began = time.monotonic()
            upstream[1].write(request.head + request.body)
            carried = await _read(upstream[0])
            self.overdue += time.monotonic() - began >= self._patience
            answer = answer or carried
        if fault is Fault.CUT_LATE:
            _reset(writer)
            return False
        if fault is Fault.SILENT_LATE:
            await asyncio.sleep(self._patience * 1.5)
            return False
        await _write(writer, answer, slow=fault is Fault.SLOW)
        return True

    def _choose(self, operation: str) -> Fault | None:
        self.requests += 1
        if self._random.random() >= self._rate:
            return None
        fault = self._only or choose(operation, self._random)
        self.faults[fault] += 1
        return fault


@asynccontextmanager
async def _connect(address: tuple[str, int]) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Message:
    head = await reader.readuntil(b"\r\n\r\n")
    message = Message(head, b"")
    assert not message.find("transfer-encoding")
    return Message(head, await reader.readexactly(int(message.find("content-length") or 0)))


async def _write(writer: asyncio.StreamWriter, message: Message, *, slow: bool) -> None:
    content = message.head + message.body
    size = len(content) // 4 + 1 if slow else len(content)
    for start in range(0, len(content), size):
        if slow:
            await asyncio.sleep(TRICKLE_SECONDS)
        writer.write(content[start : start + size])
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
