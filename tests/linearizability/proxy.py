"""A proxy between the client library and DynamoDB that injects faults."""

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
from typing import Any
from urllib.parse import urlsplit

from pushreg_local.engines import HOST
from tests.linearizability.faults import Fault, Message, choose, invent
from tests.support.engine import find_port

OUTAGE_SECONDS = 0.02
TRICKLE_SECONDS = 0.01
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Carries requests to DynamoDB, and does to `rate` of them what the seed says, or always the `only` fault.

    `patience` is the client's: a silence lasts longer. `overdue` counts requests that DynamoDB itself took that long
    for, which a client may have repeated before they were carried out.
    """

    def __init__(self, endpoint: str, rate: float, seed: str, patience: float, only: Fault | None = None) -> None:
        parts = urlsplit(endpoint)
        self._upstream = (parts.hostname or HOST, parts.port or 80)
        self.rate = rate
        self._random = Random(seed)
        self._patience = patience
        self._only = only
        self._idle: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
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
            self._open()
            ready.set()
            await stop.wait()
            self._close()
            while self._tasks:
                for task in self._tasks:
                    task.cancel()
                await asyncio.wait(self._tasks)
            # Transports close their sockets a moment after they are told to.
            await asyncio.sleep(0.01)

        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
        thread.start()
        try:
            assert ready.wait(10), f"port {self._port} is taken"
            yield f"http://{HOST}:{self._port}"
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

    def _open(self) -> None:
        # Not asyncio's server: one that is closed while somebody connects forgets that connection (Python 3.11).
        self._listener = socket.create_server((HOST, self._port), backlog=64)
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        for writer in self._idle:
            writer.transport.abort()

    def _accept(self) -> None:
        if self._listener is not None:
            connection, _ = self._listener.accept()
            task = asyncio.get_running_loop().create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with _stream(sock=connection) as (reader, writer), _stream(*self._upstream) as upstream:
                try:
                    while True:
                        self._idle.add(writer)
                        request = await _read(reader)
                        self._idle.discard(writer)
                        if not await self._carry(request, writer, upstream):
                            break
                finally:
                    self._idle.discard(writer)

    async def _carry(self, request: Message, writer: asyncio.StreamWriter, upstream: Stream) -> bool:
        """Answer one request, and tell whether the connection survived."""
        operation = request.find("x-amz-target").partition(".")[2]
        fault = self._choose(operation)
        if fault is Fault.REFUSED and self._listener is not None:
            # Closed first: whoever learns of it and comes back finds nobody.
            self._close()
            _reset(writer)
            await asyncio.sleep(OUTAGE_SECONDS)
            self._open()
            return False
        if fault in (Fault.CUT, Fault.REFUSED):
            _reset(writer)
            return False
        if fault is Fault.SILENT:
            await asyncio.sleep(self._patience * 1.5)
            return False
        answer = invent(fault, request)
        if answer is None or fault is Fault.FAILED_LATE:
            carried = await self._forward(request, *upstream)
            answer = answer or carried
        if fault is Fault.CUT_LATE:
            _reset(writer)
            return False
        if fault is Fault.SILENT_LATE:
            await asyncio.sleep(self._patience * 1.5)
            return False
        await _write(writer, answer, slow=fault is Fault.SLOW)
        return True

    async def _forward(self, request: Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message:
        began = time.monotonic()
        writer.write(request.head + request.body)
        answer = await _read(reader)
        self.overdue += time.monotonic() - began >= self._patience
        return answer

    def _choose(self, operation: str) -> Fault | None:
        self.requests += 1
        if self._random.random() >= self.rate:
            return None
        fault = self._only or choose(operation, self._random)
        self.faults[fault] += 1
        return fault


@asynccontextmanager
async def _stream(*address: Any, **options: Any) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection(*address, **options)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Message:
    head = await reader.readuntil(b"\r\n\r\n")
    message = Message(head, b"")
    if message.find("transfer-encoding"):
        return Message(head, b"".join([chunk async for chunk in _read_chunks(reader)]))
    return Message(head, await reader.readexactly(int(message.find("content-length") or 0)))


async def _read_chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the chunks of a long answer as they stand on the wire, their sizes with them."""
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        yield line + await reader.readexactly(size + 2)


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
