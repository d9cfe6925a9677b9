"""The Dockerfile of a layer: built and run for real, by buildah, without a registry.

The base image is a Debian 11 that mmdebstrap makes. It and the layer with Caffe are cached, and
made anew when ~/.cache/caffe-pylayer/containers is deleted (`buildah unshare rm` if not as root).
"""

import fcntl
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from support import environments
from support.cache import CACHE
from support.project import PROJECT
from support.tools import need
from template_spec.kinds import KINDS

pytestmark = pytest.mark.caffe

BASE = "docker.io/library/debian:bullseye-slim"
# As the slim image: without documentation, and apt keeps no package that it has installed.
SLIM = [
    f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "locale", "man")
]
KEEP_NONE = (
    """echo 'APT::Keep-Downloaded-Packages "false";' >"$1/etc/apt/apt.conf.d/clean" """
)
SLIM += [f"--customize-hook={KEEP_NONE}", "--skip=output/dev"]
OWN_NAMESPACES = ["unshare", "--mount-proc", "--pid", "--fork", "--kill-child"]
TRAIN = ["caffe", "train", "-solver", "example/solver.prototxt"]
PASSED = r"=== \d+ passed in "  # and no warning
JUNK = [".git/HEAD", "tests/__pycache__/conftest.pyc", ".pytest_cache/README.md"]
JUNK += ["example/snapshot_iter_9.caffemodel", "snapshot_iter_9.solverstate"]


class Containers:
    """Builds images and runs them, in a storage of its own in the cache."""

    def __init__(self, runroot):
        self.command = ["buildah", "--root", CACHE / "containers", "--runroot", runroot]

    def __call__(self, *arguments, check=True):
        done = subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def make_base(self, folder):
        make = [
            "mmdebstrap",
            "--variant=minbase",
            *SLIM,
            "bullseye",
            folder / "base.tar",
        ]
        make += [mirror] if (mirror := os.environ.get("CAFFE_DEBIAN_MIRROR")) else []
        make = [*OWN_NAMESPACES, *make] if os.geteuid() == 0 else make
        done = subprocess.run(make, capture_output=True, text=True)
        if done.returncode:
            lacking(done.stderr)
        container = self("from", "scratch").stdout.strip()
        self("add", container, folder / "base.tar", "/")
        self("commit", "--rm", container, BASE)
        (folder / "base.tar").unlink()

    def build(self, folder, tag, *options, check=True):
        """What `docker build -t TAG FOLDER` says."""
        options = [
            "--isolation=chroot",
            "--pull-never",
            "--layers",
            "--force-rm",
            *options,
        ]
        return self("bud", *options, "-t", tag, folder, check=check)

    def run(self, image, *command, volume=None):
        """The result of `docker run --rm [-v VOLUME] IMAGE [COMMAND...]`."""
        if not command:
            described = json.loads(self("inspect", "--type=image", image).stdout)
            command = described["OCIv1"]["config"]["Cmd"]
        container = self("from", "--pull-never", image).stdout.strip()
        try:
            options = [
                "--isolation=chroot",
                *([f"--volume={volume}"] if volume else []),
            ]
            return self("run", *options, container, "--", *command, check=False)
        finally:
            self("rm", container)


def lacking(why):
    """CI must have what this needs, elsewhere its tests are skipped."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(why)


@pytest.fixture(scope="module")
def containers(tmp_path_factory):
    """One run of these tests at a time: another waits for the lock."""
    for program in ("buildah", "mmdebstrap"):
        need(program)
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "containers.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        containers = Containers(tmp_path_factory.mktemp("run"))
        containers("rm", "--all")  # what a run that was killed has left
        containers("rmi", "--prune")  # and what no tag needs any more
        if containers("images", "-q", BASE, check=False).returncode:
            containers.make_base(tmp_path_factory.mktemp("base"))
        yield containers


@pytest.fixture(scope="module")
def layer(bake):
    return bake(layer_name="my_layer")


@pytest.fixture(scope="module")
def image(containers, layer):
    containers.build(layer, "my_layer")
    return "my_layer"


@pytest.fixture
def mirror():
    """A mirror that has nothing: its address, and what was asked of it."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/old/debian", asked
        server.shutdown()


def cached(build):
    """The first words of the steps that a build took from the cache."""
    return re.findall(r"STEP \d+/\d+: (\S+).*\n--> Using cache", build.stdout)


# docker run --rm my_layer


def test_tests_the_layer_on_real_caffe(containers, image):
    result = containers.run(image)
    assert result.returncode == 0, result.stdout
    assert "caffe: real Caffe 1.0.0" in result.stdout
    assert re.search(PASSED, result.stdout), result.stdout


@pytest.mark.proof
def test_trains_instead(containers, image):
    result = containers.run(image, *TRAIN)
    assert result.returncode == 0
    assert "Optimization Done" in result.stderr


def test_is_not_root_and_may_write_snapshots(containers, image):
    # Of so short a command `buildah run` sometimes loses what it prints.
    words = "test $(whoami) = caffe && touch here example/there ~/home"
    result = containers.run(image, "sh", "-c", words)
    assert result.returncode == 0, result.stderr


@pytest.mark.proof
def test_leaves_no_caches(containers, image):
    result = containers.run(
        image, "sh", "-c", "python3 -m pytest; find . -name '*cache*'"
    )
    assert "passed" in result.stdout and "cache" not in result.stdout


def test_tests_mounted_layers_that_it_cannot_write(containers, image, bake, tmp_path):
    layers = tmp_path / "layers"  # tmp_path is its owner's only
    for kind in KINDS:
        bake(layer_name=f"some_{kind}", layer_kind=kind, out=layers)
    result = containers.run(image, volume=f"{layers}:/layer:ro")
    assert result.returncode == 0, result.stdout
    assert all(f"some_{kind}/tests/" in result.stdout for kind in KINDS)
    assert re.search(PASSED, result.stdout), result.stdout


def test_without_caffe_nothing_is_green(containers, image, tmp_path):
    result = containers.run(
        image, volume=f"{tmp_path}:/usr/lib/python3/dist-packages/caffe"
    )
    assert result.returncode == 4, result.stdout


# docker build -t my_layer .


@pytest.mark.proof
def test_another_layer_does_not_install_again_and_is_the_one_tested(
    containers, image, layer
):
    changed = layer.with_name("changed")
    shutil.copytree(layer, changed)
    module = changed / "my_layer.py"
    module.write_text(module.read_text().replace("= top[0].diff", "= -top[0].diff"))
    build = containers.build(changed, "changed")
    assert cached(build)[:5] == ["ARG", "RUN", "USER", "WORKDIR", "ENV"]
    result = containers.run("changed")
    assert result.returncode == 1
    assert "the gradient of bottom bottom_0 is wrong" in result.stdout


@pytest.mark.proof
def test_what_git_python_and_training_leave_does_no_harm(containers, layer, tmp_path):
    littered = shutil.copytree(layer, tmp_path / "littered")
    for path in JUNK:
        (littered / path).parent.mkdir(exist_ok=True)
        (littered / path).write_text("junk")
    containers.build(littered, "littered")
    result = containers.run("littered")
    assert result.returncode == 0, result.stdout
    assert re.search(PASSED, result.stdout), result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the package as it is here."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(PROJECT / "caffe_pylayer", folder / "source" / "caffe_pylayer")
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / file, folder / "source")
    environments.pip("wheel", "--no-deps", "-w", folder / "made", folder / "source")
    [wheel] = (folder / "made").glob("caffe_pylayer-*.whl")
    return wheel


def test_installed_checks_come_from_the_package(containers, bake, wheel):
    """CAFFE_PYLAYER is our repository unless it is said; here a wheel of what is here."""
    layer = bake(layer_name="my_layer", checks="installed")
    assert not list(layer.rglob("conftest.py"))
    containers.build(
        layer,
        "installed",
        f"--volume={wheel.parent}:/wheel:ro",
        f"--build-arg=CAFFE_PYLAYER=/wheel/{wheel.name}",
    )
    result = containers.run("installed")
    assert result.returncode == 0, result.stdout
    assert "caffe: real Caffe 1.0.0" in result.stdout
    assert re.search(PASSED, result.stdout), result.stdout


@pytest.mark.proof
def test_a_team_tests_all_its_layers_in_one_image(
    containers, bake, wheel, config_file, tmp_path
):
    """What `make image` does, and with it the workflow; the pinned package is a wheel here."""
    options = dict(
        no_input=True, output_dir=str(tmp_path), config_file=str(config_file)
    )
    team = Path(cookiecutter(str(PROJECT), directory="team", **options))
    for kind in ("loss", "data"):
        bake(
            out=team / "layers",
            layer_name=f"a_{kind}",
            layer_kind=kind,
            checks="installed",
        )
    pinned = team / "pyproject.toml"
    text, count = re.subn(
        'git[+]https:.*(?=",)', f"file:///wheel/{wheel.name}", pinned.read_text()
    )
    assert count == 1
    pinned.write_text(text)
    steps = (team / "Makefile").read_text().split("\nimage:\n")[1].splitlines()
    assert [step.strip().replace(team.name, "team") for step in steps] == [
        "docker build $(ARGS) -t team .",
        "docker run --rm team",
        "docker run --rm team caffe-pylayer audit layers",
    ]
    containers.build(team, "team", f"--volume={wheel.parent}:/wheel:ro")
    result = containers.run("team")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "caffe: real Caffe 1.0.0" in result.stdout
    assert "a_loss" in result.stdout and "a_data" in result.stdout
    assert re.search(PASSED, result.stdout), result.stdout
    result = containers.run("team", "caffe-pylayer", "audit", "layers")
    assert result.returncode == 0 and "2 layers, 0 findings" in result.stdout


@pytest.mark.parametrize("checks, most", [("copied", 18), ("installed", 20)])
def test_is_short(bake, checks, most):
    lines = (bake(checks=checks) / "Dockerfile").read_text().splitlines()
    assert 0 < len(lines) <= most
    assert (
        "ARG CAFFE_PYLAYER=https://github.com/org/caffe-pylayer/archive/HEAD.tar.gz"
        in lines
    ) == (checks == "installed")


def test_debian_mirror_is_the_only_one_asked(containers, layer, mirror):
    url, asked = mirror
    argument = f"--build-arg=DEBIAN_MIRROR={url}"
    build = containers.build(layer, "none", "--http-proxy=false", argument, check=False)
    assert build.returncode != 0
    assert f"'{url} bullseye Release' does not have a Release file" in build.stderr
    assert asked_folders(asked) - {"/old/debian/dists/bullseye-updates/"} == {
        "/old/debian/dists/bullseye/",
        "/old/debian-security/dists/bullseye-security/",
    }


def asked_folders(asked):
    """Where a Release was asked for."""
    return {path.removesuffix("InRelease").removesuffix("Release") for path in asked}


def test_what_has_left_debians_mirror_is_asked_of_the_archive(
    containers, layer, mirror
):
    proxy = "--build-arg=http_proxy=" + mirror[0].removesuffix("/old/debian")
    argument = "--build-arg=DEBIAN_MIRROR=http://deb.debian.invalid/debian"
    build = containers.build(layer, "none", proxy, argument, check=False)
    assert build.returncode != 0
    assert "Trying Debian's archive" in build.stdout
    folders = asked_folders(mirror[1])
    for name in ("deb", "archive"):
        assert f"http://{name}.debian.invalid/debian/dists/bullseye/" in folders
        security = "debian-security/dists/bullseye-security/"
        assert f"http://{name}.debian.invalid/{security}" in folders


def test_is_small(containers, image):
    found = containers("images", "--format={{.Size}}", image).stdout.split()
    assert found[1] == "MB" and float(found[0]) < 800, found


def test_the_base_image_may_be_named_by_its_digest(containers, layer, mirror):
    """Our base is found by its digest; another digest is not there."""
    digest = containers("images", "--format={{.Digest}}", BASE).stdout.strip()
    assert re.fullmatch("sha256:[0-9a-f]{64}", digest)
    for named, found in ((digest, True), ("sha256:" + 64 * "0", False)):
        base = "--build-arg=BASE=docker.io/library/debian@" + named
        url = f"--build-arg=DEBIAN_MIRROR={mirror[0]}"
        build = containers.build(
            layer, "none", "--http-proxy=false", base, url, check=False
        )
        assert build.returncode != 0  # the mirror has nothing
        assert (f"'{mirror[0]} bullseye Release'" in build.stderr) == found
