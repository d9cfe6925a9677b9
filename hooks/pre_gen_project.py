"""Refuse a cookiecutter before 2.6, which runs hooks unrendered and cannot read our delimiters.

The answers are checked before this: at the prompts, and by local_extensions.py when cookiecutter
asks for the name of the folder, also in a replay, so that nothing is on disk when one is refused.
"""

import sys

if "<<cookiecutter.layer_name>>".startswith("<"):
    sys.exit("caffe-pylayer needs cookiecutter 2.6 or newer: pip install --upgrade cookiecutter")
