"""What the project's own tests and tools install has upper bounds, and a lock with hashes."""

import re
import subprocess

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.project import PROJECT


@pytest.mark.parametrize("folder", [".", "tests", "docs"])
def test_each_has_an_upper_bound(folder):
    lines = (PROJECT / folder / "requirements.txt").read_text().splitlines()
    free = [line for line in lines if "<" not in line and not line.startswith("-r ")]
    assert lines and free == []


LOCK = (PROJECT / "tests" / "requirements.lock").read_text()


def locked():
    """Return for each name in the lock its versions."""
    versions = {}
    for line in re.findall(r"(?m)^[^ #].*", LOCK):
        requirement = Requirement(line.removesuffix("\\").strip())
        (version,) = requirement.specifier
        assert version.operator == "=="
        versions.setdefault(canonicalize_name(requirement.name), []).append(
            version.version
        )
    return versions


@pytest.mark.parametrize("folder", [".", "tests", "docs"])
def test_the_lock_has_each_within_its_bounds(folder):
    lines = (PROJECT / folder / "requirements.txt").read_text().splitlines()
    for wanted in [Requirement(line) for line in lines if not line.startswith("-r ")]:
        versions = locked().get(canonicalize_name(wanted.name))
        assert versions, f"{wanted.name} is not in the lock: make lock"
        assert all(map(wanted.specifier.contains, versions)), (str(wanted), versions)


def test_the_lock_has_versions_and_hashes_and_no_addresses():
    for entry in LOCK.replace("\\\n", " ").splitlines():
        assert re.fullmatch(
            r"[a-z0-9-]+==[\w.]+( ; [^/\\]+?)?( +--hash=sha256:[0-9a-f]{64})+", entry
        ), entry


PYTHON = """#!/bin/sh
how="%s"
[ "$1" != -c ] || { [ "$how" != other ]; exit; }
case $*:$how in
*lock:lacks) echo "No matching distribution found for a==1" && exit 1 ;;
*lock:another) echo "THESE PACKAGES DO NOT MATCH THE HASHES" && exit 1 ;;
esac
echo "$@" >>"$0.said"
"""


@pytest.mark.parametrize(
    ("python", "arguments", "told"),
    [
        ("fits", "--require-hashes -r tests/requirements.lock", ""),
        ("other", "-r tests/requirements.txt", "is not for this Python"),
        ("lacks", "-r tests/requirements.txt", "this package index lacks"),
        ("another", None, "DO NOT MATCH THE HASHES"),
    ],
)
def test_the_lock_is_what_is_installed_where_it_fits(tmp_path, python, arguments, told):
    fake, installed = tmp_path / "python", tmp_path / "python.said"
    fake.write_text(PYTHON % python)
    fake.chmod(0o755)
    script = PROJECT / "scripts" / "install-tests"
    ran = subprocess.run([script, fake], capture_output=True, text=True, cwd=tmp_path)
    assert (ran.returncode == 0) == bool(arguments) == installed.exists(), ran
    assert not arguments or installed.read_text().endswith(f" {arguments}\n")
    assert told in ran.stderr and ran.stderr.count("\n") == bool(told)
