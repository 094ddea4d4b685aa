"""A process that is ready to work, and forks a worker that can be killed for each order.

Run as `python -m tests.linearizability.fork_server ENDPOINT`. It reads commands from standard input, one per line:
`start SEED CLIENT PATH` prints the worker's number, `kill NUMBER` its exit status.
"""

from __future__ import annotations

import os
import signal
import sys

from tests.linearizability.histories import make_client
from tests.linearizability.stack import connect_to
from tests.linearizability.worker import work


def answer(text: object) -> None:
    """Write the line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(endpoint: str) -> None:
    """Obey until there are no more orders."""
    # Nothing is open before the first call, so workers share no connection.
    with connect_to(endpoint) as client:
        send = make_client(client)
        answer("ready")
        for line in sys.stdin:
            order, *arguments = line.split()
            if order == "start":
                seed, number, path = arguments
                worker = os.fork()
                if worker == 0:
                    work(send, seed, int(number), path)
                    os._exit(0)
                answer(worker)
            else:
                worker = int(arguments[0])
                # Not waited for yet, so the number is still the worker's.
                os.kill(worker, signal.SIGKILL)
                _, status = os.waitpid(worker, 0)
                answer(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1])
