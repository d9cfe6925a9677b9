"""Running caffe-pylayer as a user does who has not installed it: python3 CLONE/caffe_pylayer."""

import subprocess
import sys

from support.project import PROJECT

PACKAGE = PROJECT / "caffe_pylayer"
HERE = [sys.executable, "-B", PACKAGE]  # the command on this machine's Python

# What imports at once, in place of what takes pycaffe half of its time.
QUICK_PYCAFFE = {
    "pkg_resources.py": "def declare_namespace(name): pass",
    "scipy/__init__.py": "",
    "scipy/ndimage.py": "def zoom(): pass",
    "skimage/__init__.py": "",
    "skimage/io.py": "",
    "skimage/transform.py": "def resize(): pass",
}


def caffe_pylayer(*arguments, **options):
    """Run the command on this machine's Python; options are those of subprocess.run."""
    options = {"capture_output": True, "text": True, **options}
    return subprocess.run([*HERE, *arguments], **options)


def where_caffe_is(python="python3"):
    """Return what stands before the arguments of the command after with_caffe(folder, ...)."""
    return ["--bind", PROJECT, python, "-B", PACKAGE]
