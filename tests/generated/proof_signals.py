"""`make proof`: 200 signals at random moments into `make new` leave a whole layer or nothing."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from support.project import PROJECT

SIGNALS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
EACH = 50


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("sent", SIGNALS, ids=lambda sent: sent.name)
def test_a_whole_layer_or_nothing(tmp_path, config_file, record_property, sent):
    environment = {**os.environ, "COOKIECUTTER_CONFIG": str(config_file)}

    def start(out):
        return subprocess.Popen(
            [sys.executable, str(PROJECT / "scripts" / "new"), str(out), "--no-input"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    begin = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    took = time.monotonic() - begin
    whole = tree(tmp_path / "whole")
    for i in range(EACH):
        out = tmp_path / str(i)
        process = start(out)
        time.sleep(random.uniform(0, took * 1.1))
        process.send_signal(sent)
        process.wait()
        found = [
            path
            for path in tree(out)
            if sent is not signal.SIGKILL or not path.startswith(".caffe-pylayer-")
        ]  # who is killed cannot clean up; the folder's name is not a layer's
        good = found == whole or (found == [] and process.returncode != 0)
        came = "whole layer" if found else "nothing"
        record_property("count", ["signals", f"{sent.name}, {came}", int(good), 1])
        assert good, (sent, process.returncode, found)
