"""Generating where it is not easy: read-only, beside another run, in names of any bytes."""

import os
import shutil
import subprocess
import sys

import pytest

from support.project import PROJECT
from support.tools import need

TEMPLATE = (
    "caffe_pylayer hooks template_spec templates cookiecutter.json scripts".split()
)
TEMPLATE += [
    "local_extensions.py",
    "needs_cookiecutter_2_6.py",
    "<<cookiecutter.layer_name>>",
]
RIGHTS = "-dac_override,-dac_read_search"


def ordinary():
    """What takes from root the right to write where the modes do not allow it."""
    if os.geteuid():
        return []
    return [need("setpriv"), f"--bounding-set={RIGHTS}", f"--inh-caps={RIGHTS}"]


@pytest.fixture
def run(tmp_path, config_file):
    """A function that runs scripts/new of a template, as an ordinary user."""

    def start(out, *answers, template=PROJECT, wait=True, **environment):
        script = os.path.join(template, *(["scripts", "new"]))
        process = subprocess.Popen(
            [*ordinary(), sys.executable, script, out, "--no-input", *answers],
            cwd=tmp_path,
            env={**os.environ, "COOKIECUTTER_CONFIG": str(config_file), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return (process, *process.communicate()) if wait else process

    return start


def test_a_read_only_template_gives_a_layer_that_can_be_edited(run, tmp_path):
    template = tmp_path / "template"
    for name in TEMPLATE:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        template.mkdir(exist_ok=True)
        copy(PROJECT / name, template / name)
    subprocess.run(["chmod", "-R", "a-w", template], check=True)
    config = tmp_path / "config.yaml"
    config.write_text("default_context: {_header: Copyright us}\n")
    process, _, err = run("out", template=template, COOKIECUTTER_CONFIG=str(config))
    subprocess.run(["chmod", "-R", "u+w", template], check=True)
    assert (process.returncode, err) == (0, b"")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if not path.stat().st_mode & 0o200] == []
    text = (tmp_path / "out/my_layer/my_layer.py").read_text()
    assert text.startswith("# Copyright us\n")


def test_a_folder_that_cannot_be_written_is_one_line(run, tmp_path):
    (tmp_path / "out").mkdir(mode=0o555)
    process, _, err = run("out")
    assert process.returncode == 1
    assert err.startswith(b"make new: ") and err.count(b"\n") == 1
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_names_that_are_not_utf_8(run, tmp_path, locale):
    out = os.fsencode(tmp_path) + b"/caf\xe9"
    process, _, err = run(out, LC_ALL=locale)
    assert (process.returncode, err) == (0, b"")
    assert os.path.exists(out + b"/my_layer/tests/harness/checks.py")


ODD = b"-caf\xe9\nit's-\\e\t\x1b[31m\xe2\x80\xae\xe2\x80\xa8 $(x)"
CHINESE = "张三 x".encode()


def test_the_printed_cd_goes_there(run, tmp_path):
    """Whatever bytes the folder's name has, and the line shows none that do not print."""
    cases = [
        (ODD, "utf-8"),
        (CHINESE, "utf-8"),
        (CHINESE, "ascii"),
        (b"-dash", "ascii"),
    ]
    for name, encoding in cases:
        out = os.path.join(encoding.encode(), name)
        process, said, err = run(
            b"./" + out, PYTHONIOENCODING=encoding, PWD=str(tmp_path / encoding)
        )
        assert (process.returncode, err) == (0, b""), name
        (line,) = [line for line in said.splitlines() if b" && " in line]
        line = line.split(b" && ")[0]
        assert line.decode(encoding).isprintable(), line
        went = subprocess.run(
            ["bash", "-c", line + b" && pwd"],
            cwd=tmp_path / encoding,
            capture_output=True,
        )
        folder = os.path.join(os.fsencode(tmp_path), out, b"my_layer\n")
        assert went.stdout == folder, (line, went.stderr)


def test_gb18030(run, tmp_path):
    """A locale of China: what is written is UTF-8 all the same."""
    need("localedef")
    # Only the name counts: the C library converts, and all characters take localedef 7 s.
    head = "<code_set_name> GB18030\n<comment_char> %\n<escape_char> /\n"
    head += "<mb_cur_min> 1\n<mb_cur_max> 4\nCHARMAP\n"
    characters = "".join(f"<U{i:04X}> /x{i:02x} X\n" for i in range(128))
    (tmp_path / "charmap").write_text(f"{head}{characters}END CHARMAP\n")
    made = ["localedef", "-c", "-i", "POSIX", "-f", tmp_path / "charmap"]
    subprocess.run([*made, tmp_path / "zh_CN.gb18030"], capture_output=True)
    if not (tmp_path / "zh_CN.gb18030").exists():
        pytest.skip("this machine has no sources of locales")
    config = tmp_path / "config.yaml"
    config.write_text("default_context: {_author: 张三}\n", encoding="utf-8")
    given = {"LOCPATH": str(tmp_path), "LC_ALL": "zh_CN.gb18030"}
    encoding = [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"]
    asked = subprocess.run(encoding, env={**os.environ, **given}, capture_output=True)
    assert asked.stdout == b"gb18030\n"
    out = os.fsencode(tmp_path) + "/层".encode("gb18030")
    process, said, err = run(out, COOKIECUTTER_CONFIG=str(config), **given)
    assert (process.returncode, err) == (0, b"")
    with open(out + b"/my_layer/README.md", encoding="utf-8") as readme:
        assert "张三" in readme.read()
    assert b"Traceback" not in said


def test_of_two_at_once_one_is_told_or_both_are_whole(run, tmp_path):
    same = [run("out", wait=False) for _ in range(2)]
    other = run("out", "layer_name=other", wait=False)
    ended = [
        (process.communicate()[1], process.returncode) for process in (*same, other)
    ]
    assert ended[2] == (b"", 0)
    told = [err for err, code in ended[:2] if code]
    assert len(told) == 1 and told[0].startswith(b"make new: "), ended
    assert told[0].count(b"\n") == 1
    assert sorted(os.listdir(tmp_path / "out")) == ["my_layer", "other"]
