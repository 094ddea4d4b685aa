"""The engine and the tables for the tests of the proxy."""

from tests.linearizability.conftest import stored
from tests.support.engine import endpoint

__all__ = ["endpoint", "stored"]
