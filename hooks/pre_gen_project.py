"""Put the author's files of a layer that is there (-f) out of its way.

The answers are checked before this: at the prompts, and by local_extensions.py when cookiecutter
asks for the name of the folder, also in a replay, so that nothing is on disk when one is refused.
Nothing is rendered here, so that no answer can be run where a replay does not load that file.
"""

import os
import sys

NAME = os.path.basename(os.getcwd())
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
KEPT = ".kept-by-caffe-pylayer"

unfinished = os.environ.get("CAFFE_PYLAYER_UNFINISHED")
if not unfinished:
    sys.exit("_extensions: expected those of cookiecutter.json, got others: take them out")
for path in AUTHORS:
    if os.path.lexists(path + KEPT):
        sys.exit(f"{path}{KEPT}: move it back to {path} or delete it, a run was killed")

with open(unfinished, "a") as file:
    if not os.listdir():
        file.write(f"new {os.getcwd()}\0")
    for path in AUTHORS:
        state = "kept" if os.path.lexists(path) else "made"
        file.write(f"{state} {os.path.join(os.getcwd(), path)}\0")
for path in AUTHORS:
    if os.path.lexists(path):
        os.rename(path, path + KEPT)
