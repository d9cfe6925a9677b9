"""What is generated reads as if its owner had written it: tidy, short lines, no trace of us."""

import ast
import re
import subprocess
import sys

import pytest

from support.project import PROJECT
from template_spec.answers import MODULE_NAMES
from template_spec.kinds import KINDS

LAYERS = {
    "my_layer": {},
    "many_to_few": {"bottoms": "5", "tops": "2"},
    "few_to_many": {"bottoms": "2", "tops": "5", "param_str_keys": "x1=1, x2=2"},
    "same": {"bottoms": "a,b,c", "tops": "x,y,z", "param_str_keys": "margin"},
    "most": {"bottoms": "64", "tops": "64"},
    "l2": {
        "layer_kind": "loss",
        "bottoms": "scores,label",
        "param_str_keys": "s='mean', l=[1]",
    },
    "length": {"layer_kind": "loss", "bottoms": "1", "tops": "loss"},
    "weighted": {
        "layer_kind": "loss",
        "bottoms": "scores,label,weight",
        "param_str_keys": "m:str",
    },
    "channels": {"layer_kind": "learnable", "bottoms": "x", "tops": "y"},
    "channels_few_to_many": {"layer_kind": "learnable", "bottoms": "2", "tops": "5"},
    "channels_many_to_few": {"layer_kind": "learnable", "bottoms": "5", "tops": "2"},
    "a" * 64: {"layer_class": "B" * 80, "bottoms": "c" * 64, "tops": "d" * 64},
    "e" * 64: {"layer_kind": "loss", "bottoms": "f" * 64 + "," + "g" * 64},
    "images": {"layer_kind": "data"},
    "images_only": {
        "layer_kind": "data",
        "tops": "1",
        "param_str_keys": "seed=7, batch_size:int",
    },
    "most_images": {"layer_kind": "data", "tops": "64"},
    "g" * 64: {
        "layer_kind": "data",
        "tops": "h" * 64 + "," + "i" * 64 + "," + "j" * 64,
    },
    "watched": {"layer_kind": "metric", "bottoms": "scores,label", "tops": "error"},
    "watched_alone": {"layer_kind": "metric", "bottoms": "1"},
    "most_losses": {"layer_kind": "loss", "bottoms": "64"},
}
FORMATTERS = [
    ["ruff", "check", "--isolated", "--no-cache"],
    ["ruff", "format", "--isolated", "--no-cache", "--check"],
    ["black", "--check", "--quiet"],
]


@pytest.fixture(scope="module")
def layers(bake, tmp_path_factory):
    """Layers of all sorts; the checks are copied into the first, they are the same in all."""
    out = tmp_path_factory.mktemp("layers")
    return {
        name: bake(
            out=out,
            layer_name=name,
            **{"checks": "installed" if i else "copied", **answers},
        )
        for i, (name, answers) in enumerate(LAYERS.items())
    }


def files(folder):
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"
    )


def own(folder):
    """The files that are the author's: all but our checks."""
    ours = [folder / "tests" / "harness", folder / "tests" / "conftest.py"]
    return [p for p in files(folder) if p.parent != ours[0] and p != ours[1]]


AUTHORS = [
    ".gitignore",
    "Dockerfile",
    "README.md",
    "activate.csh",
    "activate.fish",
    "activate.sh",
    "example/solver.prototxt",
    "example/train_val.prototxt",
    "NAME.prototxt",
    "NAME.py",
    "tests/test_NAME.py",
]


@pytest.mark.parametrize("name", LAYERS)
def test_files(layers, name):
    folder = layers[name]
    found = [str(path.relative_to(folder)) for path in own(folder)]
    assert found == sorted(file.replace("NAME", name) for file in AUTHORS)
    assert (folder / "tests" / "harness").exists() == (name == next(iter(LAYERS)))


def test_copied_checks_are_the_package_s(layers):
    folder = next(iter(layers.values()))
    copied = {
        path.name: path.read_bytes()
        for path in (folder / "tests" / "harness").iterdir()
    }
    package = PROJECT / "caffe_pylayer"
    checks = {
        path.name: path.read_bytes() for path in (package / "checks").glob("*.py")
    }
    assert copied == checks and len(checks) > 5
    conftest = folder / "tests" / "conftest.py"
    assert conftest.read_bytes() == (package / "copied_conftest.py").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", ["", "gamma=2.0, alpha=0.25"])
def test_a_layer_with_checks_installed_is_small(bake, kind, keys):
    names = {} if kind == "data" else {"bottoms": "scores,label"}
    folder = bake(
        layer_name="focal_loss",
        layer_kind=kind,
        param_str_keys=keys,
        checks="installed",
        **names,
    )
    lines = {path: len(path.read_text().splitlines()) for path in files(folder)}
    assert len(lines) <= 11
    assert sum(lines.values()) <= 400, lines
    has_keys = keys or KINDS[kind].keys
    assert lines[folder / "focal_loss.py"] <= (110 if has_keys else 70)


@pytest.mark.parametrize("name", LAYERS)
def test_text_is_tidy(layers, name):
    for path in files(layers[name]):
        text = path.read_text()
        lines = text.split("\n## Origin\n")[0].splitlines()
        assert text.endswith("\n") and not text.endswith("\n\n"), path
        assert not text.startswith("\n"), path
        assert not re.search(r"[ \t]\n|\t|\n\n\n\n", text), path
        assert path.suffix == ".py" or "\n\n\n" not in text, path
        names = max(len(word) for word in re.findall(r"[\w./-]+", text))
        for line in lines:
            short = line.replace(name, "layer")
            assert min(len(line), len(short)) <= 88 or line[:1] == "|" or names > 50, (
                path,
                line,
            )
        assert not re.search(r"cookiecutter|jinja|<<|<%|%>|<#|#>", "\n".join(lines)), (
            path
        )


@pytest.mark.slow
@pytest.mark.parametrize("command", FORMATTERS, ids=" ".join)
def test_formatters_with_their_defaults_change_and_find_nothing(layers, command):
    (some, *_) = layers.values()
    result = subprocess.run(
        [sys.executable, "-m", *command, some.parent], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_formatters_do_find_what_is_wrong(tmp_path):
    (tmp_path / "wrong.py").write_text("import os\nx = 'a'\n")
    for command in FORMATTERS:
        wrong = subprocess.run(
            [sys.executable, "-m", *command, tmp_path], capture_output=True
        )
        assert wrong.returncode == 1, command


@pytest.mark.parametrize("name", LAYERS)
def test_docstrings_stand_everywhere_public(layers, name):
    for path in files(layers[name]):
        if path.suffix == ".py":
            tree = ast.parse(path.read_text())
            assert ast.get_docstring(tree), path
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and path.name == f"{name}.py":
                    assert ast.get_docstring(node), node.name
                    methods = [
                        item for item in node.body if isinstance(item, ast.FunctionDef)
                    ]
                    assert [item.name for item in methods][:4] == [
                        "setup", "reshape", "forward", "backward",
                    ]  # fmt: skip
                    assert all(ast.get_docstring(item) for item in methods)


def test_module_imports_caffe_numpy_and_the_standard_library_only(layers):
    allowed = {"caffe", "numpy"} | set(sys.stdlib_module_names)
    for name, folder in layers.items():
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= allowed
            assert not isinstance(node, ast.ImportFrom)


def test_names_of_the_module_are_refused_as_class_names(layers):
    for name, folder in layers.items():
        for node in ast.parse((folder / f"{name}.py").read_text()).body:
            if isinstance(node, ast.Import):
                assert {
                    alias.asname or alias.name for alias in node.names
                } <= MODULE_NAMES
            if isinstance(node, ast.FunctionDef):
                assert node.name in MODULE_NAMES


def test_names_that_tools_look_for_stand_at_the_left_margin(layers):
    for name, folder in layers.items():
        test = (folder / "tests" / f"test_{name}.py").read_text()
        assert "\ndef make_bottoms(rng, batch):\n" in test
        assert "\ndef expected_tops(bottoms, params):\n" in test
        fragment = (folder / f"{name}.prototxt").read_text()
        for line in fragment.splitlines():
            assert len(re.findall(r"\b(?:bottom|top|propagate_down): ", line)) <= 1


def test_everything_compiles_on_the_pythons_of_caffe(layers, with_caffe, tmp_path):
    """Python 2.7 and 3.9, both in the Debian 11 root."""
    script = tmp_path / "compile_all.py"
    script.write_text(
        "import io, sys\n"
        "for path in sys.argv[1:]:\n"
        "    compile(io.open(path, 'rb').read(), path, 'exec')\n"
        "print(sys.version_info[:2], len(sys.argv) - 1)\n"
    )
    sources = []
    for name, folder in layers.items():
        for path in files(folder):
            if path.suffix == ".py":
                copy = tmp_path / f"{name}_{path.name}"
                copy.write_bytes(path.read_bytes())
                sources.append(copy.name)
    for python, version in (("python2.7", "(2, 7)"), ("python3", "(3, ")):
        result = with_caffe(tmp_path, python, script.name, *sources)
        assert result.returncode == 0, result.stderr
        assert version in result.stdout and len(sources) > 15 + 2 * len(LAYERS)
