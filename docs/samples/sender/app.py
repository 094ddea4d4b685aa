"""A sender to copy: messages from SQS, tokens from Pushreg, FCM and APNs, and their answers back to Pushreg.

A record's body is `{"address": …, "title": …, "body": …}` with an address of Pushreg's lookup. A record whose message
could not be handed over is returned to the queue; its tokens may then get the message again, which collapse ids keep
from showing twice.
"""

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote

import boto3
import httpx
import jwt

PARALLEL = 16
ATTEMPTS = 4
RECONNECTS = 3
# Seconds: the longest wait for a provider that asks for patience, the age at which credentials are renewed, and what
# the last call and the report may take of the function's time.
MAX_WAIT = 30.0
RENEW_AFTER = 45 * 60
RESERVE = 20.0
# Pushreg's limits of a request: entries, and bytes less some for what is around them.
ENTRIES = 100
MAX_BYTES = 60_000
# The members by which each kind of token is reported.
NAMES = ("place_id", "device_token", "ksid", "sid", "account_id", "device_id", "registration_id")
TOKENS = ("device_token", "sid", "registration_id")

Token = dict[str, Any]
Entry = TypeVar("Entry")


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
        self._deadline = math.inf

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        for client in (self._pushreg, self._fcm, *self._apns):
            client.close()

    def send(self, messages: list[Message], deadline: float = math.inf) -> list[str]:
        """Send the messages to the living tokens of their addresses; return the ids of records to try again.

        After the deadline, by time.monotonic(), no provider is called.
        """
        self._deadline = deadline
        failed: set[str] = set()
        # The queue may deliver a record twice.
        pending = {message.record_id: message for message in messages}
        # The second round is for tokens that were replaced while the first was on its way.
        for _ in range(2):
            found, unknown = self._look_up(list(pending.values()))
            failed |= unknown
            jobs = [(message, token) for message, token in found if name_of(token) not in message.sent_to]
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
            pending = {}
            for (message, report), outcome in zip(reports, outcomes, strict=True):
                if outcome["status"] == "newer":
                    pending[message.record_id] = message
                elif outcome["status"] not in ("removed", "absent"):
                    log(message.record_id, provider=report["provider"], code=report["code"], **outcome)
            if not pending:
                break
        return sorted(failed | pending.keys())

    def _look_up(self, messages: list[Message]) -> tuple[list[tuple[Message, Token]], set[str]]:
        """Return the tokens of each message's address, and the records whose address gives none for other reasons."""
        found: list[tuple[Message, Token]] = []
        failed: set[str] = set()
        for part in split(messages, lambda message: message.address):
            request: dict[str, Any] = {"addresses": [message.address for message in part], "cursor": ""}
            try:
                while request["cursor"] is not None:
                    answer = self._ask("/pushreg/v1/lookup", request)
                    for result in answer["results"]:
                        message = part[result["address"]]
                        if result["status"] != "ok":
                            log(message.record_id, **result)
                            failed.add(message.record_id)
                        found += [(message, token) for token in result.get("tokens", ())]
                    request["cursor"] = answer["cursor"]
            except httpx.HTTPError as error:
                log(*(message.record_id for message in part), lookup=str(error))
                failed |= {message.record_id for message in part}
        return found, failed

    def _report(self, reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Report what the providers answered, and return what became of it; entries that failed are repeated.

        A report that cannot be made is no reason to send again: the next message to the token brings another.
        """
        outcomes: list[dict[str, Any]] = []
        for part in split(reports, lambda report: report):
            results = [{"status": "failed"}] * len(part)
            for _ in range(ATTEMPTS):
                try:
                    results = self._ask("/pushreg/v1/feedback", {"results": part})["results"]
                except httpx.HTTPError as error:
                    log(feedback=str(error))
                    break
                if all(outcome["status"] != "failed" for outcome in results):
                    break
            outcomes += results
        return outcomes

    def _ask(self, path: str, request: dict[str, Any]) -> Any:
        return self._post(self._pushreg, path, {}, request).raise_for_status().json()

    def _deliver(self, message: Message, token: Token) -> dict[str, Any]:
        """Hand the message over for one token, and return provider, code and the time before it was sent."""
        provider = token["provider"]
        answer = {"provider": provider, "at": datetime.now(UTC).isoformat(timespec="milliseconds")}
        if provider not in ("fcm", "apns"):
            return {**answer, "code": "unsupported"}
        _, credential = self._credentials.get(provider, (0.0, None))
        if credential is None or time.monotonic() > self._deadline:
            return {**answer, "code": "unavailable"}
        send = self._send_fcm if provider == "fcm" else self._send_apns
        try:
            response = send(message, name_of(token), credential)
        except httpx.HTTPError:
            return {**answer, "code": "unavailable"}
        if response.is_success:
            return {**answer, "code": "ok"}
        code = read_code(provider, response)
        # APNs refuses credentials with 403, FCM with 401, which says nothing about the token.
        if response.status_code == (403 if provider == "apns" else 401):
            log(message.record_id, provider=provider, code=code)
            # APNs allows a new provider token every 20 minutes, so one that has not expired stays.
            if provider == "fcm" or code == "ExpiredProviderToken":
                self._credentials.pop(provider, None)
            return {**answer, "code": "unavailable"}
        if response.status_code == 429 or response.status_code >= 500:
            return {**answer, "code": "unavailable"}
        return {**answer, "code": code}

    def _send_fcm(self, message: Message, token: str, credential: str) -> httpx.Response:
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
        headers = {"authorization": f"Bearer {credential}"}
        return self._post(self._fcm, f"/v1/projects/{project}/messages:send", headers, body)

    def _send_apns(self, message: Message, token: str, credential: str) -> httpx.Response:
        headers = {
            "authorization": f"bearer {credential}",
            "apns-topic": self._secrets["apns"]["topic"],
            "apns-push-type": "alert",
            "apns-collapse-id": message.record_id,
        }
        body = {"aps": {"alert": {"title": message.title, "body": message.body}}}
        return self._post(self._get_apns_client(), f"/3/device/{quote(token, safe='')}", headers, body)

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
            wait = min(read_retry_after(response.headers.get("retry-after", ""), 0.5 * 2**attempt), MAX_WAIT)
            if time.monotonic() + wait > self._deadline:
                return response
            self._sleep(wait)
        return client.post(path, headers=headers, json=body)

    def _renew_credentials(self, providers: Iterable[str]) -> None:
        """Get FCM's access token and sign APNs' provider token, unless they are young; both are valid for an hour."""
        now = time.time()
        for provider in providers:
            if provider in ("fcm", "apns") and now > self._credentials.get(provider, (0.0, ""))[0] + RENEW_AFTER:
                try:
                    value = self._get_access_token(now) if provider == "fcm" else self._sign_provider_token(now)
                except httpx.HTTPError as error:
                    log(provider=provider, credentials=str(error))
                else:
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


def split(entries: Sequence[Entry], to_data: Callable[[Entry], Any]) -> Iterator[list[Entry]]:
    """Yield the entries in parts that each fit into one request."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        length = len(json.dumps(to_data(entry)))
        if part and (len(part) == ENTRIES or size + length > MAX_BYTES):
            yield part
            part, size = [], 0
        part.append(entry)
        size += length + 1
    if part:
        yield part


def read_retry_after(value: str, default: float) -> float:
    """Return the seconds of a Retry-After header, which may be a number or a date (RFC 9110 section 10.2.3)."""
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return float(value) if value.isdecimal() else default
    return max((moment - datetime.now(moment.tzinfo)).total_seconds(), 0.0)


def read_code(provider: str, response: httpx.Response) -> str:
    """Return the provider's code of a refusal, its HTTP status if it has none."""
    try:
        answer = response.json()
        if provider == "apns":
            return str(answer["reason"])
        return next(str(each["errorCode"]) for each in answer["error"].get("details", ()) if "errorCode" in each)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return str(response.status_code)


def read_message(record: dict[str, Any]) -> Message | None:
    """Return the message of an SQS record, None if its body is another thing."""
    try:
        body = json.loads(record["body"])
        address, title, text = body["address"], body["title"], body["body"]
        # What is no JSON to others, such as half of a surrogate pair, must not spoil a request with other messages.
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
        if not all(isinstance(value, str | int) for value in (title, text, *address.values())):
            return None
        return Message(record["messageId"], address, title, text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def handle(sender: Sender, event: dict[str, Any], deadline: float = math.inf) -> dict[str, Any]:
    """Send the messages of an SQS event; return those to try again (ReportBatchItemFailures)."""
    read = {record["messageId"]: read_message(record) for record in event["Records"]}
    malformed = [record_id for record_id, message in read.items() if message is None]
    if malformed:
        log(*malformed, problem="malformed")
    failed = sender.send([message for message in read.values() if message is not None], deadline)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in (*malformed, *failed)]}


def log(*records: str, **members: Any) -> None:
    """Print a line for CloudWatch; never with a token."""
    print(json.dumps({"records": records, **members}))


_senders: list[Sender] = []


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer Lambda; credentials are read once."""
    if not _senders:
        parameter = boto3.client("ssm").get_parameter(Name=os.environ["SECRETS_PARAMETER"], WithDecryption=True)
        _senders.append(Sender(json.loads(parameter["Parameter"]["Value"]), os.environ["PUSHREG_URL"]))
    remaining = context.get_remaining_time_in_millis() / 1000
    return handle(_senders[0], event, time.monotonic() + remaining - RESERVE)
