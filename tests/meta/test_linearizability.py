"""The linearizability checker: it accepts explainable histories and refuses impossible ones."""

from __future__ import annotations

import pytest

from tests.linearizability import model_engagement, model_places
from tests.linearizability.dialect_places import Places
from tests.linearizability.histories import list_attempts
from tests.linearizability.model_engagement import CREATED, DUPLICATE, UPDATED, Subscribe
from tests.linearizability.model_places import DELETED, NO_TOKEN, STORED, Answer, Call, Model, Row, State
from tests.linearizability.order_search import Event, find_order

ROW = Row("place", "token")
MODEL = Model(frozenset({"place"}), {"key": frozenset({"place"})})
PUT, DELETE = Call("PUT", "key", "place", "token"), Call("DELETE", "key", "place", "token")
PAIR = ("place", "token")
PUTTED, DELETED_IT = Answer(200, STORED, PAIR), Answer(200, DELETED, PAIR)
EMPTY: State = frozenset()
THERE: State = frozenset({ROW})

Step = tuple[Call, Answer | None, float, float]


def explain(*steps: Step, stored: State) -> list[int] | None:
    events = [Event(number, *step) for number, step in enumerate(steps)]
    return find_order(events, EMPTY, MODEL.step, lambda state: state == stored)


@pytest.mark.parametrize(
    ("steps", "stored", "order"),
    [
        ([], EMPTY, []),
        ([(PUT, PUTTED, 0, 1), (DELETE, DELETED_IT, 2, 3)], EMPTY, [0, 1]),
        # What overlaps may have happened in either order.
        ([(DELETE, DELETED_IT, 0, 3), (PUT, PUTTED, 1, 2)], EMPTY, [1, 0]),
        ([(DELETE, NO_TOKEN, 0, 3), (PUT, PUTTED, 1, 2)], THERE, [0, 1]),
        # A call without an answer may have happened or not, and later than it was given up.
        ([(PUT, None, 0, 1)], THERE, [0]),
        ([(PUT, None, 0, 1)], EMPTY, []),
        ([(PUT, None, 0, 1), (DELETE, NO_TOKEN, 2, 3)], THERE, [1, 0]),
    ],
)
def test_find_order_explainable_history_returns_order(steps: list[Step], stored: State, order: list[int]) -> None:
    assert explain(*steps, stored=stored) == order


@pytest.mark.parametrize(
    ("steps", "stored"),
    [
        # A write that was acknowledged is gone, or one that was never asked for is there.
        ([(PUT, PUTTED, 0, 1)], EMPTY),
        ([], THERE),
        # One row, deleted twice.
        ([(PUT, PUTTED, 0, 1), (DELETE, DELETED_IT, 2, 5), (DELETE, DELETED_IT, 3, 4)], EMPTY),
        # The row was acknowledged before the other call began.
        ([(PUT, PUTTED, 0, 1), (DELETE, NO_TOKEN, 2, 3)], THERE),
        # A call that failed happened at most once.
        ([(PUT, None, 0, 1), (DELETE, DELETED_IT, 2, 3), (DELETE, DELETED_IT, 4, 5)], EMPTY),
        # Nothing happens before it is asked for.
        ([(DELETE, DELETED_IT, 0, 1), (PUT, PUTTED, 2, 3)], EMPTY),
    ],
)
def test_find_order_impossible_history_returns_none(steps: list[Step], stored: State) -> None:
    assert explain(*steps, stored=stored) is None


LATER = PUT._replace(day=2)
REMOVED = (Call("REPORT", "key", "place", "token", 2, 2), Answer(200, "removed"), 3.0, 4.0)
ABSENT = (Call("OK", "key", "place", "token"), Answer(200, "absent"), 5.0, 6.0)


@pytest.mark.parametrize(
    ("steps", "strictly", "with_attempts"),
    [
        # The PUT set the time back, lost the response, and stored the row anew after it had been removed.
        ([(LATER, PUTTED, 0, 1), (PUT, PUTTED, 2, 9), REMOVED, ABSENT], False, True),
        # An attempt has no effect after its call, and creates nothing.
        ([(LATER, PUTTED, 0, 1), (PUT, PUTTED, 2, 2.5), REMOVED, ABSENT], False, False),
        ([(PUT, PUTTED, 0, 9), (DELETE, DELETED_IT, 1, 2), (DELETE, DELETED_IT, 3, 4)], False, False),
        ([(PUT, PUTTED, 0, 1)], True, True),
    ],
)
def test_find_order_with_attempts_allows_effect_of_lost_response(
    steps: list[Step], strictly: bool, with_attempts: bool
) -> None:
    assert (explain(*steps, stored=THERE) is not None) is strictly
    events = [Event(number, *step) for number, step in enumerate(steps)]
    order = find_order([*events, *list_attempts(Places(), events)], EMPTY, MODEL.step, lambda state: state == THERE)
    assert (order is not None) is with_attempts


SUBSCRIBE = Subscribe("json", "app", "device", "sid", "iphone", None)
ENGAGEMENT = model_engagement.Model(frozenset({"app"}))


def explain_ksids(*answers: model_engagement.Answer | None) -> list[int] | None:
    """Judge equal subscribe requests, one after the other."""
    events = [Event(0, SUBSCRIBE, answer, 2 * number, 2 * number + 1) for number, answer in enumerate(answers)]
    initial: model_engagement.State = frozenset()
    return find_order(events, initial, ENGAGEMENT.step, lambda _: True)


def test_find_order_unanswered_ksid_is_learnt_from_later_answer() -> None:
    duplicates = [model_engagement.Answer("201", DUPLICATE, "1")] * 2
    assert explain_ksids(None, *duplicates) == [0, 1, 2]


@pytest.mark.parametrize("second", ["2", "-1"])
def test_find_order_changed_ksid_returns_none(second: str) -> None:
    first = model_engagement.Answer("200", CREATED, "1")
    assert explain_ksids(first, model_engagement.Answer("201", DUPLICATE, second)) is None
    assert explain_ksids(None, model_engagement.Answer("201", DUPLICATE, "1"), first) is None


def test_find_order_second_equal_request_as_update_returns_none() -> None:
    first = model_engagement.Answer("200", CREATED, "1")
    assert explain_ksids(first, model_engagement.Answer("200", UPDATED, "1")) is None


def test_model_agrees_ignores_unseen_ksid() -> None:
    row = model_engagement.Row("?0", "app", "device", "sid", "iphone", None, active=True)
    assert model_engagement.agrees(frozenset({row}), frozenset({row._replace(ksid="1")}))
    assert not model_engagement.agrees(frozenset({row}), frozenset({row._replace(ksid="1", active=False)}))
    assert not model_engagement.agrees(frozenset({row._replace(ksid="2")}), frozenset({row._replace(ksid="1")}))
    assert not model_engagement.agrees(frozenset(), frozenset({row._replace(ksid="1")}))
    assert model_places.agrees(THERE, THERE)
    assert not model_places.agrees(THERE, EMPTY)
