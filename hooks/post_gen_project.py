"""Copy the checks into the layer and say what to do next."""

import sys

sys.path.pop(0)  # the folder for temporary files, where anybody may have left a module
import os
import shutil

TEMPLATE = "<<cookiecutter|root|escaped>>"
NAME = "<<cookiecutter.layer_name>>"

if "<<cookiecutter.checks>>" == "copied":
    package = os.path.join(TEMPLATE, "caffe_pylayer")
    shutil.rmtree("tests/harness", ignore_errors=True)
    shutil.copytree(
        os.path.join(package, "checks"),
        "tests/harness",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(os.path.join(package, "copied_conftest.py"), "tests/conftest.py")
print(f"cd {NAME} && python3 -m pytest")
