"""Listing subscribers: what matches, how many there are, and page after page of them.

docs/spec/engagement-v1.md#7-read-list-change-delete-management
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pushreg.models.directory import Application
from pushreg.schema import DIRECTORY, SUBSCRIBERS, Item, ksid_key, user_index_sort
from pushreg.stores.directory import to_item
from tests.support.calls import Modern
from tests.support.gateway import Gateway
from tests.support.stored import Stored
from tests.support.time import Time
from tests.support.wire import Wire

APPLICATION = "listed-app"
OTHER = "demo-app"
MEGABYTE = 1024 * 1024
SID_BYTES = 4096
MOMENT = "2026-01-02T15:04:05Z"


def subscriber(number: int, **changes: Any) -> Item:
    ksid = str(4 * 10**18 + number)
    item = {
        **ksid_key(ksid),
        "ksid": ksid,
        "appId": APPLICATION,
        "deviceId": f"device-{number}",
        "sid": f"sid-{number}",
        "osType": "iphone",
        "active": True,
        "created_at": MOMENT,
        "updated_at": MOMENT,
        **changes,
    }
    return {"ufid_ksid": user_index_sort(item.get("ufid"), ksid), **item}


@pytest.fixture
def modern(client: Any, empty: Stored, wire: Wire, time: Time) -> Modern:
    empty.put(DIRECTORY, to_item(Application(APPLICATION, MOMENT)))
    return Modern(Gateway(client, **time.options()).send, APPLICATION)


def store(stored: Stored, *items: Item) -> None:
    for item in items:
        stored.put(SUBSCRIBERS, item)


def walk(modern: Modern, size: int, **query: Any) -> Iterator[dict[str, Any]]:
    """Yield the pages from the first to the last, by their cursors."""
    start: Any = 0
    while start is not None:
        page = modern.list(start=start, pageSize=size, **query).json
        yield page
        start = page.get("next")


def numbers(page: dict[str, Any]) -> list[int]:
    return [row["ksid"] - 4 * 10**18 for row in page["subscribers"]]


def test_list_default_page_has_20_of_all(modern: Modern, empty: Stored) -> None:
    store(empty, *(subscriber(number) for number in range(45)), subscriber(99, appId=OTHER))
    page = modern.list().json
    assert (page["total"], numbers(page)) == (45, list(range(20)))
    assert numbers(modern.list(start=page["next"]).json) == list(range(20, 40))


@pytest.mark.parametrize("size", [1, 7, 44, 45, 46, 1000])
def test_list_pages_by_cursor_hold_each_subscriber_once_and_the_exact_total(
    size: int, modern: Modern, empty: Stored
) -> None:
    store(empty, *(subscriber(number, ufid=None if number % 3 else f"user-{number}") for number in range(45)))
    pages = list(walk(modern, size))
    assert {page["total"] for page in pages} == {45}
    assert [len(page["subscribers"]) for page in pages] == [size] * (45 // size) + [45 % size] * (45 % size > 0)
    found = [number for page in pages for number in numbers(page)]
    assert sorted(found) == list(range(45))


@pytest.mark.parametrize(("start", "size"), [(0, 10), (10, 10), (44, 10), (45, 10), (1000, 10), (3, 1)])
def test_list_page_by_position_equals_the_same_part_of_all(
    start: int, size: int, modern: Modern, empty: Stored
) -> None:
    store(empty, *(subscriber(number) for number in range(45)))
    page = modern.list(start=start, pageSize=size).json
    assert (page["total"], numbers(page)) == (45, list(range(45))[start : start + size])
    assert ("next" in page) == (start + size < 45)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"ufid": "me"}, [0, 1, 2]),
        ({"ufid": "me", "osType": "IPHONE"}, [0, 1]),
        ({"ufid": "you"}, [3]),
        ({"ufid": "nobody"}, []),
        ({"osType": "androidgcm"}, [2, 4]),
        ({"subscriptionStatus": "false"}, [1]),
        ({"subscriptionStatus": "TRUE"}, [2, 4, 0, 3]),
        ({"cloudStatus": "false"}, [3]),
        ({"cloudStatus": "true"}, [2, 4, 0, 1]),
        ({"cloudStatus": "true", "subscriptionStatus": "true", "osType": "iphone"}, [0]),
        ({"ufid": "", "osType": " ", "subscriptionStatus": ""}, [0, 1, 2, 3, 4]),
    ],
)
def test_list_filters_combine(query: dict[str, str], expected: list[int], modern: Modern, empty: Stored) -> None:
    store(
        empty,
        subscriber(0, ufid="me"),
        subscriber(1, ufid="me", active=False),
        subscriber(2, ufid="me", osType="androidgcm", cloud=True),
        subscriber(3, ufid="you", cloud=False),
        subscriber(4, osType="androidgcm"),
    )
    page = modern.list(**query).json
    assert (page["total"], sorted(numbers(page))) == (len(expected), sorted(expected))
    single = list(walk(modern, 1, **query))
    assert sorted(number for page in single for number in numbers(page)) == sorted(expected)


@pytest.mark.parametrize(
    ("query", "total"),
    [({}, 1), ({"ufid": "me"}, 1), ({"ufid": "you"}, 0), ({"osType": "ipad"}, 0), ({"subscriptionStatus": "true"}, 1)],
)
def test_list_of_device_combines_with_other_filters(query: dict[str, str], total: int, modern: Modern) -> None:
    modern.subscribe("phone", "sid", ufid="me", osType="iphone")
    modern.subscribe("other", "other-sid", ufid="me", osType="iphone")
    assert modern.list(deviceId="phone", **query).json["total"] == total
    assert modern.list(deviceId="phone", start=1, **query).json == {"total": total, "subscribers": []}


def test_list_leaves_out_expired_subscribers(modern: Modern, empty: Stored, time: Time) -> None:
    epoch = int(time.moment.timestamp())
    store(empty, subscriber(0, expires_at=epoch), subscriber(1, expires_at=epoch + 1), subscriber(2))
    page = modern.list().json
    assert (page["total"], numbers(page)) == (2, [1, 2])


def test_list_of_user_among_many_is_one_query(modern: Modern, empty: Stored, wire: Wire) -> None:
    store(empty, *(subscriber(number, ufid=f"user {number % 50}") for number in range(200)))
    modern.list(ufid="user 1")
    wire.clear()
    assert modern.list(ufid="user 7").json["total"] == 4
    assert wire.calls == ["Query"]


@pytest.mark.slow
def test_list_larger_than_a_query_counts_all_pages(modern: Modern, empty: Stored, wire: Wire) -> None:
    count = 3 * MEGABYTE // SID_BYTES
    store(empty, *(subscriber(number, sid=f"{number:04}" * (SID_BYTES // 4)) for number in range(count)))
    modern.list()
    wire.clear()
    first = modern.list(pageSize=10).json
    assert (first["total"], numbers(first)) == (count, list(range(10)))
    assert wire.calls == ["Query"] * len(wire.calls)
    deep = modern.list(start=first["next"], pageSize=10).json
    assert (deep["total"], numbers(deep)) == (count, list(range(10, 20)))
    selective = modern.list(start=count - 3, osType="iphone").json
    assert (selective["total"], numbers(selective)) == (count, list(range(count - 3, count)))


def test_list_of_large_rows_ends_page_early_and_goes_on_by_cursor(modern: Modern, empty: Stored) -> None:
    # Control characters take six bytes each in JSON.
    count = 200
    store(empty, *(subscriber(number, sid="\x01" * SID_BYTES) for number in range(count)))
    pages = list(walk(modern, 1000))
    assert len(pages) > 1
    assert {page["total"] for page in pages} == {count}
    assert [number for page in pages for number in numbers(page)] == list(range(count))
    reply = modern.list(pageSize=1000)
    assert len(reply.body) < 2 * MEGABYTE


@pytest.mark.slow
def test_list_that_takes_too_long_to_count_is_refused(modern: Modern, empty: Stored, wire: Wire, time: Time) -> None:
    count = 3 * MEGABYTE // SID_BYTES
    store(empty, *(subscriber(number, sid=f"{number:04}" * (SID_BYTES // 4)) for number in range(count)))
    modern.list()

    def answer_slowly(_: object) -> None:
        time.passed += 1

    wire.fail(answer_slowly, "Query", 3)
    reply = modern.list()
    assert reply.status == 400
    message = "Invalid request. Too many to count: narrow the filters, or export."
    assert reply.json == {"id": "", "message": message}


@pytest.mark.parametrize("ufid", [None, "me"])
def test_list_cursor_of_other_user_is_refused(ufid: str | None, modern: Modern, empty: Stored) -> None:
    store(empty, *(subscriber(number, ufid="you") for number in range(3)))
    cursor = modern.list(ufid="you", pageSize=1).json["next"]
    reply = modern.list(start=cursor, **({} if ufid is None else {"ufid": ufid}))
    assert reply.status == (200 if ufid is None else 400)
