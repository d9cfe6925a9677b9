"""Put back what the author had written (-f), set the run bits and say what to do next."""

import os

NAME = "<<cookiecutter.layer_name>>"

kept = []
for folder in (".", "example", "tests"):
    for file in os.listdir(folder):
        if file.endswith(".kept"):
            kept.append(os.path.normpath(os.path.join(folder, file[: -len(".kept")])))
            os.replace(f"{kept[-1]}.kept", kept[-1])
unfinished = os.environ.get("CAFFE_PYLAYER_UNFINISHED")
if unfinished:
    with open(unfinished, "a") as file:
        file.write(f"done {os.getcwd()}\0")

os.chmod("activate.sh", os.stat("activate.sh").st_mode | 0o111)

# `make new` generates into a temporary folder and moves it to this one, if there is none.
out = os.environ.get("CAFFE_PYLAYER_OUT")
if not (out and os.path.exists(os.path.join(out, NAME))):
    folder = os.path.join(out, NAME) if out else os.getcwd()
    shown = os.path.relpath(folder, os.environ.get("PWD", os.path.dirname(folder)))
    if not shown.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum():
        import shlex  # here, because it takes time

        shown = shlex.quote(shown)
    if kept:
        print(f"\n  kept {', '.join(sorted(kept))}\n  and renewed the rest")
    print(f"""
  cd {shown} && python3 -m pytest    tests the layer as it is, with or without Caffe
  edit {NAME}.py and the two functions in tests/test_{NAME}.py, then test again
  . ./activate.sh puts the layer on PYTHONPATH; {NAME}.prototxt is its part of your net""")
