"""A clone under core.autocrlf=true, as on Windows: shells cannot read scripts with CR."""

import subprocess

from support.project import PROJECT


def git(*arguments, folder):
    return subprocess.run(
        ["git", "-c", "core.autocrlf=true", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    ).stdout


def test_a_clone_has_no_cr(tmp_path):
    names = git("ls-files", "-z", folder=PROJECT).decode().split("\0")[:-1]
    names = [name for name in names if not (PROJECT / name).is_symlink()]
    for name in names:
        copy = tmp_path / "project" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((PROJECT / name).read_bytes())
    project = tmp_path / "project"
    git("init", "-q", folder=project)
    git("add", "--all", "--force", folder=project)
    me = ["-c", "user.name=me", "-c", "user.email=me@x.invalid"]
    git(*me, "commit", "-qm", "all", folder=project)
    git("clone", "-q", project, "clone", folder=tmp_path)
    for name in names:
        copied = (tmp_path / "clone" / name).read_bytes()
        assert copied == (PROJECT / name).read_bytes(), name
    assert (tmp_path / "clone/<<cookiecutter.layer_name>>/activate.sh").exists()
