"""The causes that `caffe-pylayer doctor` knows, asked with the texts that were recorded."""

import pytest

from caffe_pylayer.checks import hints, prototxt
from caffe_pylayer.commands import causes, doctor
from caffe_pylayer.commands.net_text import parse

CONVERTER = "TypeError: No to_python (by-value) converter found for C++ type: %s"
BY_LINE = " (my_layer.py, line 7)"
SEGV = """*** SIGSEGV (@0x0) received by PID 4 (TID 0x7f) from PID 0; stack trace: ***
    @     0x7f1 caffe::GetPythonLayer<>()
    @     0x7f2 caffe::Net<>::Init()
"""
RECORDED = {  # error, log, and what the fix says
    "pycaffe of two versions": (
        "AttributeError: can't set attribute",
        "",
        "two versions",
    ),
    "shared_ptr": (
        CONVERTER % "boost::shared_ptr<caffe::Blob<float> >",
        "",
        "Boost.Python",
    ),
    "shared_ptr class": (
        "TypeError: No Python class registered for C++ class boost::shared_ptr<caffe::Net<float> >",
        "",
        "Boost.Python",
    ),
    "LayerParameter": (CONVERTER % "caffe::LayerParameter", "", "Boost.Python"),
    "iterated": (CONVERTER % "caffe::Blob<float>*" + BY_LINE, "", "range(len(bottom))"),
    "libcaffe": (
        "ImportError: _caffe.so: undefined symbol: _ZN5caffe3NetIfE",
        "",
        "another libcaffe is found first",
    ),
    "not built": (
        "ImportError: _caffe.so: undefined symbol: _Py_ZeroStruct",
        "",
        "make pycaffe",
    ),
    "SIGSEGV": ("it dies of signal 11", SEGV, "PYTHON_INCLUDE"),
    "multi GPU": (
        "PythonLayer is not implemented in Multi-GPU training",
        "",
        "caffe-pylayer train",
    ),
    "multi GPU of Caffe 1.0": (
        "Check failed: PythonLayer does not support CLI Multi-GPU, use train.py",
        "",
        "caffe-pylayer train",
    ),
    "type": (
        "Unknown layer type: Convolutoin (known types: BNLL, Convolution)",
        "",
        '"Convolution"',
    ),
    "fork's type": (
        "Unknown layer type: Interp (known types: BNLL, ReLU)",
        "",
        "a fork",
    ),
    "fork's field": (
        'Message type "x" has no field named "resize_param".',
        "",
        "a fork",
    ),
    "field": ('Message type "x" has no field named "bottoms".', "", "write bottom"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_error_has_its_fix(monkeypatch, name):
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    error, log, expected = RECORDED[name]
    assert expected in causes.fix_for(error, log)


def test_a_row_for_caffe_alone_is_not_for_a_line_of_the_layer():
    assert causes.fix_for("AttributeError: can't set attribute" + BY_LINE) is None


def test_which_libcaffe_is_found_first_is_shown(monkeypatch, tmp_path):
    (tmp_path / "libcaffe.so.1.0.0").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")
    fix = causes.fix_for("undefined symbol: _ZN5caffe3NetIfE")
    assert fix.startswith(
        f"{tmp_path}/libcaffe.so.1.0.0 is found first: take {tmp_path} off"
    )


@pytest.mark.parametrize("kind", ["caffe::Blob<float>*", "boost::shared_ptr<X>"])
def test_doctor_and_engine_say_the_same_of_to_python(kind):
    text = CONVERTER % kind
    assert hints.with_hint(text) == f"{text}\n  {causes.fix_for(text)}"


BLOBS = "layer { name: 'a' top: 'ipnet' } layer { name: 'b' top: 't' include { phase: TEST } }"


@pytest.mark.parametrize(
    "blob, fix",
    [
        ("idnet", 'write bottom: "ipnet"'),
        ("t", "no layer gives t in phase TRAIN: see its include { }"),
        ("ipnet", "the layer that gives ipnet must stand before the one that reads it"),
    ],
)
def test_unknown_bottom(blob, fix):
    about = doctor.about_net(parse(BLOBS, "net"), "TRAIN")
    assert causes.fix_for(f"Unknown bottom blob '{blob}' (layer 'c')", **about) == fix


@pytest.mark.parametrize(
    "error",
    [
        "Check failed: mdb_status == 0 (2 vs. 0) No such file or directory",
        "Could not open or find file m.binaryproto",
        "Check failed: fd != -1 (-1 vs. -1) File not found: m.binaryproto",
    ],
)
def test_missing_file_is_named(error):
    net = "layer { name: 'd' transform_param { mean_file: 'm.binaryproto' } }"
    fix = causes.fix_for(error, **doctor.about_net(parse(net, "net"), "TRAIN"))
    assert (
        fix
        == "no m.binaryproto (mean_file of layer d): a path starts where you run caffe"
    )


LOSS = (
    "layer { name: 'mine' type: 'Python' bottom: 'x' top: 'l' %s "
    "python_param { layer: 'MyLoss' } }"
)
FINDINGS = {  # a net, and the start of each finding
    "no loss_weight": (LOSS % "", ["nothing trains"]),
    "a loss_weight": (LOSS % "loss_weight: 1", []),
    "a loss_weight of 0": (LOSS % "loss_weight: 0", ["nothing trains"]),
    "another loss": (LOSS % "" + "layer { type: 'SoftmaxWithLoss' }", []),
    "in TEST only": (LOSS % "include { phase: TEST }", []),
    "in place": (
        "layer { name: 'p' type: 'Python' bottom: 'x' top: 'x' }",
        ["layer p works in place on x: backward sees what forward wrote"],
    ),
    "ReLU in place": ("layer { name: 'p' type: 'ReLU' bottom: 'x' top: 'x' }", []),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_findings_in_the_text_of_a_net(name):
    text, expected = FINDINGS[name]
    found = [str(finding.args[0]) for finding in doctor.findings(parse(text, "net"))]
    assert len(found) == len(expected)
    assert all(map(str.startswith, found, expected))


@pytest.mark.parametrize(
    "force, down, told",
    [("true", "false", True), ("true", "true", False), ("false", "false", False)],
)
def test_force_backward(force, down, told):
    net = prototxt.parse(
        f"force_backward: {force} layer {{ type: 'Python' propagate_down: {down} }}".encode(),
        "net",
    )
    assert bool(doctor.asked_for_all(net)) == told
