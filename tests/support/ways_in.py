"""The ways in which answers reach cookiecutter, and what a refusal has to look like in each."""

import json
import re
from dataclasses import dataclass

import yaml
from click.testing import CliRunner
from cookiecutter.cli import main
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter

from support.project import PROJECT

DEFAULTS = {
    "layer_name": "my_layer",
    "layer_class": "MyLayer",
    "layer_kind": "identity",
    "bottoms": "1",
    "tops": "1",
    "param_str_keys": "",
    "checks": "copied",
    "_author": "",
    "_license": "",
    "_header": "",
}
PROMPTS = [variable for variable in DEFAULTS if not variable.startswith("_")]
REFUSAL = re.compile(rf"\b({'|'.join(DEFAULTS)}|an answer): (.*); (.*)$", re.MULTILINE)


@dataclass
class Outcome:
    """What a user sees, and the folder that was to be generated into."""

    exit_code: int
    output: str
    out: object


def at_prompt(answers, command, folder):
    """Type the answers, and Enter elsewhere: a line for each prompt, none for asking again."""
    lines = [answers.get(variable, "") for variable in PROMPTS]
    return run(command, "".join(f"{line}\n" for line in lines))


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
    """A refusal is one line that says what is wrong and what to type; nothing is written."""
    found = REFUSAL.search(outcome.output)
    assert found, outcome.output
    assert words in found[0] and len(found[0]) <= 250 and found[3]
    assert "Traceback" not in outcome.output
    assert outcome.exit_code == 1, outcome.output
    assert [path.name for path in outcome.out.parent.rglob("*")] == ["out"]
