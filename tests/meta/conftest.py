"""The engine and the tables that the tests of the proxy share."""

from tests.linearizability.conftest import stored
from tests.support.engine import endpoint

__all__ = ["endpoint", "stored"]
