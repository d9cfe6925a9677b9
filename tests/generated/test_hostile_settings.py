"""Nothing that is given runs code: settings of Jinja in config and replay files, output folders."""

import json
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
    "other delimiters": {"_jinja2_env_vars": CURLY, "_author": "{{" + EXECUTE + "}}"},
    "lines as statements": {
        "_jinja2_env_vars": {"line_statement_prefix": "%%"},
        "_author": f"a\n%% set x = {EXECUTE}\nb",
    },
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
        done = subprocess.run(
            [sys.executable, "-m", "cookiecutter", *command],
            capture_output=True,
            text=True,
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
    assert line.startswith("_jinja2_env_vars: ") and line.endswith("; take it out")


@pytest.mark.parametrize("name", CONFIGS)
def test_replay_file(run, tmp_path, name):
    private = {key: value for key, value in SETTINGS.items() if key.startswith("_")}
    replay = {"cookiecutter": {**private, **DEFAULTS, **CONFIGS[name]}}
    (tmp_path / "replay.json").write_text(json.dumps(replay))
    (line,) = run({}, "--replay-file", "replay.json").splitlines()
    assert line.startswith("_jinja2_env_vars: ") and line.endswith("; take it out")


@pytest.mark.parametrize("folder", [f"<<{EXECUTE}>>", "<%", "a<#b"])
def test_output_folder(run, folder):
    (line,) = run({}, "--no-input", "-o", folder).splitlines()
    assert line.startswith("the output folder: ") and "; type it without <" in line


def test_the_code_would_run(tmp_path, monkeypatch):
    """So that the tests above can fail."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare" / "{{cookiecutter.name}}").mkdir(parents=True)
    (tmp_path / "bare" / "cookiecutter.json").write_text('{"name": "x"}')
    code = "name={{" + EXECUTE + "}}"
    options = ["--no-input", "--default-config", code]
    subprocess.run([sys.executable, "-m", "cookiecutter", "bare", *options], check=True)
    assert (tmp_path / "executed").exists()
