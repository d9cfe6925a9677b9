"""What is generated reads as if its owner had written it: tidy, short lines, no trace of us."""

import ast
import re
import subprocess
import sys

import pytest

from local_extensions import MODULE_NAMES

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
RUFF = [sys.executable, "-m", "ruff"]


@pytest.fixture(scope="module")
def layers(bake, tmp_path_factory):
    out = tmp_path_factory.mktemp("layers")
    return {
        name: bake(out=out, layer_name=name, **answers)
        for name, answers in LAYERS.items()
    }


def files(folder):
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"
    )


@pytest.mark.parametrize("name", LAYERS)
def test_files(layers, name):
    found = [str(path.relative_to(layers[name])) for path in files(layers[name])]
    assert found == sorted(
        [
            ".dockerignore",
            "Dockerfile",
            "README.md",
            "activate.csh",
            "activate.fish",
            "activate.sh",
            "example/solver.prototxt",
            "example/train_val.prototxt",
            f"{name}.prototxt",
            f"{name}.py",
            "tests/conftest.py",
            "tests/harness/checks.py",
            "tests/harness/diagnosis.py",
            "tests/harness/engine.py",
            "tests/harness/gradient.py",
            "tests/harness/net.py",
            "tests/harness/plot.py",
            "tests/harness/prototxt.py",
            "tests/harness/sources.py",
            "tests/harness/standin.py",
            "tests/harness/subject.py",
            "tests/harness/weights.py",
            f"tests/test_{name}.py",
            "tools/doctor.py",
            "tools/net_text.py",
            "tools/splice.py",
            "tools/take_out.py",
            "tools/trace_blobs.py",
        ]
    )


@pytest.mark.parametrize("name", LAYERS)
def test_text_is_tidy(layers, name):
    for path in files(layers[name]):
        text = path.read_text()
        lines = text.split("\n## Where it comes from\n")[0].splitlines()
        assert text.endswith("\n") and not text.endswith("\n\n"), path
        assert not text.startswith("\n"), path
        assert not re.search(r"[ \t]\n|\t|\n\n\n\n", text), path
        assert path.suffix == ".py" or "\n\n\n" not in text, path
        assert max(len(line) for line in lines if line[:1] != "|") <= 100, path
        assert not re.search(r"cookiecutter|jinja|<<|<%|%>|<#|#>", "\n".join(lines)), (
            path
        )


@pytest.mark.parametrize("name", LAYERS)
def test_ruff_finds_nothing(layers, name):
    folder = layers[name]
    for command in (
        [
            "check",
            "--isolated",
            "--line-length=100",
            "--no-cache",
            "--select=B,E,F,I,W",
            "--ignore=B904,B905",
        ],
        ["format", "--isolated", "--line-length=100", "--check", "--no-cache"],
    ):
        result = subprocess.run(
            [*RUFF, *command, folder], capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", LAYERS)
def test_docstrings_stand_everywhere_public(layers, name):
    for path in (layers[name] / f"{name}.py", *files(layers[name] / "tests")):
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


def test_harness_is_the_same_in_every_layer(layers):
    first, *others = (folder / "tests" for folder in layers.values())
    shared = [
        "conftest.py",
        *(f"harness/{path.name}" for path in (first / "harness").glob("*.py")),
    ]
    assert len(shared) == 12
    for other in others:
        for path in shared:
            assert (other / path).read_bytes() == (first / path).read_bytes()


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
        assert version in result.stdout and len(sources) == 19 * len(LAYERS)
