"""Route selection of an HTTP API."""

from __future__ import annotations

from collections.abc import Iterable

from pushreg_local.template import Route

Parameters = dict[str, str]


class Router:
    """Finds the most specific route: a full match before a greedy one before `$default` (AWS docs, "Routing API
    requests"), among those one with more literal segments, then one that names the method.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = sorted(routes, key=_rank)

    def match(self, method: str, path: str) -> tuple[Route, Parameters] | None:
        """Return the route and its path parameters, or None.

        The path is decoded first, as in API Gateway, so an escaped slash separates segments.
        """
        for route in self._routes:
            if route.method in ("ANY", method):
                parameters = _match_path(route.path, path)
                if parameters is not None:
                    return route, parameters
        return None


def _rank(route: Route) -> tuple[bool, bool, int, bool]:
    segments = route.path.split("/")
    variables = sum(segment.startswith("{") for segment in segments)
    return route.path == "$default", route.path.endswith("+}"), variables - len(segments), route.method == "ANY"


def _match_path(pattern: str, path: str) -> Parameters | None:
    if pattern == "$default":
        return {}
    wanted = pattern.split("/")
    given = path.split("/")
    parameters: Parameters = {}
    if wanted[-1].endswith("+}"):
        if len(given) < len(wanted):
            return None
        rest = "/".join(given[len(wanted) - 1 :])
        # Below the root, a greedy variable takes the nothing behind a slash at the end.
        if not rest and len(wanted) == 2:
            return None
        parameters[wanted[-1][1:-2]] = rest
        wanted = wanted[:-1]
        given = given[: len(wanted)]
    if len(given) != len(wanted):
        return None
    for pattern_segment, segment in zip(wanted, given, strict=True):
        if pattern_segment.startswith("{"):
            if not segment:
                return None
            parameters[pattern_segment[1:-1]] = segment
        elif pattern_segment != segment:
            return None
    return parameters
