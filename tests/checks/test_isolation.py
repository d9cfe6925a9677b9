"""A function in a child process: its result comes, it is ended, and nothing of it is left."""

import os
import signal
import subprocess
import sys

import pytest

from caffe_pylayer.checks import isolation
from support.processes import gone
from support.project import PROJECT

WORKER = """import multiprocessing, os, sys, time

sys.path.insert(0, {project!r})
from caffe_pylayer.checks import isolation


def start():
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    worker.start()
    print(os.getpid(), worker.pid)
    sys.stdout.flush()


def hang():
    start()
    while True:
        time.sleep(600)
"""


@pytest.fixture
def module(tmp_path):
    """What a layer may do, in a module of its own."""
    path = tmp_path / "worker.py"
    path.write_text(WORKER.format(project=str(PROJECT)))
    return path


def start(module, command):
    """Start Python with a command after the module; return it and the two pids it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"from worker import *\n{command}"],
        cwd=module.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, [int(pid) for pid in process.stdout.readline().split()]


def test_a_long_result_comes_while_a_worker_holds_the_pipe(module):
    code = "print(len(isolation.run_in_child(lambda: start() or 'x' * 10**6, 60, '.')))"
    process, pids = start(module, code)
    assert process.communicate() == ("1000000\n", "")
    assert all(map(gone, pids))


def test_what_takes_too_long_is_ended_and_says_where_it_stood(module):
    code = (
        "try: isolation.run_in_child(hang, 1, '.')\n"
        "except isolation.TookTooLong as error: print(error)"
    )
    code = code.replace("'.'", repr(str(module.parent)))
    process, pids = start(module, code)
    text = "it did not end within 1 s (--timeout): it stood at worker.py:17 in hang\n"
    assert process.communicate() == (text, "")
    assert all(map(gone, pids))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_where_the_parent_is_killed(module, number):
    process, pids = start(module, "isolation.run_in_child(hang, 600, '.')")
    process.send_signal(number)
    process.wait()
    assert all(map(gone, pids))


def test_it_stood_in_the_thread_that_began(tmp_path):
    lines = [
        "Timeout (0:00:01)!",
        "Thread 0x00007f0 (most recent call first):",
        f'  File "{tmp_path}/layer.py", line 9 in fetch',
        "",
        "Thread 0x00007f1 (most recent call first):",
        '  File "/usr/lib/python3/queue.py", line 171 in get',
        f'  File "{tmp_path}/layer.py", line 20 in forward',
    ]
    stood = isolation._stood(lines, str(tmp_path))
    assert stood == ": it stood at layer.py:20 in forward"


@pytest.mark.parametrize("end", [lambda: os._exit(0), lambda: os.kill(os.getpid(), 9)])
def test_a_child_that_ends_is_told(end):
    with pytest.raises(isolation.ChildEnded, match="exit code 0|signal 9"):
        isolation.run_in_child(end, 60, os.curdir)
