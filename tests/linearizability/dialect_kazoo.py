"""Random Kazoo calls: two accounts whose few devices compete for few mobile devices."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from pushreg.models.kazoo import Content as StoredContent
from pushreg.schema import DEVICE_PREFIX, Item
from tests.linearizability import model_kazoo as model
from tests.linearizability.model_kazoo import Answer, Call, Content, Revision, Row, State
from tests.linearizability.stack import ACCOUNTS, draw_sending, key_of, to_date, to_day, verdict
from tests.support.calls import Send, Senders, kazoo_data, kazoo_path

DEVICES = ("desk", "lobby", "attic")
MOBILES = ("phone", "tablet")
APPS = ("softphone", "pager")
# What the app of each kind of token wants to hear of: no two of a subscription want the same.
PREFERENCES = {"token 0": "incoming_call", "token 1": "chat"}
TOKENS = (("token 0",), ("token 1",), ("token 0", "token 1"))
VERBS = ("GET", "PUT", "PUT", "POST", "POST", "POST", "DELETE")


def describe(content: Content) -> dict[str, Any]:
    """Return the content as a caller writes it."""
    registrations = {
        token: {"notification_preferences": [PREFERENCES[token]], "notification_type": "fcm"}
        for token in content.tokens
    }
    return kazoo_data(content.mobile, app_name=content.app, notification_registration_ids=registrations)


CONTENTS = [Content(*each) for each in itertools.product(APPS, MOBILES, TOKENS)]
DIGESTS = {each: StoredContent.from_data(describe(each), each.app).digest for each in CONTENTS}
_BY_DIGEST = {digest: content for content, digest in DIGESTS.items()}
_BY_DOCUMENT = {json.dumps(describe(each), sort_keys=True): each for each in CONTENTS}


class Kazoo:
    """Everything about subscriptions of a device."""

    name = "kazoo"
    initial: State = frozenset()

    def __init__(self, lifetime: float = math.inf, *, has_senders: bool = False) -> None:
        self._lifetime = lifetime
        self._has_senders = has_senders
        self._verbs = (*VERBS, "PUT", "REPORT", "REPORT", *model.SENDER_VERBS) if has_senders else VERBS

    def draw(self, random: Random, seen: Sequence[Answer], day: int = 0) -> Call:
        """Return a call; one in seven has a precondition, one in thirty another account's token."""
        account = random.choices(ACCOUNTS, (4, 1))[0]
        caller = account if random.random() < 0.97 else random.choice(ACCOUNTS)
        verb, device, content = random.choice(self._verbs), random.choice(DEVICES), random.choice(CONTENTS)
        call = Call(verb, caller, account, device, content, day=day)
        if verb in model.SENDER_VERBS:
            return call._replace(token=random.choice(list(PREFERENCES)), sent=draw_sending(random, day))
        revisions = [answer.revision for answer in seen if answer.revision is not None]
        if revisions and random.random() < 0.15:
            chosen = frozenset(random.sample(revisions, min(len(revisions), 2)))
            return call._replace(wanted=chosen) if random.random() < 0.5 else call._replace(unwanted=chosen)
        return call

    def perform(self, send: Send, call: Call) -> Answer | None:
        """Make the call and return what a model determines of its answer; None for a 5xx."""
        if call.verb in model.SENDER_VERBS:
            return _perform_for_sender(Senders(send), call)
        path = kazoo_path(call.device, call.content.app, call.account)
        headers = {"content-type": "application/json", "x-auth-token": key_of(call.caller)}
        if call.wanted is not None:
            headers["if-match"] = _write_tags(call.wanted)
        if call.unwanted:
            headers["if-none-match"] = _write_tags(call.unwanted)
        sent = json.dumps({"data": describe(call.content)}).encode() if call.verb in ("PUT", "POST") else None
        status, _, body = send(call.verb, path, headers, sent)
        return None if status >= 500 else _read(call, status, body)

    def step(self, state: State, call: Call, answer: Answer | None, fresh: str) -> State | None:
        """Return the model's state after the call if it may have been answered so."""
        return model.step(state, call, answer, self._lifetime)

    def attempt(self, call: Call) -> None:
        """Return None: each write has an idempotency token."""

    def age(self, state: State, day: int) -> State:
        """Return what is left of a state on the day."""
        return model.age(state, day)

    def agrees(self, state: State, stored: State) -> bool:
        """Whether the model's state is the stored one."""
        return model.agrees(state, stored)

    def load(self, items: Iterable[Item]) -> State:
        """Return the stored items as a state of the model."""
        return frozenset(
            Row(
                item["account_id"],
                item["device_id"],
                Revision(item["writes"], _find(json.loads(item["document"]))),
                # Version 1.0.0 lets nothing expire.
                math.inf if self._lifetime == math.inf else to_day(item.get("expires_at")),
                # Nor does it tell when a subscription was refreshed.
                to_date(item["refreshed_at"]) if self._has_senders else 0,
            )
            for item in items
            if item["record"].startswith(DEVICE_PREFIX)
        )


def _perform_for_sender(senders: Senders, call: Call) -> Answer | None:
    address = {"account_id": call.account, "device_id": call.device}
    if call.verb == "LOOKUP":
        reply = senders.look_up(address)
    else:
        reply = senders.report({**address, "registration_id": call.token, **verdict(call.verb, call.sent)})
    if reply.status >= 500:
        return None
    (result,) = reply.json["results"]
    found = tuple(sorted(token["registration_id"] for token in result.get("tokens", ())))
    return None if result["status"] == "failed" else Answer(reply.status, result["status"], tokens=found)


def _write_tags(revisions: Iterable[Revision]) -> str:
    return ", ".join(f'"{each.writes}-{DIGESTS[each.content]}"' for each in sorted(revisions))


def _read(call: Call, status: int, body: bytes) -> Answer:
    if not body:
        return Answer(status)
    envelope = json.loads(body)
    if envelope["status"] == "error":
        return Answer(status, envelope["message"])
    writes, _, digest = envelope["revision"].partition("-")
    revision = Revision(int(writes), _BY_DIGEST[digest])
    if call.verb == "DELETE":
        assert envelope["data"] == {"id": call.device, "_read_only": {"deleted": True}}
        return Answer(status, "deleted", revision)
    assert _find(envelope["data"]) == revision.content
    return Answer(status, "found" if call.verb == "GET" else "stored", revision)


def _find(document: dict[str, Any]) -> Content:
    return _BY_DOCUMENT[json.dumps(document, sort_keys=True)]
