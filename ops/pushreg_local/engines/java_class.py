"""The Java class that starts DynamoDB Local on the loopback address.

DynamoDB Local's own command line listens on all addresses, without a password, and sends telemetry. Its classes take an
address, but neither they nor a Java runtime without a compiler can be told so by options. So the few instructions are
written here as a class file (The Java Virtual Machine Specification, chapters 4 and 6).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

NAME = "PushregDynamoDbLocal"
# Java 6: the last format in which code without branches needs no stack maps, which every later Java reads.
_FORMAT = 50
_UTF8, _CLASS, _STRING, _METHOD, _NAME_AND_TYPE = 1, 7, 8, 10, 12
_ICONST_0, _ICONST_1, _LDC, _ALOAD_0, _ALOAD_1, _AALOAD, _ASTORE_1, _DUP = (
    0x03,
    0x04,
    0x12,
    0x2A,
    0x2B,
    0x32,
    0x4C,
    0x59,
)
_RETURN, _INVOKEVIRTUAL, _INVOKESPECIAL, _INVOKESTATIC, _NEW = 0xB1, 0xB6, 0xB7, 0xB8, 0xBB
_PUBLIC_STATIC, _PUBLIC_SUPER = 0x0009, 0x0021
_MAX_STACK, _MAX_LOCALS = 10, 2
_SERVER = "org/eclipse/jetty/server/Server"
_ADDRESS = "java/net/InetSocketAddress"
_PACKAGE = "software/amazon/dynamodb/services/local/server"


class _Constants:
    """The constant pool: each entry once, numbered from 1."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []

    def utf8(self, text: str) -> int:
        content = text.encode("ascii")
        return self._add(struct.pack(">BH", _UTF8, len(content)) + content)

    def class_(self, name: str) -> int:
        return self._add(struct.pack(">BH", _CLASS, self.utf8(name)))

    def string(self, text: str) -> int:
        return self._add(struct.pack(">BH", _STRING, self.utf8(text)))

    def method(self, owner: str, name: str, descriptor: str) -> int:
        signature = self._add(struct.pack(">BHH", _NAME_AND_TYPE, self.utf8(name), self.utf8(descriptor)))
        return self._add(struct.pack(">BHH", _METHOD, self.class_(owner), signature))

    def _add(self, entry: bytes) -> int:
        if entry not in self.entries:
            self.entries.append(entry)
        return self.entries.index(entry) + 1


def write_class(host: str, origin: str) -> bytes:
    """Return a class whose main(port, folder) serves DynamoDB from the folder on the host to pages of the origin."""
    constants = _Constants()

    def invoke(instruction: int, owner: str, name: str, descriptor: str) -> bytes:
        return struct.pack(">BH", instruction, constants.method(owner, name, descriptor))

    def create(name: str, arguments: bytes, descriptor: str) -> bytes:
        new = struct.pack(">BHB", _NEW, constants.class_(name), _DUP)
        return new + arguments + invoke(_INVOKESPECIAL, name, "<init>", descriptor)

    def load(text: str) -> bytes:
        return bytes([_LDC, constants.string(text)])

    port = bytes([_ALOAD_0, _ICONST_0, _AALOAD]) + invoke(
        _INVOKESTATIC, "java/lang/Integer", "parseInt", "(Ljava/lang/String;)I"
    )
    folder = bytes([_ALOAD_0, _ICONST_1, _AALOAD])
    address = create(_ADDRESS, load(host) + port, "(Ljava/lang/String;I)V")
    # Not in memory; one database for all credentials and regions; no delays while tables are made.
    database = create(
        f"{_PACKAGE}/LocalDynamoDBRequestHandler",
        bytes([_ICONST_0, _ICONST_0]) + folder + bytes([_ICONST_1, _ICONST_0]),
        "(IZLjava/lang/String;ZZ)V",
    )
    handler = create(
        f"{_PACKAGE}/LocalDynamoDBServerHandler",
        database + load(origin),
        f"(L{_PACKAGE}/DynamoDBRequestHandler;Ljava/lang/String;)V",
    )
    code = b"".join(
        (
            create(_SERVER, address, f"(L{_ADDRESS};)V"),
            bytes([_ASTORE_1, _ALOAD_1]),
            handler,
            invoke(_INVOKEVIRTUAL, _SERVER, "setHandler", "(Lorg/eclipse/jetty/server/Handler;)V"),
            bytes([_ALOAD_1]),
            invoke(_INVOKEVIRTUAL, _SERVER, "start", "()V"),
            bytes([_RETURN]),
        )
    )
    return _assemble(constants, code)


def _assemble(constants: _Constants, code: bytes) -> bytes:
    this, parent = constants.class_(NAME), constants.class_("java/lang/Object")
    body = struct.pack(">HHI", _MAX_STACK, _MAX_LOCALS, len(code)) + code + _numbers([0, 0])
    attribute = struct.pack(">HI", constants.utf8("Code"), len(body)) + body
    main = _numbers([_PUBLIC_STATIC, constants.utf8("main"), constants.utf8("([Ljava/lang/String;)V"), 1]) + attribute
    pool = _numbers([len(constants.entries) + 1]) + b"".join(constants.entries)
    # No interfaces, no fields, one method, no attributes of the class.
    return (
        b"\xca\xfe\xba\xbe"
        + _numbers([0, _FORMAT])
        + pool
        + _numbers([_PUBLIC_SUPER, this, parent, 0, 0, 1])
        + main
        + _numbers([0])
    )


def _numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)
