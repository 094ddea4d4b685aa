"""The handlers of another version of the code, in a process of their own, since both are packages of the same names.

Run as `python -I released_handlers.py FOLDER`; the first line of standard input is the environment of each function by
its family, each further one a request, which is answered with a line.
"""

import datetime
import importlib
import json
import pathlib
import sys

CLOCK = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


def main(folder: str) -> None:
    """Answer until there are no more requests."""
    sys.path[:0] = [f"{folder}/layers/common", f"{folder}/functions"]
    environments = json.loads(sys.stdin.readline())
    handlers = {
        family: importlib.import_module(f"{family}.app").create_handler(
            environment, clock=lambda: CLOCK, emit=lambda _: None
        )
        for family, environment in environments.items()
        # A family that came later would be imported from the installed version.
        if pathlib.Path(folder, "functions", family).is_dir()
    }
    for line in sys.stdin:
        request = json.loads(line)
        sys.stdout.write(json.dumps(handlers[request["family"]](request["event"], None)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
