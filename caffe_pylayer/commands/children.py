"""The children of `caffe-pylayer doctor`: what they tell, within one bound of time for all."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from .doctor_child.caffe_pylayer_child import short

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CHILD = os.path.join(PACKAGE, "commands", "doctor_child")  # all that a child needs
SECONDS = 60  # for all children
ENDS = "%s ends Python, as os._exit(0) does"
# In Caffe's log: lines that say why it aborts, and those that never do.
REASON = re.compile(
    r"(?:.*Error parsing text-format \S+|caffe-pylayer trace:|F\d{4} [^\]]*\]) (.*)"
)
NOISE = re.compile(
    r"[\W\d_]*$|\s*[a-z_]+(?: \{|: (?:\".*\"|[-+\w.]+))$"  # a line of a net
    r"|\s+@ |\*\*\* |PC: |terminate called|[IW]\d{4} |WARNING: Logging before"
)
CODE = "import caffe_pylayer_child as c, sys\nc.answer(sys.argv[1])"


class TimeIsOver(Exception):
    """The time for all children is over; this one was not started."""


class Later(object):
    """A function that runs beside others: call this for what it returns or raises."""

    def __init__(self, function, *arguments):
        self.result = self.error = None
        self.thread = threading.Thread(target=self.work, args=(function, arguments))
        self.thread.daemon = True
        self.thread.start()

    def work(self, function, arguments):
        try:
            self.result = function(*arguments)
        except Exception as error:
            self.error = error

    def __call__(self):
        while self.thread.is_alive():  # in Python 2 only so Ctrl-C ends it
            self.thread.join(0.1 if str is bytes else None)
        if self.error:
            raise self.error
        return self.result


class Children(object):
    """Starts children for a layer of that name; `folder` is a temporary one."""

    def __init__(self, name, folder, seconds=SECONDS):
        self.name, self.folder, self.seconds = name, folder, seconds
        self.end = time.time() + seconds
        self.chain = []  # questions that one child answers, in this order
        self.answers = {}
        self.running = set()

    def hangs(self):
        return "it hangs: stopped after %g s" % self.seconds

    def left(self):
        """Return the seconds that are left for all children."""
        return self.end - time.time()

    def run(self, *command):
        """Return what a command tells, with its log, and the error if it failed."""
        return self.run_all(command, 1)[0]

    def run_all(self, command, count):
        """Return what a command tells of each of so many questions, up to the one that ends it."""
        left = self.left()
        if left <= 0:
            raise TimeIsOver("not asked: %g s are over (--timeout)" % self.seconds)
        handle, path = tempfile.mkstemp(dir=self.folder)
        os.close(handle)
        entries = [os.environ.get("PYTHONPATH"), CHILD]
        environment = dict(
            os.environ,
            CAFFE_PYLAYER_FACTS=path,
            CAFFE_PYLAYER_LAYER=self.name,
            GLOG_log_dir=self.folder,
            PYTHONDONTWRITEBYTECODE="1",
            PYTHONPATH=os.pathsep.join(entry for entry in entries if entry),
        )
        hung = []
        with tempfile.TemporaryFile() as log, open(os.devnull) as nothing:
            options = dict(stdin=nothing, stdout=log, stderr=log, env=environment)
            options.update(preexec_fn=os.setsid, close_fds=True)
            try:
                process = subprocess.Popen(command, **options)
            except OSError as error:
                return [{"log": "", "error": error.strerror}]
            self.running.add(process.pid)
            timer = threading.Timer(left, lambda: (hung.append(True), process.kill()))
            timer.daemon = True
            timer.start()
            try:
                code = process.wait()
            finally:
                timer.cancel()
                timer.join()  # Python 2 complains of a thread at its end
                end_group(process.pid)
                self.running.discard(process.pid)
            log.seek(0)
            data = log.read()
        told = [{}]
        with open(path) as stream:
            for line in stream:
                facts = native(json.loads(line))
                if facts.get("question"):  # a further one
                    told.append({})
                told[-1].update(facts)
        last = told[-1]
        text = data[last.get("start", 0) :].decode("utf-8", "replace")
        last["log"] = text = native(text)
        for facts in told[:-1]:
            facts["log"] = ""
        if hung:
            last["error"] = self.hangs()
        elif code and "error" not in last:
            last["error"] = why(text, code)
        elif last.get("done") is False or len(told) < count and "error" not in last:
            last.setdefault("error", ENDS % last.get("doing", "it"))
        return told

    def ask(self, question, *arguments, **options):
        """Return what the function `question` of caffe_pylayer_child tells in a child.

        It sees the sys.path of `python -c`, the current folder first, or with `as_caffe=True` that
        of the command `caffe`, without it. Those that follow it in the chain are asked with it.
        """
        key = (question, arguments, options.get("as_caffe", False))
        if key not in self.answers:
            chain = [key]
            if key in self.chain:
                chain = self.chain[self.chain.index(key) :]
            told = self.run_all(
                (sys.executable, "-c", CODE, json.dumps(chain)), len(chain)
            )
            self.answers.update(zip(chain, told))
        return self.answers[key]

    def stop(self):
        """End the children that still run."""
        self.end = 0
        for number in list(self.running):
            end_group(number)


def why(log, code):
    """Return why a child failed, by its log and exit code."""
    lines = [line for line in log.splitlines() if not NOISE.match(line)]
    reasons = [match.group(1) for match in map(REASON.match, lines) if match]
    last = "".join(lines[-1:])
    if code < 0:
        last = "it dies of signal %d%s" % (-code, last and " after: " + last)
    return short((reasons or [last or "it ends with exit code %d" % code])[0])


def native(value):
    """Return what JSON gave with each text a str, also in Python 2."""
    if isinstance(value, dict):
        return {native(key): native(item) for key, item in value.items()}
    if isinstance(value, list):
        return [native(item) for item in value]
    return value.encode("utf-8") if str is bytes and hasattr(value, "encode") else value


def end_group(number):
    """End what a child has left running."""
    try:
        os.killpg(number, signal.SIGKILL)
    except OSError:
        pass
