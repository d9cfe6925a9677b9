"""Set the run bits and say what to do next."""

import os
import shlex
from pathlib import Path

NAME = "<<cookiecutter.layer_name>>"

script = Path("activate.sh")
script.chmod(script.stat().st_mode | 0o111)

# `make new` generates into a temporary folder and moves it to this one, if there is none.
moved = Path(os.environ["CAFFE_PYLAYER_OUT"], NAME) if "CAFFE_PYLAYER_OUT" in os.environ else None
if not (moved and moved.exists()):
    folder = moved or Path.cwd()
    shown = shlex.quote(os.path.relpath(folder, os.environ.get("PWD", folder.parent)))
    print(f"""
  cd {shown} && python3 -m pytest    tests the layer as it is, with or without Caffe
  edit {NAME}.py and the two functions in tests/test_{NAME}.py, then test again
  . ./activate.sh puts the layer on PYTHONPATH; {NAME}.prototxt is its part of your net""")
