"""The ways in which answers reach cookiecutter, and what a refusal has to look like in each."""

import json
from dataclasses import dataclass

import yaml
from click.testing import CliRunner
from cookiecutter.cli import main
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from support.project import PROJECT
from template_spec.kinds import KINDS

DEFAULTS = {
    "layer_name": "my_layer",
    "layer_class": "MyLayer",
    "layer_kind": "identity",
    "bottoms": "1",
    "tops": "1",
    "param_str_keys": "",
    "author": "",
    "license": "",
    "header": "",
    "github_actions": "no",
}


@dataclass
class Outcome:
    """What a user sees, and the folder that was to be generated into."""

    exit_code: int
    output: str
    out: object


def at_prompt(answers, command, folder):
    kinds = {kind: str(i) for i, kind in enumerate(KINDS, 1)}
    lines = [answers.get(variable, "") for variable in DEFAULTS]
    lines[2] = kinds[answers.get("layer_kind", "identity")]
    return run(command, "\n".join(lines) + "\n")


def on_command_line(answers, command, folder):
    given = [f"{variable}={answer}" for variable, answer in answers.items()]
    return run([*command, "--no-input", *given])


def in_config_file(answers, command, folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(
        yaml.dump({**config, "default_context": answers})
    )
    return run([*command, "--no-input"])


def in_replay(answers, command, folder):
    settings = json.loads((PROJECT / "cookiecutter.json").read_text())
    private = {key: value for key, value in settings.items() if key.startswith("_")}
    replay = {"cookiecutter": {**private, **DEFAULTS, **answers}}
    (folder / "replay.json").write_text(json.dumps(replay))
    return run([*command, "--replay-file", str(folder / "replay.json")])


def through_the_api(answers, command, folder):
    options = {"output_dir": str(folder / "deep" / "out")}
    options["config_file"] = str(folder / "config.yaml")
    try:
        cookiecutter(str(PROJECT), no_input=True, extra_context=answers, **options)
    except FailedHookException as refusal:
        return 1, f"{refusal}\n"
    return 0, ""


WAYS = [at_prompt, on_command_line, in_config_file, in_replay, through_the_api]


def run(command, typed=None):
    result = CliRunner().invoke(main, command, input=typed)
    expected = result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output if expected else repr(result.exception)


def generate(way, answers, folder):
    """Generate with these answers below folder; return the Outcome."""
    config = {"cookiecutters_dir": f"{folder}/c", "replay_dir": f"{folder}/r"}
    (folder / "config.yaml").write_text(yaml.dump(config))
    out = folder / "deep" / "out"
    out.mkdir(parents=True)
    command = [
        str(PROJECT),
        "-o",
        str(out),
        "--config-file",
        str(folder / "config.yaml"),
    ]
    return Outcome(*way(answers, command, folder), out)


def check_refusal(outcome, words):
    """A refusal is one line that says what was expected, what came and what to do; no file is."""
    line = outcome.output.splitlines()[-1]
    assert outcome.exit_code == 1, outcome.output
    assert words in line
    assert ": expected " in line and ", got " in line and line.endswith(".")
    assert len(line.split(": expected ")[1]) < 300 and "Traceback" not in outcome.output
    assert [path.name for path in outcome.out.parent.rglob("*")] == ["out"]
