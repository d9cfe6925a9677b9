"""What an error of Python or Caffe says, its cause, and what to do: a new cause is one row.

A fix is a text or a function of (match, about); `about` holds what is known: pip, the command for
it, and net and phase where a net was run.
"""

import difflib
import glob
import os
import re

from ..checks.hints import ANOTHER_BOOST, NOT_ITERATED
from .layer_folder import quote

LINE_OF_LAYER = re.compile(r" \(\S+\.py, line \d+\)$")
WITH_PYTHON = (
    "set WITH_PYTHON_LAYER := 1 in Makefile.config, make clean, make all pycaffe"
)
FORK = "the net is for another Caffe (a fork): run that one, or take this out"
FIELDS = (  # of a layer { } that people write
    "name type bottom top phase loss_weight param propagate_down include exclude "
    "transform_param loss_param python_param data_param inner_product_param "
    "convolution_param pooling_param dropout_param relu_param input_param eltwise_param "
    "concat_param slice_param softmax_param accuracy_param batch_norm_param scale_param "
    "dummy_data_param image_data_param hdf5_data_param lrn_param reshape_param"
).split()


def another_libcaffe(match, about):
    """Say which libcaffe is found first, by LD_LIBRARY_PATH."""
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.startswith("libcaffe.so"):
                path = os.path.join(folder, name)
                text = "%s is found first: take %s off LD_LIBRARY_PATH, or make pycaffe"
                return text % (path, folder)
    return (
        "another libcaffe is found first (ldd _caffe.so shows which): put the folder of the "
        "right one first on LD_LIBRARY_PATH"
    )


def nearest_blob(match, about):
    """Say which blob was meant, or in which phase it is."""
    name, layers = match.group("blob"), about.get("layers", ())
    tops = [top for layer in layers for top in layer.all("top")]
    tops += about.get("inputs", ())
    if name in about.get("elsewhere", ()):
        return "no layer gives %s in phase %s: see its include { }" % (
            name,
            about["phase"],
        )
    if name in tops:
        return "the layer that gives %s must stand before the one that reads it" % name
    return 'write %sbottom: "%s"' % (
        "" if near(name, tops) else "the name of a top in ",
        near(name, tops) or name,
    )


def unknown_field(match, about):
    """Say which field was meant, or that the net is for another Caffe."""
    field = match.group("field")
    known = near(field, FIELDS, 0.9 if field.endswith("_param") else 0.8)
    return "write %s" % known if known else FORK


def unknown_type(match, about):
    known = near(match.group("type"), re.findall(r"\w+", match.group("known")), 0.8)
    return 'write type: "%s"' % known if known else FORK


def missing_file(match, about):
    """Name the files that a net names and that are not there."""
    for layer in about.get("layers", ()):
        for field, value in fields_of(layer):
            if field in ("source", "mean_file") and isinstance(value, str):
                if not os.path.exists(value):
                    text = "no %s (%s of layer %s): a path starts where you run caffe"
                    return text % (quote(value), field, layer.get("name", "?"))
    return "a path starts where you run caffe: run this there"


def fields_of(message):
    """Yield the fields of a message and of all that it holds."""
    for field, value in message.fields:
        yield field, value
        if hasattr(value, "fields"):
            for inner in fields_of(value):
                yield inner


def near(name, names, cutoff=0.5):
    """Return the nearest of the names, None if none is near."""
    return (difflib.get_close_matches(name, names, 1, cutoff) or [None])[0]


def pythonpath():
    """Return the real paths of the entries of PYTHONPATH."""
    value = os.environ.get("PYTHONPATH")
    return (
        [os.path.realpath(entry) for entry in value.split(os.pathsep)] if value else []
    )


def right_module(module, net):
    """Return what to do about a module that is not found."""
    entries = pythonpath()
    places = [os.getcwd(), os.path.dirname(os.path.abspath(net))]
    if "/" in module or module.endswith(".py"):
        folder, name = os.path.split(module)
        name = name[: -len(".py")] if name.endswith(".py") else name
        folders = [folder] if folder else []
        write = 'write module: "%s"' % name
        for place in folders + entries:
            if is_module(os.path.join(place, name)):
                path = os.path.realpath(place)
                if path in entries:
                    return write
                return "%s, export PYTHONPATH=%s:$PYTHONPATH" % (write, quote(path))
        return write
    parts = module.split(".")
    for place in places:
        while True:
            if is_module(os.path.join(place, *parts)):
                return "export PYTHONPATH=%s:$PYTHONPATH" % quote(place)
            if place == os.path.dirname(place):
                break
            place = os.path.dirname(place)
    for entry in entries:
        if len(parts) > 1 and is_module(os.path.join(entry, parts[-1])):
            return 'write module: "%s"' % parts[-1]
    near = (
        glob.glob(os.path.join(glob.escape(places[1]), "*", *parts) + ".py")
        if (hasattr(glob, "escape"))
        else []
    )
    if near:
        folder = near[0][: -len(os.path.join(*parts) + ".py") - 1]
        return "export PYTHONPATH=%s:$PYTHONPATH" % quote(folder)
    return "put the folder of %s on PYTHONPATH" % (os.path.join(*parts) + ".py")


def is_module(path):
    return os.path.isfile(path + ".py") or os.path.isfile(
        os.path.join(path, "__init__.py")
    )


# Pattern of error or log; what to do; and whether it can be so where a line of the layer raised.
CAUSES = (
    (r"NumPy 1\.x|_ARRAY_API", "{pip} install 'numpy<2'", True),
    (
        r"multiarray failed|compiled against",
        "build it for this numpy: make pycaffe",
        True,
    ),
    (r"Unknown layer type: Python\b", WITH_PYTHON, True),
    (r"Unknown layer type: (?P<type>\w+)(?P<known>.*)", unknown_type, True),
    (
        r"descriptor pool|Descriptors cannot|named '?google",
        "{pip} install 'protobuf<4'",
        True,
    ),
    (r"undefined symbol: _ZNK?5caffe", another_libcaffe, True),
    (
        r"named '?(caffe\.)?_caffe|undefined symbol: _?Py|PyInit__caffe",
        "build it: make pycaffe",
        True,
    ),
    (
        r"cannot open shared object",
        "install that library or put its folder on LD_LIBRARY_PATH",
        True,
    ),
    (
        r"can't set attribute|property .* of 'Net' object has no setter",
        "caffe/*.py and caffe/_caffe.so are of two versions: take the whole folder caffe from one "
        "build (make clean, make pycaffe)",
        False,
    ),
    (
        r"(by-value\) converter found for C\+\+ type: caffe::Blob<float>\*)",
        NOT_ITERATED,
        True,
    ),
    (
        r"No to_python \(by-value\) converter|No Python class registered for C\+\+ class",
        ANOTHER_BOOST,
        True,
    ),
    (
        r"SIGSEGV[^$]*GetPythonLayer",
        "Caffe loads another Boost.Python or Python than it was built with: make clean, make all "
        "pycaffe, with the PYTHON_INCLUDE of this Python in Makefile.config",
        True,
    ),
    (
        r"PythonLayer (is not implemented in|does not support CLI) Multi-GPU",
        "one process for each GPU: caffe-pylayer train (see its --help)",
        True,
    ),
    (
        r"Check failed: (data|diff)_",
        "reshape must give every top its shape",
        True,
    ),
    (r"Unknown bottom blob '(?P<blob>[^']*)'", nearest_blob, True),
    (r"has no field named \"(?P<field>\w+)\"", unknown_field, True),
    (
        r"mdb_status|Failed (to )?open|File is empty|Could not open|File not found",
        missing_file,
        True,
    ),
    (r"named '?skimage", "{pip} install scikit-image", True),
    (
        r"No module named '?(?!caffe\b)(?P<name>\w+)",
        "{pip} install {name}, or see PYTHONPATH",
        True,
    ),
)


def fix_for(error, log="", **about):
    """Return what to do about an error and its log, None where that is not known."""
    for pattern, fix, by_layer in CAUSES:
        match = re.search(pattern, error + "\n" + log)
        if match and (by_layer or not by_a_line(error)):
            if callable(fix):
                return fix(match, about)
            return fix.format(pip=about.get("pip", "pip"), **match.groupdict())
    return None


def by_a_line(error):
    """Whether a line of the layer raised the error."""
    return bool(LINE_OF_LAYER.search(error))
