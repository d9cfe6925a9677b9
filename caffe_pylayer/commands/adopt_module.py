"""The module that `caffe-pylayer adopt` is given, what it imports, and the net that uses it."""

import ast
import os
import tempfile

from ..checks import prototxt
from . import CommandError, net_text
from .python_layers import Folder, Unparsable, nodes, parse, read

MOST_FILES = 100  # that a module imports from beside it
OTHERS = {"caffe", "google", "numpy"}  # packages that are never the layer's own


def module_files(path, parts=None):
    """Return the folder to import from, and {path below it: path} of the module and its own.

    `parts` are those of the name by which a net imports it; None where no net does.
    """
    path = os.path.abspath(path)
    root = os.path.dirname(path)
    levels = [
        node.level for node in imports_of(path) if isinstance(node, ast.ImportFrom)
    ]
    if parts:
        up = len(parts) - 1
    else:
        up = max([0, *levels])
        while up and os.path.exists(os.path.join(ancestor(root, up), "__init__.py")):
            up += 1
    root = ancestor(root, up)
    found, todo = {}, [path]
    for file in todo:
        inside = os.path.relpath(file, root)
        if inside in found or inside.startswith(os.pardir):
            continue
        found[inside] = file
        if len(found) > MOST_FILES:
            text = "it imports more than %d files of %s: adopt is for a layer that stands alone"
            raise CommandError(f"{path}: " + text % (MOST_FILES, root))
        todo += imported(file, root)
        folder = os.path.dirname(file)
        while folder.startswith(root + os.sep):
            init = os.path.join(folder, "__init__.py")
            todo += [init] if os.path.isfile(init) else []
            folder = os.path.dirname(folder)
    return root, found


def ancestor(folder, levels):
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder


def imports_of(path):
    try:
        return nodes(parse(read(path)), ast.Import, ast.ImportFrom)
    except Unparsable:
        return []


def imported(path, root):
    """Return the files below root that a file imports."""
    here, found = os.path.dirname(path), []
    for node in imports_of(path):
        names = [alias.name for alias in node.names]
        start = root
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{name}".strip(".") for name in names)]
            start = ancestor(here, node.level - 1) if node.level else root
        for name in filter(None, names):
            parts = name.split(".")
            if parts[0] in OTHERS and not getattr(node, "level", 0):
                continue
            for folder in dict.fromkeys([start, here]):  # the second as in Python 2
                base = os.path.join(folder, *parts)
                files = [base + ".py", os.path.join(base, "__init__.py")]
                files = [file for file in files if os.path.isfile(file)]
                if files:
                    found += files[:1]
                    break
    return found


class Module:
    """A module that is to be adopted: its files, and its layers."""

    def __init__(self, path, parts=None):
        self.path = path
        self.stem = os.path.splitext(os.path.basename(path))[0]
        if os.path.isdir(path) or not path.endswith(".py"):
            raise CommandError(
                f"{path}: expected a Python file, NAME.py, or a folder of them"
            )
        if not os.path.isfile(path):
            raise CommandError(f"{path}: there is no such file")
        if not self.stem.isidentifier():
            raise CommandError(
                f"{path}: Python imports no module of that name: rename it"
            )
        try:
            self.root, files = module_files(path, parts)
            self.files = {inside: contents(file) for inside, file in files.items()}
            inside = os.path.relpath(os.path.abspath(path), self.root)
            self.inside = inside
            self.dotted = ".".join(inside[: -len(".py")].split(os.sep))
            with tempfile.TemporaryDirectory() as folder:
                write_all(folder, self.files)
                staged = os.path.join(folder, inside)
                self.folder = Folder(folder)
            wrong = [x for x in self.folder.unparsable if x.path == staged]
            if wrong:
                raise CommandError(f"{path}:{wrong[0].line}: {wrong[0].text}")
        except Unparsable as problem:
            raise CommandError(
                f"{path}:{problem.args[0]}: {problem.args[1]}"
            ) from problem
        self.layers = [x for x in self.folder.layers if x.source.path == staged]

    def layer(self, wanted, of_net):
        """Return the layer of a class, of the one that the net uses, or the only one."""
        names = [layer.name for layer in self.layers]
        if not names:
            raise CommandError(
                f"{self.path}: there is no layer in it, that is a class of caffe.Layer"
            )
        if wanted and wanted not in names:
            raise CommandError(
                f"{self.path}: there is no layer {wanted} in it: type --class {' or '.join(names)}"
            )
        left = [wanted] if wanted else [x for x in names if x in of_net] or names
        if len(set(left)) > 1:
            raise CommandError(
                f"{self.path}: there are {len(left)} layers in it: "
                f"type --class {' or '.join(left)}"
            )
        return [layer for layer in self.layers if layer.name == left[0]][-1]


def contents(path):
    with open(path, "rb") as stream:
        return stream.read()


def write_all(folder, files):
    """Write {path below the folder: bytes}."""
    for inside, data in files.items():
        path = os.path.join(folder, inside)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)


def read_net(path):
    """Return the net_text.Net in a file."""
    if not os.path.isfile(path):
        raise CommandError(f"{path}: there is no such file")
    return net_text.Net(net_text.text_of(path), path)


def uses(net, stem):
    """Return (index, layer, module's parts, class) of the net's layers of modules of that name."""
    found = []
    for index, layer in enumerate(net.layers if net else ()):
        python = layer.message.get("python_param")
        if layer.type == "Python" and isinstance(python, prototxt.Message):
            parts = str(python.get("module", "")).split(".")
            if parts[-1] == stem and all(part.isidentifier() for part in parts):
                found.append((index, layer, parts, str(python.get("layer", ""))))
    return found
