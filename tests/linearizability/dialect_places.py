"""Places under trial: two places of few tokens, and keys that open one or both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from random import Random

from pushreg.schema import Item
from tests.linearizability.model_places import Answer, Call, Model, Row, State, age, agrees
from tests.linearizability.stack import ALL_PLACES_KEY, PLACE_IDS, key_of, to_day
from tests.support.calls import Send

TOKENS = ("token 1", "token 2")
UNKNOWN_PLACE = "33333333-3333-4333-8333-333333333333"
KEYS = {
    **{key_of(place): frozenset({place}) for place in PLACE_IDS},
    ALL_PLACES_KEY: frozenset({*PLACE_IDS, UNKNOWN_PLACE}),
}


class Places:
    """Everything about a place's tokens."""

    name = "places"
    initial: State = frozenset()

    def __init__(self, lifetime: float = math.inf) -> None:
        self._model = Model(frozenset(PLACE_IDS), KEYS, lifetime)

    def draw(self, random: Random, seen: Sequence[Answer], day: int = 0) -> Call:
        """Return a call; one in twelve under a key that does not reach, one in forty about no place."""
        place = random.choices((*PLACE_IDS, UNKNOWN_PLACE), (29, 10, 1))[0]
        key = ALL_PLACES_KEY if random.random() < 0.5 or place == UNKNOWN_PLACE else key_of(place)
        if random.random() < 0.1:
            key = random.choice(list(KEYS))
        return Call(random.choice(("PUT", "DELETE")), key, place, random.choice(TOKENS), day)

    def perform(self, send: Send, call: Call) -> Answer | None:
        """Make the call and return what a model determines of its answer; None for a 5xx."""
        path = f"/dts/places/{call.place}/subscriptions"
        headers = {"content-type": "application/json", "authorization": f"Bearer {call.key}"}
        status, _, body = send(call.verb, path, headers, json.dumps({"device_token": call.token}).encode())
        if status >= 500:
            return None
        message = json.loads(body)["message"]
        if status != 200:
            return Answer(status, message)
        return Answer(200, message["message"], (message["data"]["place_id"], message["data"]["device_token"]))

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the model's state after the call if it may have been answered so."""
        return self._model.step(state, call, answer, fresh)

    def age(self, state: State, day: int) -> State:
        """Return what is left of a state on the day."""
        return age(state, day)

    def agrees(self, state: State, stored: State) -> bool:
        """Whether the model's state is the stored one."""
        return agrees(state, stored)

    def load(self, items: Iterable[Item]) -> State:
        """Return the stored items as a state of the model."""
        return frozenset(Row(item["place_id"], item["device_token"], to_day(item.get("expires_at"))) for item in items)
