"""Where the project is, the engines that layers are tested on, and how much is asked."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ENGINES = ["real", "standin"]
# `make proof` sets it: each case of what `make test` asks a part of.
WHOLE = os.environ.get("WHOLE") == "yes"
