"""The same layer comes from a folder, a git URL and a zip of the template."""

import shutil
import subprocess
import zipfile

import pytest
import yaml
from click.testing import CliRunner
from cookiecutter.cli import main

from support.project import PROJECT
from support.tools import need

ANSWERS = ["layer_name=focal_loss", "layer_kind=loss", "param_str_keys=gamma=2.0"]


def git(*arguments, cwd):
    """Run git in a folder, without the user's settings."""
    who = ["-c", "user.name=You", "-c", "user.email=you@example.org"]
    subprocess.run(
        [need("git"), *who, *arguments], cwd=cwd, check=True, capture_output=True
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A copy of the files of the project, as they are now."""
    copy = tmp_path_factory.mktemp("source") / "caffe-pylayer"
    unwanted = shutil.ignore_patterns(
        ".git", ".venv", ".*_cache", "__pycache__", "site"
    )
    shutil.copytree(PROJECT, copy, symlinks=True, ignore=unwanted)
    return copy


def git_url(template, folder):
    git("init", "-q", cwd=template)
    git("add", ".", cwd=template)
    git("commit", "-qm", "as it is", cwd=template)
    return f"git+file://{template}"


def zip_file(template, folder):
    path = folder / "caffe-pylayer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(template, template.name)
        for file in sorted(template.rglob("*")):
            name = file.relative_to(template.parent)
            if file.is_symlink():  # as in a zip of GitHub
                archive.writestr(str(name), str(file.readlink()))
            elif ".git" not in name.parts:
                archive.write(file, name)
    return str(path)


def generate(source, folder, *options):
    """Return the files of the layer, by their paths, with their contents."""
    config = {"cookiecutters_dir": f"{folder}/c", "replay_dir": f"{folder}/r"}
    (folder / "config.yaml").write_text(yaml.dump(config))
    command = [source, "--no-input", "-o", f"{folder}/out"]
    command += ["--config-file", f"{folder}/config.yaml", *ANSWERS, *options]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    layer = folder / "out" / "focal_loss"
    return {
        str(path.relative_to(layer)): path.read_bytes()
        for path in layer.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("checks", ["copied", "installed"])
@pytest.mark.parametrize("source_of", [git_url, zip_file])
def test_a_layer_is_the_same_from_everywhere(template, tmp_path, source_of, checks):
    if source_of is git_url and (template / ".git").exists():
        shutil.rmtree(template / ".git")
    folders = [tmp_path / "from folder", tmp_path / "from source"]
    for folder in folders:
        folder.mkdir()
    expected = generate(str(PROJECT), folders[0], f"checks={checks}")
    source = source_of(template, tmp_path)
    assert generate(source, folders[1], f"checks={checks}") == expected
    assert ("tests/harness/checks.py" in expected) == (checks == "copied")
