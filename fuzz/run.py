"""`python -m fuzz.run TARGET FOLDER [libFuzzer's options]`: fuzz one target, keeping what it learns in the folder."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["pushreg", "kazoo", "engagement", "places", "senders"]):
    from engagement import app as _engagement  # noqa: F401 Imported here to be instrumented.
    from fuzz.targets import TARGETS
    from kazoo import app as _kazoo  # noqa: F401
    from places import app as _places  # noqa: F401
    from senders import app as _senders  # noqa: F401

from fuzz.seeds import list_seeds


def main(target: str, folder: Path, options: list[str]) -> None:
    """Fuzz until an option ends it or something is found, which is kept in the folder."""
    seeds, corpus = folder / target / "seeds", folder / target / "corpus"
    for each in (seeds, corpus):
        each.mkdir(parents=True, exist_ok=True)
    for seed in list_seeds(target):
        (seeds / sha256(seed).hexdigest()).write_bytes(seed)
    found = f"-artifact_prefix={folder / target}/"
    atheris.Setup(
        [sys.argv[0], str(corpus), str(seeds), found, "-max_len=70000", "-timeout=10", "-rss_limit_mb=1024", *options],
        TARGETS[target],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
