"""Put the author's files of a layer that is there (-f) out of its way.

The answers are checked before this: at the prompts, and by local_extensions.py when cookiecutter
asks for the name of the folder, also in a replay, so that nothing is on disk when one is refused.
"""

import os

NAME = "<<cookiecutter.layer_name>>"
AUTHORS = (
    ".github/workflows/tests.yml",
    f"{NAME}.py",
    f"{NAME}.prototxt",
    "README.md",
    "Dockerfile",
    "example/solver.prototxt",
    "example/train_val.prototxt",
    f"tests/test_{NAME}.py",
)

unfinished = os.environ.get("CAFFE_PYLAYER_UNFINISHED")
if unfinished:
    with open(unfinished, "a") as file:
        file.write(f"{'old' if os.listdir() else 'new'} {os.getcwd()}\0")
for path in AUTHORS:
    if os.path.exists(path) and not os.path.exists(f"{path}.kept"):
        os.rename(path, f"{path}.kept")
