"""Copy the checks into the layer and say what to do next."""

import sys

# The first folder is that of temporary files, where anybody may have left a module.
if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]
import os

PACKAGE = os.path.join("<<cookiecutter|root|escaped>>", "caffe_pylayer")
NAME = "<<cookiecutter.layer_name>>"
KEYS = "<<cookiecutter|key_types>>"
COPIED = "<<cookiecutter.checks>>" == "copied"
OF_CRUFT = "<<'_output_dir' in cookiecutter>>" == "False"
WORKING = ".caffe-pylayer-"  # where `make new` generates, before it renames


def copy_file(source, target):
    """Write a copy beside the target, then let it take the target's place."""
    with open(source, "rb") as file, open(target + ".new", "wb") as copy:
        copy.write(file.read())
    os.replace(target + ".new", target)


def copy_checks():
    """Put the package's checks into tests/harness, all at once."""
    source, target = os.path.join(PACKAGE, "checks"), os.path.join("tests", "harness")
    for folder in (target + ".new", target + ".old"):
        remove(folder)
    os.mkdir(target + ".new")
    for name in os.listdir(source):
        if name.endswith(".py"):
            copy_file(os.path.join(source, name), os.path.join(target + ".new", name))
    if os.path.lexists(target):
        os.rename(target, target + ".old")
    os.rename(target + ".new", target)
    remove(target + ".old")
    copy_file(
        os.path.join(PACKAGE, "copied_conftest.py"),
        os.path.join("tests", "conftest.py"),
    )


def remove(folder):
    """Remove a folder, if it is there."""
    if os.path.lexists(folder):
        import shutil  # here, because it takes time

        shutil.rmtree(folder)


def make_writable():
    """Let the owner write each file; cookiecutter takes the modes of a read-only template over."""
    if os.stat(os.path.join(PACKAGE, "__init__.py")).st_mode & 0o200:
        return
    for folder, _, files in os.walk("."):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | 0o200)


def final_folder():
    """Return the folder where the layer will be, or None where nobody is to go to."""
    out = os.path.dirname(os.getcwd())
    if not os.path.basename(out).startswith(WORKING):
        return os.getcwd()
    folder = os.path.join(os.path.dirname(out), NAME)
    return None if os.path.lexists(folder) else folder


def quoted(path):
    """Return a path as bash and zsh read it; bytes that do not print become numbers."""
    if path.startswith("-"):
        path = "./" + path
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    shows = path.encode(encoding, "ignore").decode(encoding) == path
    if not (shows and path.isprintable()):
        codes = [
            chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\{byte:03o}"
            for byte in os.fsencode(path)
        ]
        return "$'" + "".join(codes) + "'"
    if path.translate(str.maketrans("/.-_", "aaaa")).isalnum():
        return path
    import shlex  # here, because it takes time

    return shlex.quote(path)


def say_what_next(folder):
    """Print the next steps; the layer is complete whether or not somebody reads them."""
    shown = os.path.relpath(folder, os.environ.get("PWD", os.path.dirname(folder)))
    if OF_CRUFT and shown.startswith(".."):
        return  # made to be compared
    shown = quoted(min(folder, shown, key=len))
    lines = [
        "",
        f"  cd {shown} && python3 -m pytest    tests the layer as it is, with or without Caffe",
        f"  Then edit {NAME}.py, {NAME}.prototxt, tests/test_{NAME}.py and the nets in example/.",
        "  . ./activate.sh puts the layer on PYTHONPATH, where Caffe finds it.",
    ]
    if not COPIED:
        lines[1:1] = [
            "  pip install git+https://github.com/org/caffe-pylayer    gives the checks"
        ]
    if KEYS:
        lines += [f"  param_str has {KEYS}."]
    try:
        sys.stdout.reconfigure(errors="backslashreplace")
        print("\n".join(lines), flush=True)
    except (AttributeError, OSError):  # no output, no reader, or a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if COPIED:
    try:
        copy_checks()
    except OSError as error:
        sys.exit(f"cannot copy the checks: {error}")
make_writable()
# A zip does not keep the x.
os.chmod("activate.sh", os.stat("activate.sh").st_mode | 0o111)
destination = final_folder()
if destination:
    say_what_next(destination)
