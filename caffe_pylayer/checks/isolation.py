# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""A function runs in a child process: it may abort, exit, hang or leave processes."""

import ctypes
import errno
import gc
import json
import os
import re
import resource
import select
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings

try:
    import faulthandler
except ImportError:  # Python 2
    faulthandler = None

PR_SET_PDEATHSIG = 1  # of Linux' prctl
HEADER = struct.Struct(">Q")  # the length of the result comes before it
PAUSE = 0.05  # seconds between looks at a child that says nothing
GRACE = 0.5  # seconds that a child has to write down where it stands
REASON = re.compile(r"F\d{4} .*\] |.*(Check failed|Error parsing|already exists)")
THREAD = re.compile(r"(Current thread|Thread) 0x.* \(most recent call first\):")
STOOD = re.compile(r'  File "(.*)", line (\d+) in (.*)')


class ChildEnded(Exception):
    """The child ended, or was ended, without a result; the message says how."""


class TookTooLong(ChildEnded):
    """The child was ended when its time was over."""


def run_in_child(function, seconds, folder):
    """Return what function returns, run in a child process; JSON must hold it.

    The child and all that it started are ended afterwards. `folder` is that of the
    layer: a message names its line where a child stood that took too long.

    Raises:
        ChildEnded: no result within so many seconds.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent, (read, write) = os.getpid(), os.pipe()
    with tempfile.TemporaryFile() as log:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fork beside idle threads of numpy
            child = os.fork()
        if child == 0:
            _be_child(function, seconds, write, log, parent)
        os.close(write)
        status = None
        try:
            result, status = _wait(child, read, time.time() + seconds + GRACE)
        finally:
            os.close(read)
            _end_group(child, reap=status is None)
        if result is not None:
            return json.loads(result.decode("ascii"))
        log.seek(0)
        lines = log.read().decode("utf-8", "replace").splitlines()
    if status is None:
        text = "it did not end within %g s (--timeout)" % seconds
        raise TookTooLong(text + _stood(lines, folder))
    raise ChildEnded(_why(status, lines))


def _be_child(function, seconds, write, log, parent):
    try:
        getattr(gc, "freeze", int)()  # collecting would write to, so copy, all memory
        os.setsid()  # a process group of its own, so that all of it can be ended
        _end_with(parent)
        os.dup2(log.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if faulthandler:
            faulthandler.disable()  # pytest's, which prints 45 lines where Caffe aborts
            faulthandler.dump_traceback_later(seconds, file=log)
        result = json.dumps(function()).encode("ascii")
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except EnvironmentError:  # nobody reads it any more
            pass
        data = HEADER.pack(len(result)) + result
        while data:
            data = data[os.write(write, data) :]
    except BaseException:
        traceback.print_exc(file=os.fdopen(2, "w", 1))
    finally:
        os._exit(0)


def _end_with(parent):
    """Have Linux end the group when the parent is killed, and cannot do it."""

    def end(*_):
        if os.getpid() == os.getpgrp():
            os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGUSR2, end)
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(PR_SET_PDEATHSIG, signal.SIGUSR2)
    if os.getppid() != parent:  # it was quicker
        end()


def _wait(child, read, deadline):
    """Return the child's result and 0, or None and its status, or None and None.

    The end of the pipe tells nothing: a process that the child started holds it open.
    """
    data, status = b"", None
    while time.time() < deadline:
        try:
            ready = select.select([read], [], [], 0 if status is not None else PAUSE)[0]
        except select.error as error:
            if error.args[0] != errno.EINTR:
                raise
            continue
        piece = os.read(read, 65536) if ready else b""
        data += piece
        if len(data) >= HEADER.size:
            length = HEADER.unpack(data[: HEADER.size])[0]
            if len(data) == HEADER.size + length:
                return data[HEADER.size :], status
        if not piece:
            if status is not None:
                return None, status
            pid, ended = os.waitpid(child, 0 if ready else os.WNOHANG)
            status = ended if pid else None
    return None, status


def _end_group(child, reap):
    try:
        os.killpg(child, signal.SIGKILL)
    except OSError:  # nothing of it is left, or it is no group yet
        pass
    if reap:
        try:
            os.kill(child, signal.SIGKILL)
        except OSError:
            pass
        os.waitpid(child, 0)


def _stood(lines, folder):
    """Return where in the layer's folder a child stood, by the lines of its log."""
    threads = [i for i, line in enumerate(lines) if THREAD.match(line)]
    last = lines[threads[-1] :] if threads else []  # the first thread, where it began
    found = [match.groups() for match in map(STOOD.match, last) if match]
    here = os.path.dirname(os.path.abspath(__file__))
    for path, line, function in found:
        path = os.path.abspath(path)
        if path.startswith(folder + os.sep) and not path.startswith(here):
            return ": it stood at %s:%s in %s" % (
                os.path.relpath(path, folder),
                line,
                function,
            )
    return ""


def _why(status, lines):
    """Return why a child ended, by its status and the lines of its log."""
    if os.WIFEXITED(status) and not any(map(REASON.match, lines)):
        code = os.WEXITSTATUS(status)
        return "it ended Python with exit code %d: a layer must not exit" % code
    why = [line.split("] ", 1)[-1] for line in lines if REASON.match(line)]
    why = why or lines[-5:] or ["it did not say why"]
    return "Caffe ended the process (signal %d): %s" % (status & 127, "\n".join(why))
