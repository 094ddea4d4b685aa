"""Repeated repairs of larger tables during live traffic."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pushreg.dynamodb import to_attributes
from pushreg.schema import DEVICES, OPERATOR_WRITE, PLACES, SUBSCRIBERS, TABLE_KEYS, Item, digest
from pushreg_local.demo import ACCOUNT_ID, PLACE_ID
from pushreg_ops.records.entities import StoredEntity, claims_of, to_item
from pushreg_ops.records.items import StoredDevice, StoredToken
from pushreg_ops.registry import Registry
from pushreg_ops.verify.checking import verify
from pushreg_ops.verify.repairing import Repairer
from tests.support.calls import Engagement, Kazoo, Places, Reply, answered
from tests.support.damage import Damage
from tests.support.gateway import Gateway
from tests.support.stored import BATCH, Stored
from tests.support.transfer import device, subscriber, token

pytestmark = pytest.mark.engine

# Of each family; all others are neither called nor damaged.
NUMBERS = 240
CALLED, CALLED_DAMAGED, DAMAGED, STILL = range(30), range(30, 60), range(60, 96), range(96, NUMBERS)
ROUNDS, WRITERS = 3, 3
PROXY = "192.0.2.9"
TABLES = (DEVICES, SUBSCRIBERS, PLACES)
Harm = Callable[[Damage, int], object]


def seed(number: int) -> dict[str, list[Item]]:
    """Return the items of a number in each table."""
    heads: dict[str, StoredEntity] = {
        DEVICES: device(f"d{number}", f"m{number}").entity,
        SUBSCRIBERS: subscriber(str(10**18 + number), f"dev{number}", f"sid{number}").entity,
        PLACES: token(f"t{number}").entity,
    }
    return {table: [to_item(entity), *map(to_item, claims_of(entity))] for table, entity in heads.items()}


def misplace(it: Damage, number: int) -> None:
    row = it.token(f"t{number}")
    it.change(PLACES, row, token_digest=digest(f"x{number}"))
    it.remove(PLACES, row)


def add_holder(it: Damage, number: int) -> None:
    name = f"second{number}"
    it.change(DEVICES, it.device(f"d{number}"), device_id=name, record=f"device#{name}")


def expire(it: Damage, number: int) -> None:
    for item in (it.subscriber(number), it.claim("device", f"dev{number}"), it.claim("sid", f"sid{number}")):
        it.change(SUBSCRIBERS, item, expires_at=1)
    it.change(PLACES, it.token(f"t{number}"), expires_at=1)


def choose(harms: tuple[Harm, ...], number: int) -> Harm:
    return harms[number % len(harms)]


# What is damaged so is as it was when it is repaired.
HARMS: tuple[Harm, ...] = (
    lambda it, n: it.remove(DEVICES, it.mobile(f"m{n}")),
    lambda it, n: it.change(DEVICES, it.mobile(f"m{n}"), device_id="gone"),
    lambda it, n: it.change(DEVICES, it.device(f"d{n}"), digest="0" * 32),
    lambda it, n: it.change(DEVICES, it.mobile(f"m{n}"), record=f"mobile#{digest(f'nobody {n}')}"),
    add_holder,
    lambda it, n: it.remove(SUBSCRIBERS, it.claim("device", f"dev{n}")),
    lambda it, n: it.remove(SUBSCRIBERS, it.claim("sid", f"sid{n}")),
    lambda it, n: it.change(SUBSCRIBERS, it.claim("device", f"dev{n}"), active=False),
    lambda it, n: it.change(SUBSCRIBERS, it.claim("sid", f"sid{n}"), partner=digest("x")),
    lambda it, n: it.change(SUBSCRIBERS, it.claim("sid", f"sid{n}"), record=f"sid#demo-app#{digest(f'old {n}')}"),
    misplace,
    lambda it, n: it.change(PLACES, it.token(f"t{n}"), token_digest=digest(f"y{n}")),
)


CALLED_HARMS = (*HARMS, expire)
EXPIRED = [number for number in CALLED_DAMAGED if choose(CALLED_HARMS, number) is expire]
HELD_TWICE = [number for number in CALLED_DAMAGED if choose(CALLED_HARMS, number) is add_holder]
HELD_TWICE += [number for number in DAMAGED if choose(HARMS, number) is add_holder]


class Writer:
    """Calls for some numbers, each call an acknowledged one, and remembers what each was left at."""

    def __init__(self, registry: Registry, share: int) -> None:
        send = Gateway(registry.client, sleep=time.sleep).send
        self._kazoo, self._engagement, self._places = Kazoo(send), Engagement(send), Places(send)
        self._numbers = [*CALLED[share::WRITERS], *CALLED_DAMAGED[share::WRITERS]]
        self.holders: dict[int, tuple[str, str]] = {}
        self.subscribers: dict[int, tuple[str, str]] = {}

    def work(self, done: threading.Event) -> None:
        """Call for all numbers, turn after turn, until told to stop."""
        turn = 0
        while turn == 0 or not done.is_set():
            for number in self._numbers:
                (self._call if number in CALLED else self._refresh)(number, turn)
            turn += 1

    def _call(self, number: int, turn: int) -> None:
        holder, _ = self.holders.get(number, (f"d{number}", PROXY))
        proxy = PROXY
        match turn % 3:
            case 0:
                proxy = f"192.0.2.{turn % 200}"
                self._expect(200, self._kazoo.post(holder, f"m{number}", proxy))
            case 1:
                holder = f"live{number}" if holder == f"d{number}" else f"d{number}"
                self._expect(201, self._kazoo.put(holder, f"m{number}"))
            case _:
                self._expect(200, self._kazoo.delete(holder))
                self._expect(200, self._places.delete(f"t{number}"))
                self._expect(201, self._kazoo.put(holder, f"m{number}"))
                ksid, _ = self.subscribers[number]
                self._expect(200, self._engagement.unsubscribe(ksid=ksid, appId="demo-app", deviceId=f"dev{number}"))
        self.holders[number] = (holder, proxy)
        self._subscribe(number, f"sid{number} {turn}")
        self._expect(200, self._places.put(f"t{number}"))

    def _refresh(self, number: int, turn: int) -> None:
        proxy = f"192.0.2.{turn % 200}"
        self._expect(200, self._kazoo.post(f"d{number}", f"m{number}", proxy))
        self.holders[number] = (f"d{number}", proxy)
        self._subscribe(number, f"sid{number}")
        self._expect(200, self._places.put(f"t{number}"))

    def _subscribe(self, number: int, sid: str) -> None:
        reply = self._engagement.subscribe(f"dev{number}", sid)
        self._expect(reply.status if reply.status == 201 else 200, reply)
        ksid = answered(reply)[1]
        assert self.subscribers.get(number, (ksid, ""))[0] == ksid
        self.subscribers[number] = (ksid, sid)

    def _expect(self, status: int, reply: Reply) -> None:
        assert reply.status == status, reply.body


@pytest.fixture
def damage(registry: Registry, stored: Stored) -> Damage:
    """Many of each kind, without a call."""
    for table in TABLES:
        writes = [{"PutRequest": {"Item": to_attributes(item)}} for n in range(NUMBERS) for item in seed(n)[table]]
        for start in range(0, len(writes), BATCH):
            answer = stored.client.batch_write_item(RequestItems={table: writes[start : start + BATCH]})
            assert not answer["UnprocessedItems"]
    return Damage(stored, [str(10**18 + number) for number in range(NUMBERS)])


def check(stored: Stored, writers: list[Writer], removed: list[StoredEntity]) -> None:
    """Hold the tables to what was answered and to what nobody asked to change."""
    items = {
        (table, *(item[name] for name in TABLE_KEYS[table])): item for table in TABLES for item in stored.settled(table)
    }
    for number in (*DAMAGED, *STILL):
        for table, wanted in seed(number).items():
            for item in wanted:
                found = dict(items[table, *(item[name] for name in TABLE_KEYS[table])])
                found.pop(OPERATOR_WRITE, None)
                assert found == {name: value for name, value in item.items() if value is not None}
    for writer in writers:
        for number, (holder, proxy) in writer.holders.items():
            assert items[DEVICES, ACCOUNT_ID, f"mobile#{digest(f'm{number}')}"]["device_id"] == holder
            document = json.loads(items[DEVICES, ACCOUNT_ID, f"device#{holder}"]["document"])
            assert (document["mobile_device_id"], document["sip_proxy_server"]) == (f"m{number}", proxy)
            assert (PLACES, PLACE_ID, digest(f"t{number}")) in items
        for number, (ksid, sid) in writer.subscribers.items():
            found = items[SUBSCRIBERS, f"ksid#{ksid}"]
            assert (found["deviceId"], found["sid"], found["active"]) == (f"dev{number}", sid, True)
            assert ksid == str(10**18 + number) or number in EXPIRED
    # What was taken away had no right to be there, and is kept.
    superfluous = [each for each in removed if isinstance(each, StoredDevice)]
    # Kept before it goes, so one whose removal a live write held up is kept again.
    assert {each.device_id for each in superfluous} == {f"second{number}" for number in HELD_TWICE}
    rows = [each for each in removed if isinstance(each, StoredToken)]
    assert len(rows) + len(superfluous) == len(removed)
    assert all(digest(row.device_token) != row.token_digest for row in rows)


def break_next(damage: Damage) -> Iterator[int]:
    """Yield how many numbers nobody calls for are broken, round by round."""
    for first in range(ROUNDS):
        part = DAMAGED[first::ROUNDS]
        for number in part:
            choose(HARMS, number)(damage, number)
        yield len(part)


def test_verify_repair_during_live_traffic_loses_no_acknowledged_write(
    registry: Registry, damage: Damage, stored: Stored
) -> None:
    epoch = int(time.time())
    for number in CALLED_DAMAGED:
        choose(CALLED_HARMS, number)(damage, number)
    removed: list[StoredEntity] = []
    repairer = Repairer(registry, epoch, removed.append)

    def repair() -> int:
        findings = verify(registry, epoch)[1]
        return repairer.apply([repairer.propose(each) for each in findings]) + repairer.remove_expired()

    done = threading.Event()
    writers = [Writer(registry, share) for share in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        working = [pool.submit(writer.work, done) for writer in writers]
        repaired = 0
        try:
            for _ in break_next(damage):
                repaired += repair()
        finally:
            done.set()
        for each in working:
            each.result()
    while repair():
        pass
    assert repaired >= len(DAMAGED)
    check(stored, writers, removed)
