"""caffe-pylayer adopt: old layers become folders whose tests run on both engines."""

import argparse
import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_pylayer.checks import prototxt
from caffe_pylayer.commands import CommandError, adopt, adopt_source, net_text, shapes
from caffe_pylayer.commands.audit import Audit
from caffe_pylayer.commands.python_layers import Folder
from support.commands import caffe_pylayer
from support.project import PROJECT, WHOLE
from template_spec import keys

LAYERS = Path(__file__).with_name("adopt") / "layers"
# Each layer: its file and options, the name of its folder, and its tests that are to be red.
IGNORES_FLAG = {
    "propagate_down"
}  # writes a bottom's diff though propagate_down says no
OLD = [
    ("dice_loss.py --net train_val.prototxt", "dice_loss", set()),
    ("stale_loss.py", "stale_loss", {"batch"}),
    ("unweighted_loss.py", "unweighted_loss", {"batch_of_one", "gradient"}),
    ("python_two.py", "python_two", {"load"}),
    ("tabs.py", "tabs", set()),
    ("FromImport.py", "from_import", IGNORES_FLAG),
    ("nets/layers/halve.py", "halve", set()),
    ("pyloss.py --class AbsoluteLossLayer", "absolute_loss", set()),
    ("pyloss.py --class ErrorLayer", "error", set()),
    ("worker_data.py --net worker.prototxt", "worker_data", set()),
    ("helpers_loss.py", "helpers_loss", IGNORES_FLAG),
    ("yaml_scale.py --net yaml.prototxt", "yaml_scale", IGNORES_FLAG),
    ("literal_clip.py", "literal_clip", IGNORES_FLAG),
    ("odd_import.py", "odd_import", set()),
    ("bias.py", "bias", set()),
    ("overwritten_bias.py", "overwritten_bias", {"batch_of_one", "gradient"}),
    ("no_backward.py", "no_backward", set()),
    ("several_tops.py", "several_tops", IGNORES_FLAG),
    ("in_place.py --net in_place.prototxt", "in_place", set()),
    ("split_params.py --net split.prototxt", "split_params", IGNORES_FLAG),
    (
        "writes_bottom.py",
        "writes_bottom",
        {"forward", "batch_of_one", "gradient", "propagate_down"},
    ),
    ("derived/hinge_loss.py", "hinge_loss", set()),
]
GIVEN = {name: given for given, name, _ in OLD}


@pytest.fixture(scope="module", autouse=True)
def settings(tmp_path_factory):
    """The checks are installed, and no setting of the user counts."""
    folder = tmp_path_factory.mktemp("settings")
    (folder / "config.yaml").write_text(
        f"default_context: {{checks: installed}}\nreplay_dir: {folder}/replay\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIECUTTER_CONFIG", str(folder / "config.yaml"))
        yield


def words(given):
    """Return the arguments of the command, with the files where they are."""
    files = (".py", ".prototxt")
    return [str(LAYERS / x) if x.endswith(files) else x for x in given.split()]


def run(*given):
    """Run the command in this process, without the layer's tests: (exit code, its plan)."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adopt, "judge", lambda folder: made.append(Path(folder)) or True)
        patch.setattr(sys, "stdin", open(os.devnull))
        return adopt.main(argparse.ArgumentParser(), [*map(str, given)]), made


def refused(*given):
    """Return the one line that the command ends with."""
    with pytest.raises(CommandError) as error:
        run(*given)
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.fixture(scope="module")
def adopted(tmp_path_factory):
    """A folder with a folder for each of the old layers."""
    out = tmp_path_factory.mktemp("adopted")
    before = {x: x.read_bytes() for x in LAYERS.rglob("*") if x.is_file()}
    for given, name, _ in OLD:
        assert run(*words(given), "--out", out) == (0, [out / name])
    assert {x: x.read_bytes() for x in LAYERS.rglob("*") if x.is_file()} == before
    assert sorted(x.name for x in out.iterdir()) == sorted(GIVEN)
    return out


@pytest.mark.parametrize("engine", ["real", "standin"])
def test_old_layers_are_green_or_red_for_the_right_reason(adopted, own_tests, engine):
    """Each layer on one of the engines, on both in `make proof` (WHOLE=yes)."""
    names = [name for _, name, _ in OLD]
    if not WHOLE:
        names = names[engine == "real" :: 2]
    done = own_tests(engine, adopted, *names, "-q", "--tb=line", installed=True)
    red = {name: set() for name in names}
    seen = set()
    for test, outcome in done.items():
        name, check = re.fullmatch(r"test_(\w+)\[(\w+)\]", test).groups()
        seen.add(name)
        if outcome in ("failure", "error"):
            red[name].add(check)
    assert seen == set(names)
    wanted = {name: wrong for _, name, wrong in OLD}
    other = {
        name: (red[name], wanted[name]) for name in names if red[name] != wanted[name]
    }
    assert other == {}, done.output


def test_module_and_what_it_imports_are_the_same_bytes(adopted):
    assert (adopted / "tabs" / "tabs.py").read_bytes() == (
        LAYERS / "tabs.py"
    ).read_bytes()
    for file in ("halve.py", "names.py", "__init__.py"):
        source = LAYERS / "nets" / "layers" / file
        assert (
            adopted / "halve" / "nets" / "layers" / file
        ).read_bytes() == source.read_bytes()
    assert (adopted / "helpers_loss" / "loss_tools.py").exists()
    assert (adopted / "hinge_loss" / "base_loss.py").exists()
    assert not list(adopted.glob("*/example"))
    assert not (adopted / "from_import" / "from_import.py").exists()


def test_fragment_is_the_net_s_own(adopted):
    fragment = (adopted / "dice_loss" / "dice_loss.prototxt").read_text()
    net = (LAYERS / "train_val.prototxt").read_text()
    assert fragment.splitlines()[5:8] != [] and "# smooth" in fragment
    own = [x for x in fragment.splitlines(True) if "propagate_down" not in x]
    assert net.endswith("".join(own))
    assert "  propagate_down: true\n  propagate_down: false\n" in fragment  # the mask
    one_line = (adopted / "worker_data" / "worker_data.prototxt").read_text()
    assert "\n  top: 'data'\n  top: 'label'\n" in one_line
    message = prototxt.parse(one_line.encode()).get("layer")
    assert message.get("python_param").get("param_str") == "{'batch': 4}"


def test_shapes_of_the_net(adopted):
    made = (adopted / "dice_loss" / "tests" / "test_dice_loss.py").read_text()
    assert made.count("(batch, 3, 5, 5)") == 2 and "rng.uniform(0.1, 0.9" in made
    made = (adopted / "hinge_loss" / "tests" / "test_hinge_loss.py").read_text()
    assert "rng.randint(0, 3, (batch,))" in made


def test_readme_names_what_is_there(adopted):
    text = (adopted / "halve" / "README.md").read_text()
    assert "[nets/layers/halve.py](nets/layers/halve.py)" in text
    for folder in adopted.iterdir():
        text = (folder / "README.md").read_text()
        assert "example/" not in text and "## Test" in text and "## Use" in text
        for target in re.findall(r"\]\((?!http)(.*?)\)", text):
            assert (folder / target).exists(), target


def test_it_says_what_it_understood_and_guessed(capsys, tmp_path):
    run(*words("dice_loss.py --net train_val.prototxt"), "--out", tmp_path)
    rows = capsys.readouterr().out.splitlines()
    assert "  kind       loss: it has a loss_weight" in rows
    assert "  param_str  eps=1.0" in rows
    assert "? shape      mask 6x3x5x5: the net, partly a guess" in rows
    run(*words("literal_clip.py"), "--out", tmp_path)
    rows = capsys.readouterr().out.splitlines()
    assert "? param_str  values to replace in the fragment: low" in rows
    fragment = (tmp_path / "literal_clip" / "literal_clip.prototxt").read_text()
    assert "True" in fragment and "true" not in fragment  # as ast.literal_eval reads it


def test_audit_knows_the_test_of_a_module_of_another_name(adopted):
    audit = Audit(Folder(str(adopted / "from_import")))
    assert [x.code for x in audit.findings] == []
    audit = Audit(
        Folder(str(adopted / "error"))
    )  # the other class of the file has none
    untested = [(x.code, x.who) for x in audit.findings if x.code == "CPL201"]
    assert untested == [("CPL201", "AbsoluteLossLayer")]


def test_it_ends_with_the_summaries_of_audit_and_the_tests(tmp_path):
    environment = {**os.environ, "CAFFE_ENGINE": "standin", "PYTHONPATH": str(PROJECT)}
    done = caffe_pylayer(
        "adopt", *words("unweighted_loss.py"), cwd=tmp_path, stdin=subprocess.DEVNULL,
        env={**environment, "COOKIECUTTER_CONFIG": str(settings_of(tmp_path))},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert (
        "CPL105" in done.stdout and "audit: 1 findings, 1 of them wrong" in done.stdout
    )
    assert re.search(r"^tests: 2 failed, \d+ passed", done.stdout, re.M)
    assert done.stdout.endswith("next: cd unweighted_loss && python3 -m pytest\n")


def test_guide_shows_what_it_prints(tmp_path):
    page = (PROJECT / "docs" / "adopt.md").read_text()
    for file in ("dice_loss.py", "train_val.prototxt"):
        (tmp_path / file).write_bytes((LAYERS / file).read_bytes())
        assert (tmp_path / file).read_text() in page
    command, shown = re.search(
        r"^\$ caffe-pylayer (.*)\n((?:.*\n)*?)```$", page, re.M
    ).groups()
    settings = str(settings_of(tmp_path))
    environment = {
        **os.environ,
        "CAFFE_ENGINE": "standin",
        "COOKIECUTTER_CONFIG": settings,
    }
    done = caffe_pylayer(
        *shlex.split(command), cwd=tmp_path, stdin=subprocess.DEVNULL, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    printed = re.sub(r"in \d+\.\d+s", "in 1.00s", done.stdout)
    assert printed == shown


def settings_of(folder):
    (folder / "settings.yaml").write_text(f"replay_dir: {folder}/replay\n")
    return folder / "settings.yaml"


def test_print_gives_only_a_command_that_a_shell_reads(
    capsys, tmp_path, monkeypatch, bake
):
    monkeypatch.chdir(tmp_path)
    run(*words("literal_clip.py"), "--print")
    given = shlex.split(capsys.readouterr().out)
    assert given[:3] == ["cookiecutter", "--no-input", "gh:org/caffe-pylayer"]
    answers = dict(x.split("=", 1) for x in given[3:])
    assert answers["param_str_keys"] == "low:float, high=1.0, inside=true"
    assert list(tmp_path.iterdir()) == []
    assert (bake(**answers) / "literal_clip.py").exists()


# Refusals


def test_two_classes_ask_for_one_and_a_net_tells(tmp_path):
    text = refused(*words("pyloss.py"), "--out", tmp_path)
    assert text.endswith("2 layers in it: type --class AbsoluteLossLayer or ErrorLayer")
    net = tmp_path / "net.prototxt"
    net.write_text(
        "layer { type: 'Python' bottom: 'a' bottom: 'b' top: 'e' "
        "python_param { module: 'pyloss' layer: 'ErrorLayer' } }"
    )
    assert run(*words("pyloss.py"), "--net", net, "--out", tmp_path)[1] == [
        tmp_path / "error"
    ]


def test_nothing_is_overwritten_and_nothing_left(tmp_path, monkeypatch):
    (tmp_path / "tabs").mkdir()
    text = refused(*words("tabs.py"), "--out", tmp_path)
    assert "exists already and is left as it is: type --name NAME or --out DIR" in text
    assert list((tmp_path / "tabs").iterdir()) == []
    monkeypatch.setattr(adopt.Plan, "fragment", lambda plan: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(*words("bias.py"), "--out", tmp_path)
    assert [x.name for x in tmp_path.iterdir()] == ["tabs"]
    text = refused(*words("bias.py"), "--out", tmp_path, "--name", "numpy")
    assert "would shadow the Python module numpy" in text
    assert [x.name for x in tmp_path.iterdir()] == ["tabs"]


BAD = {
    "none.py": (None, "there is no such file"),
    "a.txt": (b"", "expected a Python file"),
    "empty.py": (b"", "there is no layer in it"),
    "nul.py": (b"import caffe\0 caffe.Layer", "NUL"),
    "latin.py": (b"caffe.Layer \xff", "is in no encoding"),
    "nonsense.py": (b"class caffe.Layer: ((", "cannot be parsed"),
    "a-b.py": (b"", "rename it"),
    "notop.py": (
        b"import caffe\nclass A(caffe.Layer):\n def setup(self, bottom, top):\n"
        b"  assert len(top) == 0\n",
        "has no top",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_layer_is_one_line(tmp_path, name):
    data, problem = BAD[name]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert problem in refused(tmp_path / name, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "data, problem",
    [
        (b"", "expected a net"),
        (b"layer { name: 'x' }", "no layer { } of it has module"),
        (b"\x08\x01\xff", "got binary, as a caffemodel"),
        (b"layer {", "expected"),
    ],
)
def test_a_net_that_does_not_use_it_is_one_line(tmp_path, data, problem):
    (tmp_path / "net.prototxt").write_bytes(data)
    given = [*words("tabs.py"), "--net", tmp_path / "net.prototxt", "--out", tmp_path]
    assert problem in refused(*given)
    assert len(list(tmp_path.iterdir())) == 1


def test_no_shape_of_a_blob_that_is_none(tmp_path):
    text = refused(*words("tabs.py"), "--shape", "x=3,4", "--out", tmp_path)
    assert text == "--shape x: there is no such bottom: bottom_0"
    run(*words("tabs.py"), "--shape", "bottom_0=7,2,9", "--out", tmp_path)
    assert (
        "rng.randn(batch, 2, 9)" in (tmp_path / "tabs/tests/test_tabs.py").read_text()
    )


def test_damaged_modules_and_nets_are_one_line_each(tmp_path, capsys):
    """Lines deleted, doubled and swapped, bytes changed: a command, or a refusal."""
    rng, seen = random.Random(1), set()
    for _ in range(int(os.environ.get("FUZZ", 100))):
        given = words(rng.choice(OLD)[0])
        files = [x for x in given if x.endswith((".py", ".prototxt"))]
        damaged = rng.choice(files)
        lines = Path(damaged).read_bytes().splitlines(True)
        for _ in range(rng.randint(1, 3)):
            at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
            change = rng.randrange(4)
            if change == 0:
                lines[at] = lines[other]
            elif change == 1:
                lines[at] = b""
            elif change == 2:
                lines[at : at + 1] = [lines[at], lines[other]]
            elif lines[at]:
                i = rng.randrange(len(lines[at]))
                lines[at] = (
                    lines[at][:i] + bytes([rng.randrange(256)]) + lines[at][i + 1 :]
                )
        copy = tmp_path / Path(damaged).name
        copy.write_bytes(b"".join(lines))
        try:
            run(*[str(copy) if x == damaged else x for x in given], "--print")
            seen.add("command")
        except CommandError as error:
            assert "\n" not in str(error), str(error)
            seen.add("refused")
        copy.unlink()
    assert seen == {"command", "refused"}
    assert "Traceback" not in capsys.readouterr().out


# A folder


def test_all_of_a_folder(tmp_path, capsys):
    source = tmp_path / "old"
    source.mkdir()
    for file in ("tabs.py", "pyloss.py", "in_place.py", "in_place.prototxt"):
        (source / file).write_bytes((LAYERS / file).read_bytes())
    out = tmp_path / "out"
    code, made = run(source, "--yes", "--out", out)
    assert code == 0 and len(made) == 4
    assert "bottom: 'fc'" in (out / "in_place" / "in_place.prototxt").read_text() or (
        'bottom: "fc"' in (out / "in_place" / "in_place.prototxt").read_text()
    )
    code, made = run(source, "--yes", "--out", out)
    assert (code, made) == (1, [])
    assert capsys.readouterr().err.count("exists already") == 4
    code, made = run(
        out, "--yes", "--out", tmp_path / "again"
    )  # they are folders already
    assert made == [] or {x.name for x in made} <= {"absolute_loss", "error"}


def test_a_folder_asks_for_each(tmp_path, monkeypatch):
    source = tmp_path / "old"
    source.mkdir()
    for file in ("bias.py", "tabs.py"):
        (source / file).write_bytes((LAYERS / file).read_bytes())
    assert "type --yes" in refused(source, "--out", tmp_path)
    answers = iter(["n", "y"])
    monkeypatch.setattr("builtins.input", lambda question: next(answers))
    assert run(source, "--out", tmp_path)[1] == [tmp_path / "tabs"]


def test_a_shape_that_nobody_knows_is_asked(monkeypatch):
    answers = iter(["3,x", "0", "8,2", ""])
    monkeypatch.setattr("builtins.input", lambda question: next(answers))
    assert adopt.ask_shape("a", (4, 3)) == (8, 2)
    assert adopt.ask_shape("a", (4, 3)) == (4, 3)
    options = argparse.Namespace(layer_class=None, name=None, shape={})
    plan = adopt.Plan(*words("tabs.py"), options, ask=lambda name, guess: (9, *guess))
    assert plan.shapes == [(9, 4, 3)]


def test_keys_are_those_of_the_template():
    """The package has its own copy of what it must know of them."""
    assert adopt_source.PLACEHOLDERS == keys.TYPES
    taken = keys.KEYWORDS | keys.LAYER_ATTRIBUTES
    assert taken and not any(map(adopt_source.is_key, taken))


# What a net says without Caffe


@pytest.mark.caffe
def test_shapes_that_the_net_says_are_those_of_caffe(warm_python, tmp_path):
    """On each kind of layer in the table, against real Caffe."""
    net = """
input: "old" input_dim: 2 input_dim: 3 input_dim: 11 input_dim: 9
layer { name: "d" type: "DummyData" top: "d" top: "e" dummy_data_param { shape { dim: 2 dim: 4 } } }
layer { name: "c" type: "Convolution" bottom: "old" top: "c"
  convolution_param { num_output: 5 kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 } }
layer { name: "cd" type: "Convolution" bottom: "old" top: "cd"
  convolution_param { num_output: 2 kernel_size: 3 dilation: 2 } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "pp" type: "Pooling" bottom: "c" top: "pp"
  pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "g" type: "Pooling" bottom: "c" top: "g" pooling_param { global_pooling: true } }
layer { name: "u" type: "Deconvolution" bottom: "p" top: "u"
  convolution_param { num_output: 3 kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "f" type: "Flatten" bottom: "u" top: "f" }
layer { name: "i" type: "InnerProduct" bottom: "u" top: "i" inner_product_param { num_output: 6 } }
layer { name: "k" type: "Concat" bottom: "i" bottom: "d" top: "k" }
"""
    path = tmp_path / "net.prototxt"
    path.write_text(net)
    code = "import caffe; n = caffe.Net('net.prototxt', caffe.TRAIN)\n"
    code += "print({k: tuple(b.data.shape) for k, b in n.blobs.items() if '_split_' not in k})"
    (tmp_path / "shapes.py").write_text(code)
    code, out, err = warm_python("real", tmp_path, "shapes.py")
    assert code == 0, err
    parsed = net_text.Net(net, str(path))
    found = shapes.with_guesses(parsed, len(parsed.layers))
    assert {name: blob.shape for name, blob in found.items()} == eval(out)
    assert not any(blob.guessed for blob in found.values())


@pytest.mark.parametrize("kind, label", [("Data", (9,)), ("HDF5Data", None)])
def test_a_file_s_shapes_are_no_more_than_guesses(kind, label):
    """Labels of images are one number each; in HDF5 they may have any shape."""
    field = shapes.FILES[kind]
    text = f'layer {{ name: "d" type: "{kind}" top: "x" top: "y" {field} {{ batch_size: 9 }} }}'
    net = net_text.Net(text, "net.prototxt")
    said = shapes.of_blobs(net, net.states[0])
    assert (said["x"], said["y"] and tuple(said["y"])) == (None, label)
    found = shapes.with_guesses(net, 1)
    assert found == {"x": ((9, 3, 32, 32), True), "y": ((9,), label is None)}


@pytest.mark.caffe
def test_shapes_of_real_caffe_are_taken(warm_python, tmp_path):
    """Where the table does not know a layer, such as Slice."""
    (tmp_path / "net.prototxt").write_text(
        "layer { name: 'in' type: 'Input' top: 'in' input_param { shape { dim: 4 dim: 6 } } }\n"
        "layer { name: 's' type: 'Slice' bottom: 'in' top: 'a' top: 'b' }\n"
        "layer { name: 't' type: 'Python' bottom: 'b' top: 't'\n"
        "  python_param { module: 'tabs' layer: 'TabsLayer' } }\n"
    )
    code = """
import argparse
from caffe_pylayer.commands import adopt
options = argparse.Namespace(layer_class=None, name=None, shape={})
plan = adopt.Plan("tabs.py", options, adopt.read_net("net.prototxt"))
print(plan.rows[-1])
"""
    (tmp_path / "tabs.py").write_bytes((LAYERS / "tabs.py").read_bytes())
    (tmp_path / "plan.py").write_text(code)
    paths = {"PYTHONPATH": str(PROJECT)}
    _, out, err = warm_python("real", tmp_path, "plan.py", **paths)
    assert out == "(' ', 'shape', 'b 4x3: Caffe')\n", err


# Installed by pip, which leaves the template out


@pytest.fixture
def installed(tmp_path, monkeypatch):
    monkeypatch.setattr(adopt, "PROJECT", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return monkeypatch


@pytest.mark.parametrize(
    "address", ["file:///no/such.git", "/no/such", "http://[/x.zip"]
)
def test_a_template_that_cannot_be_had_is_one_line(installed, address, capfd):
    installed.setattr(adopt, "PUBLISHED", address)
    assert refused(LAYERS / "tabs.py") == (
        f"{address}: no template can be had there: type --template DIR, a clone of caffe-pylayer"
    )
    assert (os.listdir(), capfd.readouterr().err) == ([], "")


def test_the_command_that_is_printed_makes_a_folder(installed, capsys):
    run(str(LAYERS / "tabs.py"), "--print")
    given = capsys.readouterr().out.split("\n")[0]
    assert given.startswith(
        f"cookiecutter --no-input {adopt.PUBLISHED} layer_name=tabs "
    )
    command = given.replace(adopt.PUBLISHED, shlex.quote(str(PROJECT)))
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr, os.listdir()) == (0, "", ["tabs"])
