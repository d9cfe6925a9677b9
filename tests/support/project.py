"""Where the project is, and the engines that layers are tested on."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ENGINES = ["real", "standin"]
