"""Config and replay files that change cookiecutter's own settings run nothing and write nothing.

Without our extension only a hook can speak, and cookiecutter logs a traceback before what it says.
"""

import json
import os
import subprocess
import sys

import pytest
import yaml

from support.project import PROJECT
from support.ways_in import DEFAULTS

EXECUTE = "cycler.__init__.__globals__.os.system('touch executed')"
CURLY = {"variable_start_string": "{{", "variable_end_string": "}}"}
SETTINGS = json.loads((PROJECT / "cookiecutter.json").read_text())
CONFIGS = {
    "other delimiters": {"_jinja2_env_vars": CURLY, "author": "{{" + EXECUTE + "}}"},
    "lines as statements": {
        "_jinja2_env_vars": {"line_statement_prefix": "%%"},
        "author": f"a\n%% set x = {EXECUTE}\nb",
    },
}
REPLAYS = {
    **CONFIGS,
    "no extensions": {
        "_extensions": [],
        "layer_name": 'x"; import os; os.system("touch executed"); "',
    },
    "one extension": {
        "_extensions": ["needs_cookiecutter_2_6.Enough"],
        "layer_name": 'x"; import os; os.system("touch executed"); "',
    },
    "outside": {"_extensions": [], "layer_name": "../escaped"},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()

    def generate(config, *options):
        config = {
            "cookiecutters_dir": "c",
            "replay_dir": "r",
            "default_context": config,
        }
        (tmp_path / "config.yaml").write_text(yaml.dump(config))
        command = [str(PROJECT), "-o", "out", "--config-file", "config.yaml", *options]
        environment = {**os.environ}
        environment.pop("CAFFE_PYLAYER_UNFINISHED", None)  # of this process
        done = subprocess.run(
            [sys.executable, "-m", "cookiecutter", *command],
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 1
        assert list((tmp_path / "out").iterdir()) == []
        names = {path.name for path in tmp_path.iterdir()}
        assert names <= {"config.yaml", "out", "r", "replay.json"}
        return done.stdout + done.stderr

    return generate


@pytest.mark.parametrize("name", CONFIGS)
def test_config_file(run, name):
    (line,) = run(CONFIGS[name], "--no-input").splitlines()
    assert line.startswith("_jinja2_env_vars: expected those of cookiecutter.json")


@pytest.mark.parametrize("name", REPLAYS)
def test_replay_file(run, tmp_path, name):
    private = {key: value for key, value in SETTINGS.items() if key.startswith("_")}
    replay = {"cookiecutter": {**private, **DEFAULTS, **REPLAYS[name]}}
    (tmp_path / "replay.json").write_text(json.dumps(replay))
    printed = run({}, "--replay-file", "replay.json")
    assert ": expected those of cookiecutter.json, got " in printed
