"""Random places calls: two places with few tokens, and keys for one or both."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from random import Random

from pushreg.schema import Item
from tests.linearizability.model_places import Answer, Call, Model, Row, State, age, agrees
from tests.linearizability.stack import ALL_PLACES_KEY, PLACE_IDS, draw_sending, key_of, to_date, to_day, verdict
from tests.support.calls import Send, Senders

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

    def __init__(self, lifetime: float = math.inf, *, has_senders: bool = False) -> None:
        self._model = Model(frozenset(PLACE_IDS), KEYS, lifetime)
        self._verbs = ("PUT", "PUT", "DELETE", "REPORT", "OK", "LOOKUP") if has_senders else ("PUT", "DELETE")

    def draw(self, random: Random, seen: Sequence[Answer], day: int = 0) -> Call:
        """Return a call; one in twelve under a key that does not reach, one in forty about no place."""
        place = random.choices((*PLACE_IDS, UNKNOWN_PLACE), (29, 10, 1))[0]
        key = ALL_PLACES_KEY if random.random() < 0.5 or place == UNKNOWN_PLACE else key_of(place)
        if random.random() < 0.1:
            key = random.choice(list(KEYS))
        sent = draw_sending(random, day)
        return Call(random.choice(self._verbs), key, place, random.choice(TOKENS), day, sent)

    def perform(self, send: Send, call: Call) -> Answer | None:
        """Make the call and return what a model determines of its answer; None for a 5xx."""
        if call.verb in ("REPORT", "OK", "LOOKUP"):
            return self._perform_for_sender(Senders(send), call)
        path = f"/dts/places/{call.place}/subscriptions"
        headers = {"content-type": "application/json", "authorization": f"Bearer {call.key}"}
        status, _, body = send(call.verb, path, headers, json.dumps({"device_token": call.token}).encode())
        if status >= 500:
            return None
        message = json.loads(body)["message"]
        if status != 200:
            return Answer(status, message)
        return Answer(200, message["message"], (message["data"]["place_id"], message["data"]["device_token"]))

    def _perform_for_sender(self, senders: Senders, call: Call) -> Answer | None:
        if call.verb == "LOOKUP":
            reply = senders.look_up({"place_id": call.place})
        else:
            entry = {"place_id": call.place, "device_token": call.token}
            reply = senders.report({**entry, **verdict(call.verb, call.sent)})
        if reply.status >= 500:
            return None
        (result,) = reply.json["results"]
        found = frozenset(token["device_token"] for token in result.get("tokens", ()))
        return None if result["status"] == "failed" else Answer(reply.status, result["status"], tokens=found)

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the model's state after the call if it may have been answered so."""
        return self._model.step(state, call, answer, fresh)

    def attempt(self, call: Call) -> Call | None:
        """Return the refresh of a PUT, or OK: single updates without an idempotency token, which create nothing."""
        verb = {"PUT": "REFRESH", "OK": "OK"}.get(call.verb)
        return None if verb is None else call._replace(verb=verb)

    def age(self, state: State, day: int) -> State:
        """Return what is left of a state on the day."""
        return age(state, day)

    def agrees(self, state: State, stored: State) -> bool:
        """Whether the model's state is the stored one."""
        return agrees(state, stored)

    def load(self, items: Iterable[Item]) -> State:
        """Return the stored items as a state of the model."""
        return frozenset(
            Row(
                item["place_id"],
                item["device_token"],
                to_day(item.get("expires_at")),
                to_date(item["updated_at"]),
            )
            for item in items
        )
