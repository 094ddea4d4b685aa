"""What feedback and lookup mean (docs/sending.md): every entry on its own, several at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from pushreg.codecs import json
from pushreg.dynamodb import Session
from pushreg.errors import ContendedError, PushregError, StoreError
from pushreg.models.directory import EVERY_APPLICATION, Credential
from pushreg.models.senders import (
    OK,
    Address,
    AnyReport,
    ApplicationDeviceAddress,
    DeviceAddress,
    EntryError,
    KsidAddress,
    PlaceAddress,
    RegistrationReport,
    SubscriberReport,
    TokenReport,
    UserAddress,
    judge,
    read_address,
    read_report,
)
from pushreg.schema import digest, is_digest, is_ksid
from pushreg.stores.tokens import Part, Token, Tokens
from pushreg.stores.verdicts import Verdicts

# Calls of DynamoDB that one request makes at once; the client's pool has more connections.
PARALLEL = 8
# Addresses that are looked up together, fewer if PARALLEL of them take a query each: what is read beyond the end of an
# answer is read in vain, and a query may read a page that fills one.
WAVE = 25
# About the size at which an answer ends and a cursor goes on, in bytes of JSON; Lambda's limit is 6 MB.
MAX_ANSWER = 1024 * 1024
_DENIED = "the API key has no access to this"
# Index, position and digest of the addresses: with other ones, a position would leave tokens out.
_CURSOR = re.compile(r"(\d{1,2})\.([0-9a-f]{64}|[0-9]{1,19}|)\.([0-9a-f]{16})", re.ASCII)

Result = TypeVar("Result")


class CursorError(PushregError):
    """The cursor does not come from a response to the same addresses."""


class Outcome(NamedTuple):
    """What became of one entry."""

    status: str
    reason: str | None = None


FAILED = Outcome("failed", "the database did not answer; report it again")
CONTENDED = Outcome("failed", "other callers kept changing the registration; report it again")


class AddressResult(NamedTuple):
    """Tokens of an address, given by its index in the request, or why there are none."""

    address: int
    outcome: Outcome
    tokens: Sequence[Token] = ()


class Caller(NamedTuple):
    """The session of the request, the credential of its sender, and where and when to look."""

    session: Session
    credential: Credential
    tables: Mapping[str, str]
    lifetimes: Mapping[str, int]
    now: datetime

    @property
    def epoch(self) -> int:
        """The request's time in seconds."""
        return int(self.now.timestamp())


def report(caller: Caller, entries: Sequence[Any]) -> list[Outcome]:
    """Return what became of each reported entry; StoreError if all failed, ContendedError if all for contention.

    The entries are independent: one that is malformed, out of reach or fails does not touch the others.
    """
    outcomes = _run(caller.session, [partial(_report_one, caller, entry) for entry in entries])
    if all(outcome == CONTENDED for outcome in outcomes):
        raise ContendedError
    if all(outcome in (FAILED, CONTENDED) for outcome in outcomes):
        raise StoreError("AllFailed")
    return outcomes


def look_up(caller: Caller, entries: Sequence[Any], cursor: str | None) -> tuple[list[AddressResult], str | None]:
    """Return the living tokens of each address in order, and a cursor if the answer ends before the addresses do.

    CursorError if the cursor is not one of these addresses; StoreError if nothing at all could be read.
    """
    addresses = [_read_address(caller.credential, entry) for entry in entries]
    first, after = _read_cursor(cursor, addresses)
    found: list[AddressResult] = []
    size = 0
    for wave in _list_waves(addresses, first):
        parts = _read_wave(caller, {index: addresses[index] for index in wave}, {first: after})
        for index in wave:
            address = addresses[index]
            if isinstance(address, Outcome):
                found.append(AddressResult(index, address))
                continue
            part = parts[index]
            if isinstance(part, StoreError):
                # What was read is true; the cursor has the rest asked for again, with time of its own.
                if not found:
                    raise part
                return found, _write_cursor(index, "", addresses)
            fitting, size, following = _fit(part, size, after if index == first else None, is_first=not found)
            if fitting or following is None:
                found.append(AddressResult(index, Outcome("ok"), fitting))
            if following is not None:
                return found, _write_cursor(index, following, addresses)
    return found, None


def _report_one(caller: Caller, entry: Any, session: Session) -> Outcome:
    try:
        return _apply(caller, read_report(entry), session)
    except EntryError as error:
        return Outcome("invalid", error.reason)
    except ContendedError:
        return CONTENDED
    except StoreError:
        return FAILED


def _apply(caller: Caller, entry: AnyReport, session: Session) -> Outcome:
    credential = caller.credential
    reaches = None if EVERY_APPLICATION in credential.applications else credential.reaches_application
    verdicts = Verdicts(session, caller.tables, caller.epoch, caller.lifetimes, reaches)
    if not _reaches(credential, entry):
        return Outcome("denied", _DENIED)
    if entry.code == OK:
        match entry:
            case TokenReport():
                return Outcome(verdicts.renew_token(entry.place_id, entry.device_token))
            case SubscriberReport():
                return Outcome(verdicts.renew_subscriber(entry.ksid, entry.sid))
            case RegistrationReport():
                names = entry.account_id, entry.device_id, entry.registration_id
                return Outcome(verdicts.renew_registration(*names))
    meaning, detail = judge(entry, caller.now)
    if meaning == "kept":
        return Outcome("kept", detail)
    match entry:
        case TokenReport():
            return Outcome(verdicts.remove_token(entry.place_id, entry.device_token, detail))
        case SubscriberReport():
            return Outcome(verdicts.mark_sid_dead(entry.ksid, entry.sid, detail))
    return Outcome(verdicts.remove_registration(entry.account_id, entry.device_id, entry.registration_id, detail))


def _reaches(credential: Credential, entry: AnyReport | Address) -> bool:
    """Whether the key may reach what the entry names; of a KSID the application is known only once it is read."""
    match entry:
        case TokenReport() | PlaceAddress():
            return credential.reaches_place(entry.place_id)
        case RegistrationReport() | DeviceAddress():
            return credential.reaches_account(entry.account_id)
        case UserAddress() | ApplicationDeviceAddress():
            return credential.reaches_application(entry.application)
    return bool(credential.applications)


def _read_address(credential: Credential, entry: Any) -> Address | Outcome:
    try:
        address = read_address(entry)
    except EntryError as error:
        return Outcome("invalid", error.reason)
    return address if _reaches(credential, address) else Outcome("denied", _DENIED)


def _read_cursor(cursor: str | None, addresses: Sequence[Address | Outcome]) -> tuple[int, str | None]:
    """Return the index of the address to go on with, and the position in it."""
    if cursor is None:
        return 0, None
    match = _CURSOR.fullmatch(cursor)
    if match is None or match[3] != _digest_of(addresses) or int(match[1]) >= len(addresses):
        raise CursorError
    address, position = addresses[int(match[1])], match[2]
    if position:
        is_digest_expected = isinstance(address, PlaceAddress | DeviceAddress)
        is_position = is_digest(position) if is_digest_expected else isinstance(address, UserAddress)
        if not is_position or (not is_digest_expected and not is_ksid(position)):
            raise CursorError
    return int(match[1]), position or None


def _write_cursor(index: int, position: str, addresses: Sequence[Address | Outcome]) -> str:
    return f"{index}.{position}.{_digest_of(addresses)}"


def _digest_of(addresses: Sequence[Address | Outcome]) -> str:
    return digest(repr(addresses))[:16]


def _list_waves(addresses: Sequence[Address | Outcome], first: int) -> Iterator[range]:
    """Yield the indexes, from the first on, of the addresses that are looked up together."""
    queries = 0
    for index in range(first, len(addresses)):
        queries += isinstance(addresses[index], PlaceAddress | UserAddress)
        if queries == PARALLEL or index + 1 - first == WAVE:
            yield range(first, index + 1)
            first, queries = index + 1, 0
    yield range(first, len(addresses))


def _read_wave(
    caller: Caller, wave: Mapping[int, Address | Outcome], after: Mapping[int, str | None]
) -> dict[int, Part | StoreError]:
    """Return the parts of the addresses, by one query for each place and user and a batch for each other kind.

    In place of a part that could not be read there is the error.
    """
    reads: list[tuple[Sequence[int], Callable[[Tokens], list[Part]]]] = []
    for index, address in wave.items():
        match address:
            case PlaceAddress():
                reads.append(([index], partial(_read_place, address, after.get(index))))
            case UserAddress():
                reads.append(([index], partial(_read_user, address, after.get(index))))
    ksids = {index: each.ksid for index, each in wave.items() if isinstance(each, KsidAddress)}
    if ksids:
        reads.append((list(ksids), partial(Tokens.of_subscribers, ksids=list(ksids.values()))))
    owners = {
        index: (each.application, each.device_id)
        for index, each in wave.items()
        if isinstance(each, ApplicationDeviceAddress)
    }
    if owners:
        reads.append((list(owners), partial(Tokens.of_application_devices, devices=list(owners.values()))))
    devices = {
        index: (each.account_id, each.device_id, after.get(index))
        for index, each in wave.items()
        if isinstance(each, DeviceAddress)
    }
    if devices:
        reads.append((list(devices), partial(Tokens.of_devices, devices=list(devices.values()))))
    results = _run(caller.session, [partial(_read, caller, read) for _, read in reads])
    found: dict[int, Part | StoreError] = {}
    for (indexes, _), parts in zip(reads, results, strict=True):
        found |= dict.fromkeys(indexes, parts) if isinstance(parts, StoreError) else zip(indexes, parts, strict=True)
    return found


def _read(caller: Caller, read: Callable[[Tokens], list[Part]], session: Session) -> list[Part] | StoreError:
    try:
        return read(Tokens(session, caller.tables, caller.epoch, caller.credential.reaches_application))
    except StoreError as error:
        return error


def _read_place(address: PlaceAddress, after: str | None, tokens: Tokens) -> list[Part]:
    return [tokens.of_place(address.place_id, after)]


def _read_user(address: UserAddress, after: str | None, tokens: Tokens) -> list[Part]:
    return [tokens.of_user(address.application, address.ufid, after)]


def _fit(part: Part, size: int, after: str | None, *, is_first: bool) -> tuple[list[Token], int, str | None]:
    """Return the tokens that fit into the answer, its size with them, and the position to go on behind, if any."""
    fitting: list[Token] = []
    for position, token in part.tokens:
        size += len(json.encode(token))
        if size > MAX_ANSWER and (fitting or not is_first):
            return fitting, size, after or ""
        fitting.append(token)
        after = position
    return fitting, size, part.following


def _run(session: Session, tasks: Sequence[Callable[[Session], Result]]) -> list[Result]:
    """Run the tasks, several at once, each with a session of its own; return their results in order."""
    forks = [session.fork() for _ in tasks]
    try:
        if len(tasks) < 2:
            return [task(fork) for task, fork in zip(tasks, forks, strict=True)]
        with ThreadPoolExecutor(min(PARALLEL, len(tasks))) as pool:
            return list(pool.map(lambda task, fork: task(fork), tasks, forks))
    finally:
        session.join(forks)
