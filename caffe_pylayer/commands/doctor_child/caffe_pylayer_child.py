"""What `caffe-pylayer doctor` asks in a child, because it may abort: in any Python, also Caffe's.

It tells what it finds by lines of JSON in the file $CAFFE_PYLAYER_FACTS.
"""

import importlib
import json
import os
import sys
import tempfile  # noqa: F401, a module of Python's own whose name, or random, a file may have
import traceback


def tell(**facts):
    """Add facts to what the doctor reads, also if Caffe aborts later."""
    with open(os.environ["CAFFE_PYLAYER_FACTS"], "a") as stream:
        stream.write(json.dumps(facts) + "\n")


def telling(function):
    """Return the function, made to tell what it raises."""

    def run(*arguments):
        try:
            return function(*arguments)
        except BaseException as error:
            file = os.environ["CAFFE_PYLAYER_LAYER"] + ".py"
            frames = traceback.extract_tb(sys.exc_info()[2])
            lines = [frame[1] for frame in frames if os.path.basename(frame[0]) == file]
            where = " (%s, line %d)" % (file, lines[-1]) if lines else ""
            files = sorted(set(os.path.abspath(frame[0]) for frame in frames))
            tell(error=words(error) + where, files=files)
            raise

    return run


def answer(text):
    """Tell of each question what its function below finds, and that nothing ended it.

    It ends Python without waiting for a process that a layer started.
    """
    code = 1
    try:
        for i, (question, arguments, as_caffe) in enumerate(json.loads(text)):
            sys.stdout.flush()
            try:
                start = os.lseek(1, 0, os.SEEK_CUR)
            except OSError:
                start = 0
            tell(question=i, start=start, done=False)
            hidden = sys.path.pop(0) if as_caffe and sys.path[:1] == [""] else None
            arguments = [str(argument) for argument in arguments]
            telling(globals()[question])(*arguments)
            sys.path[:0] = [] if hidden is None else [hidden]
            tell(done=True)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def find(name):
    """Tell the file of a module, the folder of a package without __init__.py, or None."""
    tell(path=None)
    if sys.version_info[0] == 2:
        import pkgutil

        loader = pkgutil.find_loader(name)
        path = loader and loader.get_filename()
    else:
        from importlib.util import find_spec

        spec = find_spec(name)
        folders = spec and spec.submodule_search_locations
        path = spec and (
            spec.origin if spec.has_location or not folders else list(folders)[0]
        )
    tell(path=path and os.path.abspath(path))


def examine(name):
    """Tell where a module is, what it holds, and which layers."""
    find(name)
    tell(doing="importing " + name)
    module = importlib.import_module(name)
    tell(version=str(getattr(module, "__version__", "")), names=dir(module))
    caffe = sys.modules.get("caffe")
    if hasattr(caffe, "layer_type_list"):
        tell(types=list(caffe.layer_type_list()))
    if hasattr(caffe, "Layer"):
        items = sorted(vars(module).items())
        tell(
            layers=[
                k
                for k, v in items
                if isinstance(v, type) and issubclass(v, caffe.Layer)
            ]
        )


def run_net(path):
    """Load a net in pycaffe and run it once."""
    caffe = importlib.import_module("caffe")
    net = caffe.Net(path, caffe.TRAIN)
    net.forward()
    net.backward()


@telling
def make_source():
    """Return the class of the layer that gives the bottoms, and makes the author's layer tell."""
    tell(python="%d.%d" % sys.version_info[:2], done=False)
    caffe = importlib.import_module("caffe")

    class Source(caffe.Layer):
        @telling
        def setup(self, bottom, top):
            tell(made=True)
            self.arrays = []
            if not self.param_str:
                return
            test, module, name, bottoms, wanted = json.loads(self.param_str)
            layer = getattr(importlib.import_module(module), name)
            own = [base for base in layer.__mro__ if base not in caffe.Layer.__mro__]
            for method in ("setup", "reshape", "forward", "backward"):
                if any(method in vars(base) for base in own):
                    setattr(layer, method, telling(getattr(layer, method)))
                elif wanted or method != "backward":
                    raise AttributeError(
                        "the class %s has no method %s" % (name, method)
                    )
            if wanted:  # with a weight below, Caffe asks the layer for gradients
                self.blobs.add_blob(1)
            try:
                arrays = make_bottoms(test)
                count = len(arrays)
            except Exception as error:
                tell(unknown="no bottoms from make_bottoms in tests: %s" % words(error))
                raise
            if count <= max(bottoms or [-1]):
                finding = "%d bottoms in %s.prototxt, %d from make_bottoms in tests"
                fragment = os.environ["CAFFE_PYLAYER_LAYER"]
                raise ValueError(finding % (len(bottoms), fragment, count))
            self.arrays = [arrays[i] for i in bottoms]

        def reshape(self, bottom, top):
            for i, array in enumerate(self.arrays):
                top[i].reshape(*array.shape)

        def forward(self, bottom, top):
            for i, array in enumerate(self.arrays):
                top[i].data[...] = array

        def backward(self, top, propagate_down, bottom):
            tell(done=True)  # the last that `caffe time` asks of the first layer

    return Source


def make_bottoms(path):
    """Return the arrays of the make_bottoms in a file."""
    numpy = importlib.import_module("numpy")
    names = {"__name__": "test", "__file__": path}
    with open(path, "rb") as stream:
        exec(compile(stream.read(), path, "exec"), names)
    return names["make_bottoms"](numpy.random.RandomState(0), 4)


def words(error):
    """Return what an exception says, on one line."""
    lines = traceback.format_exception_only(type(error), error)
    return short(lines[-1] + lines[0] if isinstance(error, SyntaxError) else lines[0])


def short(text):
    """Return a text as one line that is not too long."""
    text = " ".join(text.split())
    return text if len(text) <= 160 else text[:157] + "..."
