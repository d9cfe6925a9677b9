"""Where the project is, the engines that layers are tested on, and how much is asked."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ENGINES = ["real", "standin"]
# `make proof` sets it: each case of what `make test` asks a part of.
WHOLE = os.environ.get("WHOLE") == "yes"


def usually(engine):
    """Return the engines of a test that `make test` runs on one of them."""
    return ENGINES if WHOLE else [engine]


def in_turn(cases):
    """Return (case, engine) for pytest: each case on one of the engines, with WHOLE on both."""
    return [
        (case, engine)
        for i, case in enumerate(cases)
        for engine in usually(ENGINES[i % 2])
    ]
