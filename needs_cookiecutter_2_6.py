"""Stop a cookiecutter before 2.6. One before 2.1 does not find this file and shows its name."""

from cookiecutter import __version__
from cookiecutter.exceptions import FailedHookException
from jinja2.ext import Extension

if [int(part) for part in __version__.split(".")[:2]] < [2, 6]:
    raise FailedHookException(
        f"caffe-pylayer needs cookiecutter 2.6 or newer, this is {__version__}: "
        "pip install --upgrade cookiecutter"
    )


class Enough(Extension):
    """Does nothing: cookiecutter.json names it so that this file is loaded first."""
