"""A sender to copy: messages from SQS, tokens from Pushreg, FCM and APNs, and their answers back to Pushreg.

A record's body is `{"address": …, "title": …, "body": …}` with an address of Pushreg's lookup. A record whose message
could not be handed over is returned to the queue; its tokens may then get the message again, which collapse ids keep
from showing twice.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import jwt

PARALLEL = 16
ATTEMPTS = 4
RECONNECTS = 3
# Seconds: the longest wait for a provider that asks for patience, and the age at which credentials are renewed.
MAX_WAIT = 30.0
RENEW_AFTER = 45 * 60
ENTRIES = 100
# The members by which each kind of token is reported.
NAMES = ("place_id", "device_token", "ksid", "sid", "account_id", "device_id", "registration_id")
TOKENS = ("device_token", "sid", "registration_id")

Token = dict[str, Any]


@dataclass
class Message:
    """One record of the queue; `sent_to` are the tokens that it was handed over for."""

    record_id: str
    address: dict[str, Any]
    title: str
    body: str
    sent_to: set[str] = field(default_factory=set)


class Sender:
    """Sends through two providers; `secrets` are the parameter's content (see README.md)."""

    def __init__(
        self,
        secrets: dict[str, Any],
        pushreg: str,
        fcm: str = "https://fcm.googleapis.com",
        apns: str = "https://api.push.apple.com",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._secrets = secrets
        self._sleep = sleep
        key = {"authorization": f"Bearer {secrets['pushreg']}"}
        # A connection that could not be made has sent nothing: unlike a request, it can be tried again blindly.
        self._pushreg = httpx.Client(
            base_url=pushreg, headers=key, timeout=30, transport=httpx.HTTPTransport(retries=RECONNECTS)
        )
        self._fcm = httpx.Client(base_url=fcm, timeout=10, transport=httpx.HTTPTransport(retries=RECONNECTS))
        # APNs speaks nothing but HTTP/2, whose connections httpx cannot share between threads.
        self._pool = ThreadPoolExecutor(PARALLEL)
        self._apns_url, self._of_thread = apns, threading.local()
        self._apns: list[httpx.Client] = []
        self._credentials: dict[str, tuple[float, str]] = {}

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        for client in (self._pushreg, self._fcm, *self._apns):
            client.close()

    def send(self, messages: list[Message]) -> list[str]:
        """Send the messages to the living tokens of their addresses; return the ids of records to try again."""
        failed: set[str] = set()
        pending = messages
        # The second round is for tokens that were replaced while the first was on its way.
        for _ in range(2):
            found = self._look_up([message.address for message in pending])
            jobs = [(message, token) for message, tokens in zip(pending, found, strict=True) for token in tokens]
            jobs = [(message, token) for message, token in jobs if name_of(token) not in message.sent_to]
            self._renew_credentials({token["provider"] for _, token in jobs})
            results = list(self._pool.map(lambda job: self._deliver(*job), jobs))
            reports = []
            for (message, token), result in zip(jobs, results, strict=True):
                if result["code"] == "ok":
                    message.sent_to.add(name_of(token))
                elif result["code"] == "unavailable":
                    failed.add(message.record_id)
                else:
                    reports.append((message, {name: token[name] for name in NAMES if name in token} | result))
            outcomes = self._report([report for _, report in reports])
            pending = []
            for (message, _), outcome in zip(reports, outcomes, strict=True):
                if outcome["status"] == "newer" and message not in pending:
                    pending.append(message)
            if not pending:
                break
        return sorted(failed)

    def _look_up(self, addresses: list[dict[str, Any]]) -> list[list[Token]]:
        """Return the tokens of each address."""
        found: list[list[Token]] = [[] for _ in addresses]
        for start in range(0, len(addresses), ENTRIES):
            request: dict[str, Any] = {"addresses": addresses[start : start + ENTRIES], "cursor": None}
            while True:
                answer = self._post(self._pushreg, "/pushreg/v1/lookup", {}, request).raise_for_status().json()
                for result in answer["results"]:
                    found[start + result["address"]] += result.get("tokens", [])
                request["cursor"] = answer["cursor"]
                if answer["cursor"] is None:
                    break
        return found

    def _report(self, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Report what the providers answered, and return what became of it; entries that failed are repeated."""
        outcomes: list[dict[str, Any]] = []
        for start in range(0, len(reports), ENTRIES):
            request = {"results": reports[start : start + ENTRIES]}
            results = (
                self._post(self._pushreg, "/pushreg/v1/feedback", {}, request).raise_for_status().json()["results"]
            )
            for _ in range(ATTEMPTS):
                if all(outcome["status"] != "failed" for outcome in results):
                    break
                response = self._post(self._pushreg, "/pushreg/v1/feedback", {}, request)
                results = response.raise_for_status().json()["results"]
            outcomes += results
        return outcomes

    def _deliver(self, message: Message, token: Token) -> dict[str, Any]:
        """Hand the message over for one token, and return provider, code and the time before it was sent."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        provider = token["provider"]
        if provider not in ("fcm", "apns"):
            return {"provider": provider, "code": "unsupported", "at": at}
        try:
            response = (self._send_fcm if provider == "fcm" else self._send_apns)(message, name_of(token))
        except httpx.TransportError:
            return {"provider": provider, "code": "unavailable", "at": at}
        if response.is_success:
            return {"provider": provider, "code": "ok", "at": at}
        if response.status_code == 429 or response.status_code >= 500:
            return {"provider": provider, "code": "unavailable", "at": at}
        return {"provider": provider, "code": read_code(provider, response), "at": at}

    def _send_fcm(self, message: Message, token: str) -> httpx.Response:
        # Registration tokens have a colon; what has none is a Firebase installation id.
        target = {"token": token} if ":" in token else {"fid": token}
        body = {
            "message": {
                **target,
                "notification": {"title": message.title, "body": message.body},
                "android": {"collapse_key": message.record_id},
                "apns": {"headers": {"apns-collapse-id": message.record_id}},
            }
        }
        project = self._secrets["fcm"]["project_id"]
        headers = {"authorization": f"Bearer {self._credentials['fcm'][1]}"}
        return self._post(self._fcm, f"/v1/projects/{project}/messages:send", headers, body)

    def _send_apns(self, message: Message, token: str) -> httpx.Response:
        headers = {
            "authorization": f"bearer {self._credentials['apns'][1]}",
            "apns-topic": self._secrets["apns"]["topic"],
            "apns-push-type": "alert",
            "apns-collapse-id": message.record_id,
        }
        body = {"aps": {"alert": {"title": message.title, "body": message.body}}}
        return self._post(self._get_apns_client(), f"/3/device/{token}", headers, body)

    def _get_apns_client(self) -> httpx.Client:
        """Return the calling thread's own client, kept for the next message."""
        if not hasattr(self._of_thread, "apns"):
            transport = httpx.HTTPTransport(http1=False, http2=True, retries=RECONNECTS)
            self._of_thread.apns = httpx.Client(base_url=self._apns_url, timeout=10, transport=transport)
            self._apns.append(self._of_thread.apns)
        client: httpx.Client = self._of_thread.apns
        return client

    def _post(self, client: httpx.Client, path: str, headers: dict[str, str], body: Any) -> httpx.Response:
        """Post, again after 429 and 5xx: after Retry-After if given, else with growing pauses."""
        for attempt in range(ATTEMPTS - 1):
            response = client.post(path, headers=headers, json=body)
            if response.status_code != 429 and response.status_code < 500:
                return response
            asked = response.headers.get("retry-after", "")
            self._sleep(min(float(asked) if asked.isdigit() else 0.5 * 2**attempt, MAX_WAIT))
        return client.post(path, headers=headers, json=body)

    def _renew_credentials(self, providers: Iterable[str]) -> None:
        """Get FCM's access token and sign APNs' provider token, unless they are young; both are valid for an hour."""
        now = time.time()
        for provider in providers:
            if provider in ("fcm", "apns") and now > self._credentials.get(provider, (0.0, ""))[0] + RENEW_AFTER:
                value = self._get_access_token(now) if provider == "fcm" else self._sign_provider_token(now)
                self._credentials[provider] = (now, value)

    def _get_access_token(self, now: float) -> str:
        """Exchange a signed assertion of the service account (RFC 7523)."""
        account = self._secrets["fcm"]
        claims = {
            "iss": account["client_email"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": account["token_uri"],
            "iat": int(now),
            "exp": int(now) + 3600,
        }
        assertion = jwt.encode(claims, account["private_key"], algorithm="RS256")
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        token: str = httpx.post(account["token_uri"], data=grant, timeout=10).raise_for_status().json()["access_token"]
        return token

    def _sign_provider_token(self, now: float) -> str:
        apns = self._secrets["apns"]
        claims = {"iss": apns["team_id"], "iat": int(now)}
        return jwt.encode(claims, apns["key"], algorithm="ES256", headers={"kid": apns["key_id"]})


def name_of(token: Token) -> str:
    """Return the token itself, by whatever name its family calls it."""
    return str(next(token[name] for name in TOKENS if name in token))


def read_code(provider: str, response: httpx.Response) -> str:
    """Return the provider's code of a refusal, its HTTP status if it has none."""
    try:
        answer = response.json()
        if provider == "apns":
            return str(answer["reason"])
        return next(str(each["errorCode"]) for each in answer["error"].get("details", ()) if "errorCode" in each)
    except (ValueError, KeyError, TypeError, StopIteration):
        return str(response.status_code)


def handle(sender: Sender, event: dict[str, Any]) -> dict[str, Any]:
    """Send the messages of an SQS event; return those to try again (ReportBatchItemFailures)."""
    messages = [Message(each["messageId"], **json.loads(each["body"])) for each in event["Records"]]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in sender.send(messages)]}


_senders: list[Sender] = []


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer Lambda; credentials are read once."""
    if not _senders:
        parameter = boto3.client("ssm").get_parameter(Name=os.environ["SECRETS_PARAMETER"], WithDecryption=True)
        _senders.append(Sender(json.loads(parameter["Parameter"]["Value"]), os.environ["PUSHREG_URL"]))
    return handle(_senders[0], event)
