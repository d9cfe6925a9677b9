"""Python layers in OpenCV: cv2.dnn runs nets that have them, without Caffe.

    import cv2
    import caffe_pylayer.opencv

    caffe_pylayer.opencv.register()
    net = cv2.dnn.readNetFromCaffe("deploy.prototxt", "weights.caffemodel")

A layer's module is found by PYTHONPATH, as Caffe does; its `import caffe` gets the numpy stand-in.
The layer runs setup, reshape and forward, in the phase TEST. OpenCV 4 reads Caffe's nets, 5 none.
"""

import contextlib
import functools
import importlib
import io
import os
import sys

from .checks import net as layer_net
from .checks import standin
from .checks.prototxt import Message, parse

MOST_TOPS = 64
NO_OPENCV = 'pip install "opencv-python-headless<5"'

_layers = []  # the Python layers, as Messages, of the nets that were read
_raised = []  # what layers raised: OpenCV throws it away
_modules = {}  # what was imported with the stand-in as caffe


def register():
    """Have cv2.dnn run the Python layers of Caffe's nets, from now on in this process.

    Raises:
        ImportError: no OpenCV, or one that does not read Caffe's nets.
    """
    try:
        import cv2
    except ImportError as error:
        raise ImportError(f"{error}: {NO_OPENCV}") from None
    if not hasattr(cv2.dnn, "readNetFromCaffe"):
        raise ImportError(f"OpenCV {cv2.__version__} reads no Caffe nets: {NO_OPENCV}")
    if not hasattr(cv2.dnn.readNetFromCaffe, "__wrapped__"):
        cv2.dnn_registerLayer("Python", PythonLayer)
        cv2.dnn.readNetFromCaffe = _remembering(cv2.dnn.readNetFromCaffe)
        for name in ("forward", "forwardAndRetrieve"):
            setattr(cv2.dnn.Net, name, _raising(getattr(cv2.dnn.Net, name), cv2.error))


class PythonLayer:
    """What OpenCV makes of a layer of type Python: a net of the stand-in with that layer."""

    def __init__(self, params, weights):
        """Take what the net says of the layer, and its weights from the caffemodel."""
        self.module, self.layer, self.param_str = _identity(params)
        self.weights, self.net = weights, None
        self.messages = [
            message
            for message in _layers
            if _identity(dict(message.get("python_param").fields)) == _identity(params)
        ]
        names = dict.fromkeys(message.get("name", "") for message in self.messages)
        self.name = " or ".join(names) or self.layer

    def getMemoryShapes(self, inputs):  # noqa: N802  OpenCV's name
        """Return the shapes of the tops for those of the bottoms."""
        with self._telling():
            if self.net is None:
                self._make(inputs)
            return [shape or (1,) for shape in self._reshape(inputs)]

    def forward(self, inputs):
        """Return the tops, float32, for the bottoms.

        Where this raises OpenCV waits for ever. It returns nothing then, which OpenCV refuses.
        """
        with contextlib.suppress(BaseException), self._telling():
            shapes = self._reshape([array.shape for array in inputs])
            for bottom, array in zip(self.bottoms, inputs):
                self.net.blobs[bottom].data[...] = array
            self.net.forward()
            tops = [self.net.blobs[top].data.copy() for top in self.tops]
            given = [top.shape for top in tops]
            if given != shapes:
                raise ValueError(
                    f"forward changes its tops' shapes from {shapes} to {given}, "
                    "OpenCV needs them from reshape"
                )
            return [_mat(top.reshape(top.shape or (1,))) for top in tops]
        return []

    @contextlib.contextmanager
    def _telling(self):
        """Give the layer its caffe; keep what it raises, with the layer's name."""
        try:
            with _standin_as_caffe(self.module):
                yield
        except standin.CaffeAborted as error:
            _raised.append(RuntimeError(f"layer {self.name}: {error}"))
            raise _raised[-1] from None
        except BaseException as error:
            if isinstance(error, Exception):
                error.args = (f"layer {self.name}: {error}",)
                if hasattr(error, "msg"):  # of ImportError and SyntaxError
                    error.msg = error.args[0]
            _raised.append(error)
            raise

    def _make(self, shapes):
        """Make the net, with the bottoms and tops of the net that was read.

        If that is not known, with the fewest tops that the layer takes.
        """
        bottoms = [f"bottom{i}" for i in range(len(shapes))]
        known = [
            (message.all("bottom"), message.all("top")) for message in self.messages
        ]
        unknown = [
            (bottoms, [f"top{j}" for j in range(count)])
            for count in range(1, MOST_TOPS + 1)
        ]
        refused = None
        _load(self.module)
        for self.bottoms, self.tops in known or unknown:
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    self.net = self._net(shapes)
                break
            except (Exception, standin.CaffeAborted) as error:
                refused = refused or error
        else:
            raise refused
        self._take_weights()

    def _net(self, shapes):
        """Return a net of the stand-in: inputs of these shapes, and the layer."""
        inputs = dict(zip(self.bottoms, shapes))
        text = "".join(
            layer_net.source("Input", name, shape) for name, shape in inputs.items()
        )
        blobs = [("bottom", name) for name in self.bottoms] + [
            ("top", name) for name in self.tops
        ]
        fields = [("name", "layer"), ("type", "Python"), *blobs]
        names = ("module", "layer", "param_str")
        python = zip(names, (self.module, self.layer, self.param_str))
        fields.append(("python_param", Message(python)))
        text += str(Message([("layer", Message(fields))]))
        return layer_net.load(standin, text.encode(), standin.TEST)

    def _take_weights(self):
        """Give the layer the weights from the caffemodel, if there is one."""
        blobs = list(self.net.layers[-1].blobs)
        found, given = [
            [array.size for array in arrays]
            for arrays in ([blob.data for blob in blobs], self.weights)
        ]
        if given and found != given:
            raise ValueError(
                f"setup makes weights of sizes {found}, the caffemodel has {given}"
            )
        for blob, weight in zip(blobs, self.weights):
            blob.data.flat = weight.ravel()

    def _reshape(self, shapes):
        """Give the bottoms these shapes and return those of the tops."""
        for bottom, shape in zip(self.bottoms, shapes):
            self.net.blobs[bottom].reshape(*[int(size) for size in shape])
        self.net.reshape()
        return [self.net.blobs[top].data.shape for top in self.tops]


def _mat(array):
    """Return what OpenCV takes for an array of these axes, none of them for channels."""
    import cv2

    return cv2.Mat(array, wrap_channels=False) if hasattr(cv2, "Mat") else array


def _identity(param):
    """Return what tells one Python layer from another, of the fields of python_param."""
    return tuple(
        str(param.get(field, "")) for field in ("module", "layer", "param_str")
    )


def _load(name):
    """Import the module of a layer, which is not in sys.modules afterwards."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            text = f"no module {name}: put its folder on PYTHONPATH (. ./activate.sh)"
            raise ImportError(text) from None
        raise


@contextlib.contextmanager
def _standin_as_caffe(module):
    """Have `import caffe` give the stand-in, and a layer's module what it has imported with it.

    What else is in the process keeps its own caffe, and its own copy of the module.
    """
    packages = {name.partition(".")[0] for name in ("caffe", module, *_modules)}

    def take_out():
        names = [name for name in sys.modules if name.partition(".")[0] in packages]
        return {name: sys.modules.pop(name) for name in names}

    outside, before = take_out(), set(sys.modules)
    sys.modules.update(_modules)
    standin.install()
    try:
        yield
    finally:
        new = {name: sys.modules[name] for name in set(sys.modules) - before}
        packages |= {name.partition(".")[0] for name in new if _uses_standin(new[name])}
        _modules.update(take_out())
        sys.modules.update(outside)


def _uses_standin(module):
    """Whether a module has the stand-in or a layer of it."""
    return any(
        value is standin
        or (isinstance(value, type) and issubclass(value, standin.Layer))
        for value in vars(module).values()
    )


def _remembering(read):
    """Return a readNetFromCaffe that remembers the Python layers of each net."""

    @functools.wraps(read)
    def read_net(prototxt, *args, **kwargs):
        net = read(prototxt, *args, **kwargs)  # first, since it names what is wrong
        text = prototxt
        if isinstance(prototxt, (str, bytes, os.PathLike)):
            with open(prototxt, "rb") as file:
                text = file.read()
        layers = parse(bytes(text)).all("layer")
        _layers.extend(layer for layer in layers if layer.get("python_param"))
        return net

    return read_net


def _raising(method, failure):
    """Return a method of a net that raises what the layer did, not OpenCV's failure."""

    @functools.wraps(method)
    def call(*args, **kwargs):
        _raised.clear()
        try:
            return method(*args, **kwargs)
        except failure:
            if _raised:
                raise _raised.pop() from None
            raise

    return call
