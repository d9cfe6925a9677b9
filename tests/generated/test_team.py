"""A team's repository: layers by cruft from a template that goes on, and answers played again."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.project import PROJECT, WHOLE, usually
from support.tools import need

LAYERS = {
    "focal_loss": {
        "layer_kind": "loss",
        "bottoms": "scores,label",
        "param_str_keys": "gamma=2.0, mode:str='mean', weights=[1, 2]",
    },
    "channel_scale": {
        "layer_kind": "learnable",
        "layer_class": "Scale",
        "bottoms": 2,
        "tops": 2,
    },
    "digits": {
        "layer_kind": "data",
        "tops": "image,label,weight",
        "param_str_keys": "seed=3",
    },
}
if not WHOLE:  # `make proof` takes all
    del LAYERS["channel_scale"]
EDITS = [  # of an author: the line above which a line of theirs goes
    ("{0}.py", "    def reshape(self, bottom, top):"),
    ("{0}.prototxt", '  type: "Python"'),
    ("tests/test_{0}.py", "def make_bottoms(rng, batch):"),
    ("tests/test_{0}.py", "def expected_tops(bottoms, params):"),
    ("README.md", "## Test"),
]
FOLDER = "<<cookiecutter.layer_name>>"
CHECKS = "tests/harness/checks.py"
SOURCE = "caffe_pylayer/checks"  # of the template, which a hook copies
LINE = "# of the next version\n"


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """No settings of git and cookiecutter but ours."""
    home = tmp_path_factory.mktemp("home")
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("GIT_")
    }
    environment.pop("COOKIECUTTER_CONFIG", None)
    environment |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    for person in ("AUTHOR", "COMMITTER"):
        environment |= {
            f"GIT_{person}_NAME": "team",
            f"GIT_{person}_EMAIL": "team@localhost",
        }
    return {**environment, "COLUMNS": "200"}


@pytest.fixture(scope="session")
def run(environment):
    """run(folder, ...) is the finished command, of which check asks for success."""

    def run(folder, *command, check=True, **options):
        done = subprocess.run(
            command,
            cwd=folder,
            env={**environment, "PWD": str(folder)},
            capture_output=True,
            text=True,
            **options,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


class Repository:
    """A git repository with edits and commits in one word each."""

    def __init__(self, folder, run):
        self.folder, self.run = folder, run
        run(folder.parent, "git", "init", "-q", folder.name)

    def git(self, *arguments):
        return self.run(self.folder, "git", *arguments).stdout

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "next")

    def put(self, path, text, above=""):
        put(self.folder / path, text, above)


def put(path, text, above=""):
    """Write text into a file: at its end, or above a line that is there once."""
    old = path.read_text() if path.exists() else ""
    assert not above or old.count(f"{above}\n") == 1, (path, above)
    start, found, rest = old.partition(f"{above}\n") if above else (old, "", "")
    path.write_text(f"{start}{text}{found}{rest}")


def edit(layer):
    """Write something into each file of an author."""
    for path, line in EDITS:
        put(layer / path.format(layer.name), "# the author's\n", above=line)


class Team(Repository):
    """A repository of layers that cruft makes from a template beside it."""

    def __init__(self, folder, run, template):
        super().__init__(folder, run)
        self.template = template

    def cruft(self, command, layer="", *options, **more):
        command = [sys.executable, "-m", "cruft", command, *options]
        return self.run(self.folder / layer, *command, **more)

    def create(self, name, *options, check=True, **answers):
        answers = json.dumps({"layer_name": name, **answers})
        source = [str(self.template.folder), "--no-input", "--extra-context", answers]
        return self.cruft("create", "", *source, *options, check=check)


@pytest.fixture(scope="session")
def first(run, tmp_path_factory):
    """The project as it lies here, as the first commit of a template."""
    need("git")
    template = Repository(tmp_path_factory.mktemp("first") / "template", run)
    template.git("--git-dir=.git", f"--work-tree={PROJECT}", "add", "-A")
    template.git("commit", "-qm", "first")
    template.git("reset", "-q", "--hard")
    return template.folder


@pytest.fixture
def team(first, run, tmp_path):
    return new_team(first, run, tmp_path)


def new_team(first, run, folder):
    if importlib.util.find_spec("cruft") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("cruft is not installed")
    run(folder, "git", "clone", "-q", str(first), "template")
    return Team(folder / "team", run, Repository(folder / "template", run))


def files(folder):
    """Of each file its text and whether it runs."""
    return {
        str(path.relative_to(folder)): (path.read_text(), os.stat(path).st_mode & 0o111)
        for path in Path(folder).rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def changed(before, after):
    return {
        file
        for file in before.keys() | after.keys()
        if before.get(file) != after.get(file)
    }


# cruft create, check, diff and update, with edits, when the template's harness goes on


@pytest.fixture(scope="module")
def story(first, run, tmp_path_factory):
    """What was seen on the way."""
    team = new_team(first, run, tmp_path_factory.mktemp("story"))
    story = {"template": str(team.template.folder), "layers": team.folder, "status": []}
    story["create"] = [
        team.create(name, **answers).stdout for name, answers in LAYERS.items()
    ]
    story["created"] = files(team.folder)
    team.commit()
    for name in LAYERS:
        edit(team.folder / name)
        (team.folder / name / "activate.csh").unlink()
    team.commit()
    story["edited"] = files(team.folder)
    story["check"] = [team.cruft("check", "digits", check=False)]
    for path in ("activate.sh", "activate.csh"):
        team.template.put(f"{FOLDER}/{path}", LINE)
    team.template.put(f"{SOURCE}/checks.py", LINE)
    team.template.put(f"{SOURCE}/more.py", '"""More."""\n')
    team.template.commit()
    story["check"].append(team.cruft("check", "digits", check=False))
    story["diff"] = team.cruft("diff", "digits").stdout
    story["update"] = []
    for name in LAYERS:
        story["update"].append(team.cruft("update", name, "-y").stdout)
        story["status"] += team.git("status", "--porcelain", "--ignored").splitlines()
        team.commit()
    story["updated"] = files(team.folder)
    story["check"].append(team.cruft("check", "digits", check=False))
    return story


def test_create_generates_what_cookiecutter_does(story, bake, tmp_path):
    for name, answers in LAYERS.items():
        bake(out=tmp_path, layer_name=name, **answers)
    assert changed(story["created"], files(tmp_path)) == {
        f"{name}/.cruft.json" for name in LAYERS
    }


def test_create_says_what_next(story):
    for name, told in zip(LAYERS, story["create"]):
        assert told.startswith(f"\n  cd {name} && python3 -m pytest ")


def test_cruft_json_holds_the_answers_and_no_folder_but_the_templates(story):
    text, _ = story["created"]["focal_loss/.cruft.json"]
    state = json.loads(text)
    answers = state["context"]["cookiecutter"]
    assert LAYERS["focal_loss"].items() <= answers.items()
    assert state["template"] == answers["_template"] == story["template"]
    assert str(story["layers"].parent) not in text.replace(story["template"], "")


def test_check_says_whether_there_is_something_new(story):
    assert [done.returncode for done in story["check"]] == [0, 1, 0]


def test_diff_shows_what_the_author_did(story):
    lines = story["diff"].splitlines()
    shown = [
        line.split()[-1].split("/", 1)[1] for line in lines if line.startswith("diff ")
    ]
    assert {*shown} == {
        path.format("digits") for path, _ in EDITS
    }  # nothing of what was deleted
    assert lines.count("-# the author's") == len(EDITS)


def test_update_brings_the_change(story):
    for name in LAYERS:
        for file in (CHECKS, "activate.sh"):
            text, mode = story["edited"][f"{name}/{file}"]
            assert story["updated"][f"{name}/{file}"] == (text + LINE, mode)
        assert story["updated"][f"{name}/tests/harness/more.py"] == ('"""More."""\n', 0)
        assert story["updated"][f"{name}/activate.sh"][1] == 0o111


def test_update_touches_nothing_else(story):
    touched = (".cruft.json", CHECKS, "activate.sh", "tests/harness/more.py")
    expected = {f"{name}/{file}" for name in LAYERS for file in touched}
    assert changed(story["edited"], story["updated"]) == expected
    assert {line[3:] for line in story["status"]} == expected


def test_update_leaves_the_answers(story):
    for name in LAYERS:
        before, after = (
            json.loads(story[when][f"{name}/.cruft.json"][0])["context"]["cookiecutter"]
            for when in ("edited", "updated")
        )
        assert before.pop("_commit") != after.pop("_commit")
        assert before == after


def test_diff_and_update_name_no_folder_to_go_to(story):
    assert story["diff"].startswith("diff --git ")
    assert all(told.startswith("Good work!") for told in story["update"])


@pytest.mark.parametrize("engine", usually("real"))
def test_updated_layers_pass_their_own_tests(story, own_tests, tmp_path, engine):
    layers = shutil.copytree(story["layers"], tmp_path / "layers")
    verdicts = own_tests(engine, layers)
    assert (verdicts.exit_code, verdicts.red) == (0, []), verdicts.output
    assert {name.split("[")[0] for name in verdicts} == {
        f"test_{name}" for name in LAYERS
    }


# Other creations and updates


def test_create_refuses_a_bad_answer(team):
    done = team.create("Focal", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "layer_name: 'Focal' is not snake_case" in done.stderr.splitlines()[-1]
    assert os.listdir(team.folder) == [".git"]


@pytest.fixture
def edited(team):
    """A team with focal_loss, edited."""
    team.create("focal_loss", **LAYERS["focal_loss"])
    team.commit()
    edit(team.folder / "focal_loss")
    team.commit()
    return team


def add_conflict(template):
    """Change the line below the author's in the module, and something in the harness."""
    path = template.folder / "templates" / "loss.jinja"
    text = path.read_text()
    old, new = (
        "def reshape(self, bottom, top):",
        "def reshape(self, bottom, top):  # new",
    )
    assert old in text
    path.write_text(text.replace(old, new))
    template.put(f"{SOURCE}/checks.py", LINE)
    template.commit()


def test_conflict_stands_in_the_file_as_gits_do(edited):
    before = files(edited.folder / "focal_loss")
    add_conflict(edited.template)
    edited.cruft("update", "focal_loss", "-y")
    after = files(edited.folder / "focal_loss")
    assert changed(before, after) == {"focal_loss.py", CHECKS, ".cruft.json"}
    lines = after["focal_loss.py"][0].splitlines()
    begin, middle, end = (
        next(i for i, line in enumerate(lines) if line.startswith(7 * mark))
        for mark in "<=>"
    )
    assert lines[:begin] + lines[begin + 1 : middle] + lines[end + 1 :] == (
        before["focal_loss.py"][0].splitlines()
    )
    assert lines[middle + 1 : end] == ["    def reshape(self, bottom, top):  # new"]


@pytest.mark.proof
@pytest.mark.parametrize("missing", ["the layer as generated", "git"])
def test_conflict_is_a_rej_file_without(team, missing):
    team.create("focal_loss", **LAYERS["focal_loss"])
    edit(team.folder / "focal_loss")
    if missing == "git":
        shutil.rmtree(team.folder / ".git")
    else:
        team.commit()
    before = files(team.folder / "focal_loss")
    add_conflict(team.template)
    team.cruft("update", "focal_loss", "-y")
    after = files(team.folder / "focal_loss")
    assert changed(before, after) == {"focal_loss.py.rej", CHECKS, ".cruft.json"}
    assert (
        "+    def reshape(self, bottom, top):  # new\n" in after["focal_loss.py.rej"][0]
    )


def add_prompt(template):
    """A prompt with a default, a filter that the versions before do not have, and a use of both."""
    path = template.folder / "cookiecutter.json"
    settings = json.loads(path.read_text())
    settings |= {"team": "vision", "__team": "<<cookiecutter.team|shout>>"}
    path.write_text(json.dumps(settings))
    shout = "\n\ndef shout(text):\n    return text.upper()\n\n\nFILTERS += (shout,)\n"
    template.put("local_extensions.py", shout)
    template.put(
        f"{FOLDER}/README.md", "Of the team <<cookiecutter.team|shout>>.\n", "## Test"
    )
    template.commit()


def test_update_brings_a_new_prompt(edited):
    before = files(edited.folder / "focal_loss")
    add_prompt(edited.template)
    edited.cruft("update", "focal_loss", "-y")
    after = files(edited.folder / "focal_loss")
    assert changed(before, after) == {"README.md", ".cruft.json"}
    assert (
        json.loads(after[".cruft.json"][0])["context"]["cookiecutter"]["team"]
        == "vision"
    )
    assert "Of the team VISION.\n" in after["README.md"][0]
    assert "# the author's\n" in after["README.md"][0]


@pytest.mark.proof
def test_update_with_another_answer_reaches_the_edited_files(edited):
    before = files(edited.folder / "focal_loss")
    answers = {
        "param_str_keys": LAYERS["focal_loss"]["param_str_keys"] + ", alpha=0.25"
    }
    edited.cruft(
        "update", "focal_loss", "-y", "--variables-to-update", json.dumps(answers)
    )
    after = files(edited.folder / "focal_loss")
    assert {"focal_loss.py", "focal_loss.prototxt"} < changed(before, after)
    for path, _ in EDITS:
        assert "# the author's\n" in after[path.format("focal_loss")][0]
    assert '"alpha": 0.25' in after["focal_loss.py"][0]
    assert '"alpha": 0.25' in after["focal_loss.prototxt"][0]


# Answers of another day: cookiecutter --replay-file FILE, cookiecutter --replay


@pytest.fixture
def template(first, run, tmp_path):
    run(tmp_path, "git", "clone", "-q", str(first), "template")
    return Repository(tmp_path / "template", run)


@pytest.fixture
def cookiecutter(run, template, tmp_path):
    """cookiecutter(...) generates focal_loss in tmp_path/layers from a template beside it."""
    (tmp_path / "layers").mkdir()

    def cookiecutter(*options, typed="", check=True):
        command = [sys.executable, "-m", "cookiecutter", str(template.folder), *options]
        return run(tmp_path / "layers", *command, input=typed, check=check)

    return cookiecutter


@pytest.fixture
def replay(cookiecutter, environment, tmp_path):
    """The file with the answers of focal_loss, which is beside it as it was generated."""
    given = {"layer_name": "focal_loss", **LAYERS["focal_loss"]}
    cookiecutter("--no-input", *(f"{name}={answer}" for name, answer in given.items()))
    shutil.move(tmp_path / "layers" / "focal_loss", tmp_path / "focal_loss")
    kept = Path(environment["HOME"]) / ".cookiecutter_replay" / "template.json"
    return shutil.copy(kept, tmp_path / "answers.json")


def without(replay, variable):
    """Take a variable out of a replay, as an older version that did not ask for it."""
    context = json.loads(replay.read_text())
    for answers in context.values():
        for name in (variable, f"__{variable}"):
            answers.pop(name, None)
    replay.write_text(json.dumps(context))


@pytest.mark.parametrize(
    "options",
    [
        ["--replay-file", "../answers.json"],
        pytest.param(["--replay"], marks=pytest.mark.proof),
    ],
    ids=str,
)
def test_replay_gives_the_same_layer(cookiecutter, replay, tmp_path, options):
    cookiecutter(*options)
    assert files(tmp_path / "layers" / "focal_loss") == files(tmp_path / "focal_loss")


def test_replay_with_force_and_skip_keeps_the_edits(
    cookiecutter, replay, template, tmp_path
):
    folder = tmp_path / "layers" / "focal_loss"
    shutil.copytree(tmp_path / "focal_loss", folder)
    edit(folder)
    before = files(folder)
    template.put(f"{SOURCE}/checks.py", LINE)
    cookiecutter("--replay-file", str(replay), "-f", "-s")
    assert changed(before, files(folder)) == {CHECKS}


def test_replay_asks_what_an_older_version_did_not(
    cookiecutter, replay, template, tmp_path
):
    add_prompt(template)
    told = cookiecutter("--replay-file", str(replay), typed="\n").stdout
    assert told.count("[1/1]") == 1 and "team" in told
    text = (tmp_path / "layers" / "focal_loss" / "README.md").read_text()
    assert "Of the team VISION.\n" in text


def test_replay_that_cannot_ask_leaves_nothing(
    cookiecutter, replay, template, tmp_path
):
    add_prompt(template)
    done = cookiecutter("--replay-file", str(replay), check=False)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).endswith("\nAborted!\n")
    assert os.listdir(tmp_path / "layers") == []


def test_replay_without_a_variable_that_has_a_computed_default(
    cookiecutter, replay, tmp_path
):
    """cookiecutter shows such a default unrendered; taken as it is, it is refused."""
    without(replay, "bottoms")
    done = cookiecutter("--replay-file", str(replay), typed="\n", check=False)
    assert done.returncode == 1
    assert (
        " has a <<, which begins code of a template; type it without <<"
        in (done.stdout.splitlines()[-1])
    )
    assert os.listdir(tmp_path / "layers") == []
