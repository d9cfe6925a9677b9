"""Write the header, put back what the author had written (-f) and say what to do next."""

import os

NAME = "<<cookiecutter.layer_name>>"
KEPT = ".kept-by-caffe-pylayer"
HEADER = "<<(cookiecutter|layer_spec).header|join('\n')|escaped>>"
SOURCES = "<<cookiecutter|sources|join(' ')>>".split()
WORKFLOW = ".github/workflows/tests.yml"

if "<<(cookiecutter|layer_spec).github_actions>>" == "False":
    os.remove(WORKFLOW)
    SOURCES.remove(WORKFLOW)
for path in SOURCES if HEADER else []:
    with open(path, encoding="utf-8") as file:
        lines = file.readlines()
    comments = [f"# {line}".rstrip() + "\n" for line in HEADER.split("\n")] + ["\n"]
    if path.endswith(".py") and not HEADER.isascii():
        comments.insert(0, "# -*- coding: utf-8 -*-\n")
    start = 1 if lines[0].startswith("#!") else 0
    if lines[start : start + len(comments)] != comments:  # cookiecutter -s leaves files as they are
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(lines[:start] + comments + lines[start:])

kept = []
for folder in (".", ".github/workflows", "example", "tests"):
    for file in os.listdir(folder):
        if file.endswith(KEPT):
            kept.append(os.path.normpath(os.path.join(folder, file[: -len(KEPT)])))
            os.replace(kept[-1] + KEPT, kept[-1])
if not os.listdir(".github/workflows"):
    os.removedirs(".github/workflows")
with open(os.environ["CAFFE_PYLAYER_UNFINISHED"], "a") as file:
    file.write(f"done {os.getcwd()}\0")

os.chmod("activate.sh", os.stat("activate.sh").st_mode | 0o111)

# `make new` generates into a temporary folder and moves it to this one, if there is none. What
# `cruft diff` and `cruft update` generate elsewhere, to compare, is nobody's to go to.
out = os.environ.get("CAFFE_PYLAYER_OUT")
folder = os.path.join(out, NAME) if out else os.getcwd()
shown = os.path.relpath(folder, os.environ.get("PWD", os.path.dirname(folder)))
compared = "<<'' if '_output_dir' in cookiecutter else 'cruft'>>" and shown.startswith("..")
if not compared and not (out and os.path.exists(folder)):
    if not shown.replace("/", "").replace(".", "").replace("-", "").replace("_", "").isalnum():
        import shlex  # here, because it takes time

        shown = shlex.quote(shown)
    text = f"\n  kept {', '.join(sorted(kept))}\n  and renewed the rest\n" if kept else ""
    text += f"""
  cd {shown} && python3 -m pytest    tests the layer as it is, with or without Caffe
  edit {NAME}.py and the two functions in tests/test_{NAME}.py, then test again
  . ./activate.sh puts the layer on PYTHONPATH; {NAME}.prototxt is its part of your net"""
    try:
        print(text, flush=True)
    except OSError:  # nobody reads it, or a full disk: the layer is there all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
