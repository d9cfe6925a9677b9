"""Python layers in OpenCV give what they give in real Caffe, and fail as plainly."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.project import PROJECT

pytestmark = pytest.mark.caffe
SCRIPT = Path(__file__).with_name("opencv_script.py")
EXAMPLES = sorted(path.parent for path in PROJECT.glob("examples/*/answers.yaml"))
LAYERS = {
    "copies": dict(layer_kind="identity"),
    "copies_two": dict(layer_kind="identity", bottoms=2, tops=3),
    "euclidean": dict(layer_kind="loss", bottoms=2, param_str_keys="margin=1.0"),
    "scales": dict(layer_kind="learnable"),
    "scales_two": dict(layer_kind="learnable", bottoms=2, tops=3),
    "difference": dict(layer_kind="metric"),
}
# One net: Caffe's own layers between Python layers, one of them in place, one twice.
CHAIN = """
layer { name: "split" type: "Python" bottom: "x" top: "a" top: "b"
  python_param { module: "of_chain" layer: "Split" } }
layer { name: "up" type: "Convolution" bottom: "b" top: "c"
  convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "half" type: "Python" bottom: "c" top: "c"
  python_param { module: "of_chain" layer: "Half" param_str: "2" } }
layer { name: "half_again" type: "Python" bottom: "c" top: "d"
  python_param { module: "of_chain" layer: "Half" param_str: "4" } }
layer { name: "probabilities" type: "Softmax" bottom: "d" top: "e" }
"""
OF_CHAIN = """
import caffe


class Split(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        for j in range(len(top)):
            top[j].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        import caffe  # late

        assert self.phase == caffe.TEST
        for j in range(len(top)):
            top[j].data[...] = bottom[0].data * (j + 1)


class Half(caffe.Layer):
    def setup(self, bottom, top):
        self.by = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data / self.by
"""


@pytest.fixture(scope="module")
def differences(bake, with_caffe, tmp_path_factory):
    """The largest difference of each layer's tops, and how many values were compared."""
    out = tmp_path_factory.mktemp("opencv")
    for name, answers in LAYERS.items():
        bake(out=out, layer_name=name, checks="installed", **answers)
    for example in EXAMPLES:
        shutil.copytree(example, out / example.name)
    (out / "chain" / "tests").mkdir(parents=True)
    (out / "chain" / "chain.prototxt").write_text(CHAIN)
    (out / "chain" / "of_chain.py").write_text(OF_CHAIN)
    bottoms = "def make_bottoms(rng, batch):\n    return [rng.randn(batch, 3, 4, 4)]\n"
    (out / "chain" / "tests" / "test_chain.py").write_text(bottoms)
    script = shutil.copy(SCRIPT, out)
    result = with_caffe(
        out, "python3", "opencv_script.py", "caffe", GLOG_minloglevel="2"
    )
    assert result.returncode == 0, result.stderr
    return json.loads(run(out, [script, "opencv"]))


def run(folder, arguments):
    """Run Python where the package is, and return what it prints."""
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("name", [*LAYERS, *(path.name for path in EXAMPLES), "chain"])
def test_outputs_are_those_of_caffe(differences, name):
    worst, compared = differences[name]
    assert compared >= 2 and worst <= 1e-5


MODULE = """
import sys

import caffe


class Wrong(caffe.Layer):
    def setup(self, bottom, top):
        if self.param_str == "two":
            self.refuse_but(2, top)
        if self.param_str == "aborts":
            top[0].reshape(-1)

    def refuse_but(self, count, top):
        if len(top) != count:
            sys.stderr.write("refused\\\\n")
            raise ValueError("expected 2 tops, got %d" % len(top))

    def reshape(self, bottom, top):
        for j in range(len(top)):
            top[j].reshape(*bottom[0].data.shape)
        if self.param_str == "reshape":
            raise KeyError("no such size")

    def forward(self, bottom, top):
        if self.param_str == "forward":
            raise ValueError("labels must be 0 to 9")
        if self.param_str == "changes":
            top[0].reshape(1, 1)
            return
        if self.param_str == "interrupted":
            raise KeyboardInterrupt
        top[0].data[...] = bottom[0].data
"""
NET = """
layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "%s" type: "Python" bottom: "x" top: "y"
  python_param { module: "%s" layer: "Wrong" param_str: "%s" } }
"""
BEGIN = """
import sys
import cv2, numpy
import caffe_pylayer.opencv

def buffer(text):
    return numpy.frombuffer(text.encode(), numpy.uint8)

def outcome(name, module, param_str):
    net = cv2.dnn.readNetFromCaffe(buffer(NET % (name, module, param_str)))
    net.setInput(numpy.ones((2, 3), numpy.float32))
    try:
        return net.forward().sum()
    except BaseException as error:
        return "%s: %s" % (type(error).__name__, error)

"""


@pytest.fixture
def python(tmp_path):
    """A function that runs a script beside the module of a layer that goes wrong."""
    (tmp_path / "wrong.py").write_text(MODULE)

    def run_script(script):
        return run(tmp_path, ["-c", f"NET = {NET!r}\n{BEGIN}\n{script}"]).splitlines()

    return run_script


@pytest.mark.parametrize(
    "param_str, expected",
    [
        ("", "6.0"),
        ("two", "ValueError: layer first: expected 2 tops, got 1"),
        ("aborts", "RuntimeError: layer first: Check failed: shape[i] >= 0"),
        ("reshape", "KeyError: \"layer first: 'no such size'\""),
        ("forward", "ValueError: layer first: labels must be 0 to 9"),
        ("changes", "ValueError: layer first: forward changes its tops' shapes from [(2, 3)] to "
                    "[(1, 1)], OpenCV needs them from reshape"),
        ("interrupted", "KeyboardInterrupt: "),
    ],
)  # fmt: skip
def test_what_a_layer_raises_comes_out_with_the_name_of_the_layer(
    python, param_str, expected
):
    script = "caffe_pylayer.opencv.register()\ncaffe_pylayer.opencv.register()\n"
    assert python(f"{script}print(outcome('first', 'wrong', {param_str!r}))") == [
        expected
    ]


def test_a_module_that_is_not_found_says_what_to_do(python):
    said = python(
        "caffe_pylayer.opencv.register()\nprint(outcome('first', 'nowhere', ''))"
    )
    says = "no module nowhere: put its folder on PYTHONPATH (. ./activate.sh)"
    assert said == [f"ImportError: layer first: {says}"]


def test_a_net_that_was_not_read_after_register_gets_the_fewest_tops(python):
    script = """
    read = cv2.dnn.readNetFromCaffe
    caffe_pylayer.opencv.register()
    text = NET.replace('top: "y"', 'top: "y" top: "z"') % ("first", "wrong", "two")
    net = read(buffer(text))
    net.setInput(numpy.ones((2, 3), numpy.float32))
    print([top.shape for top in net.forwardAndRetrieve(["first"])[0]])
    """
    assert python("\n".join(line.strip() for line in script.splitlines())) == [
        "[(2, 3), (2, 3)]"
    ]


def test_another_caffe_in_the_process_stays_itself(python):
    script = """
    import types
    sys.modules["caffe"] = types.ModuleType("caffe")
    sys.modules["caffe"].Layer = type("Layer", (), {})
    import caffe, wrong
    caffe_pylayer.opencv.register()
    print(outcome("first", "wrong", ""))
    print(sys.modules["caffe"] is caffe, sys.modules["wrong"] is wrong)
    print(wrong.Wrong.__mro__[1] is caffe.Layer, "numpy" in sys.modules)
    """
    said = python("\n".join(line.strip() for line in script.splitlines()))
    assert said == ["6.0", "True True", "True True"]


@pytest.mark.parametrize(
    "fake, expected",
    [
        ("None", "import of cv2 halted; None in sys.modules"),
        ("type('cv2', (), {'__version__': '5.0.0', 'dnn': None})",
         "OpenCV 5.0.0 reads no Caffe nets"),
    ],
)  # fmt: skip
def test_without_opencv_4_it_says_what_to_install(tmp_path, fake, expected):
    script = f"""
import sys
sys.modules["cv2"] = {fake}
import caffe_pylayer.opencv
try:
    caffe_pylayer.opencv.register()
except ImportError as error:
    print(error)
"""
    assert (
        run(tmp_path, ["-c", script])
        == f'{expected}: pip install "opencv-python-headless<5"\n'
    )
