"""What tests make once and keep, for all runs and workers, outside the clone."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "caffe-pylayer"
)


def made_once(name, make):
    """Return the folder of this name in the cache; make(folder) fills it if it is not there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CACHE / name).exists():
            building = Path(tempfile.mkdtemp(dir=CACHE, prefix=f"building-{name}-"))
            try:
                make(building)
                building.rename(CACHE / name)
            finally:
                shutil.rmtree(building, ignore_errors=True)
    return CACHE / name
