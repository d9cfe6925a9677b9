"""Set the run bits and say what to do next."""

import os
from pathlib import Path

NAME = "<<cookiecutter.layer_name>>"

script = Path("activate.sh")
script.chmod(script.stat().st_mode | 0o111)

print(f"""
  cd {os.environ.get("CAFFE_PYLAYER_OUT", "")}{NAME} && python3 -m pytest    test the layer as it is
  edit {NAME}.py and the two functions in tests/test_{NAME}.py; test again
  . ./activate.sh    puts it on PYTHONPATH; {NAME}.prototxt goes into your net""")
