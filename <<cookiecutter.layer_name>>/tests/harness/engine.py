"""Which Caffe runs the checks, real or stand-in, and how a check is kept from spoiling others."""

import contextlib
import importlib
import json
import os
import resource
import sys
import tempfile
import traceback
import warnings

from . import standin

NAMES = ("real", "standin")


class NoCaffe(Exception):
    """Real Caffe was asked for and is not there."""


def choose(wanted=None):
    """Return the engine's name and a line that says why; NoCaffe if the one wanted is not there."""
    if wanted not in (None,) + NAMES:
        raise NoCaffe("expected CAFFE_ENGINE to be real or standin, got %r" % wanted)
    if wanted == "standin":
        return "standin", "numpy stand-in, as asked for"
    caffe, missing = find_caffe()
    if not missing:
        return "real", "real Caffe %s, %s" % (
            getattr(caffe, "__version__", ""), os.path.dirname(caffe.__file__)
        )  # fmt: skip
    if wanted == "real":
        raise NoCaffe("real Caffe was asked for, but %s" % missing)
    return "standin", "numpy stand-in, because %s" % missing


def find_caffe():
    """Return the module caffe and None, or None and why it is not real Caffe."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        import caffe
    except Exception as error:
        return None, "import caffe fails: %s" % error
    where = getattr(caffe, "__file__", None) or list(getattr(caffe, "__path__", ["?"]))[0]
    if not hasattr(caffe, "Net") or not hasattr(caffe, "Layer"):
        return None, "the caffe in %s is not Caffe (PyPI's caffe is an empty placeholder)" % where
    if "Python" not in caffe.layer_type_list():
        return None, "the Caffe in %s is built without WITH_PYTHON_LAYER := 1" % where
    return caffe, None


@contextlib.contextmanager
def running(engine, folder):
    """Give the module caffe; modules in folder are imported afresh, and forgotten at the end."""
    caffe, path, writes = sys.modules.get("caffe"), list(sys.path), sys.dont_write_bytecode
    forget(folder)
    if engine == "standin":
        standin.install()
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    getattr(importlib, "invalidate_caches", int)()
    try:
        yield importlib.import_module("caffe")
    finally:
        sys.path[:], sys.dont_write_bytecode = path, writes
        forget(folder)
        sys.modules.pop("caffe", None)
        if caffe:
            sys.modules["caffe"] = caffe


def forget(folder):
    """Drop the modules that lie in folder itself."""
    for name, module in list(sys.modules.items()):
        if os.path.dirname(getattr(module, "__file__", None) or "") == folder:
            del sys.modules[name]


def isolated(function):
    """Return the text or None that function returns, run in a child that Caffe may abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    read, write = os.pipe()
    with tempfile.TemporaryFile() as log:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fork beside idle numpy threads
            child = os.fork()
        if child == 0:
            try:
                os.dup2(log.fileno(), 2)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                with os.fdopen(write, "w") as pipe:
                    pipe.write(json.dumps([function()]))
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException:
                traceback.print_exc(file=os.fdopen(2, "w", 1))
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            result = pipe.read()
        status = os.waitpid(child, 0)[1]
        log.seek(0)
        lines = log.read().decode("utf-8", "replace").splitlines()
    if result:
        return json.loads(result)[0]
    reasons = ("Check failed", "Error parsing", "already exists")
    why = [line.split("] ", 1)[-1] for line in lines if any(word in line for word in reasons)]
    why = why or lines[-5:] or ["it did not say why"]
    return "Caffe ended the process (signal %d): %s" % (status & 127, "\n".join(why))
