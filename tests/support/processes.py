"""Whether a process has ended."""

import time


def gone(pid):
    """Whether a process has ended; it may take its time."""
    end = time.time() + 30
    while time.time() < end:
        try:
            with open(f"/proc/{pid}/stat") as stream:
                if stream.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.02)
    return False
