"""The process that is killed: takeovers, each logged before it begins and after it ends."""

from __future__ import annotations

import os
import pickle
import time
from random import Random
from typing import NamedTuple

from tests.linearizability.dialect_kazoo import Kazoo
from tests.linearizability.model_kazoo import Answer, Call
from tests.linearizability.stack import ACCOUNTS
from tests.support.calls import Send

CALLS = 8


class Begun(NamedTuple):
    """A call about to be made."""

    moment: float
    call: Call


class Ended(NamedTuple):
    """What the call came to."""

    moment: float
    answer: Answer | None


def draw(dialect: Kazoo, random: Random) -> Call:
    """Return a call that, nine times in ten, wants one of two mobile devices for one of three devices."""
    (verb,) = random.choices(("PUT", "POST", "DELETE"), (45, 45, 10))
    return dialect.draw(random, [])._replace(verb=verb, caller=ACCOUNTS[0], account=ACCOUNTS[0])


def work(send: Send, seed: str, number: int, path: str) -> None:
    """Make the calls; what the file at `path` says of them is there before the work goes on."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    random = Random(f"{seed} {number}")
    dialect = Kazoo()
    for _ in range(CALLS):
        call = draw(dialect, random)
        os.write(log, pickle.dumps(Begun(time.monotonic(), call)))
        answer = dialect.perform(send, call)
        os.write(log, pickle.dumps(Ended(time.monotonic(), answer)))
    os.close(log)
