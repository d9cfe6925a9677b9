"""Adding a sixth kind is one file and one row: shown with a toy in a copy of the project."""

import json
import os
import shutil
import subprocess
import sys

from support.project import PROJECT

FILE = """
<# Twice the bottom. #>
<% import "identity.jinja" as identity %>
<% macro sentence(layer) %>
Doubles its bottom.
<% endmacro %>

<% macro methods(layer) %>
    def reshape(self, bottom, top):
        \"""Give the top the shape of the bottom; Caffe calls this before every forward.\"""
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        \"""Compute y = 2 x.\"""
        top[0].data[...] = 2 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        \"""Compute dE/dx = 2 dE/dy.\"""
        if propagate_down[0]:
            bottom[0].diff[...] = 2 * top[0].diff
<% endmacro %>

<% macro expected_tops(layer) %>
    return [bottoms[0] + bottoms[0]]
<% endmacro %>

<% set blobs = identity.blobs %>
<% set make_bottoms = identity.make_bottoms %>
<% set bottom_shape = identity.bottom_shape %>
<% set top_shape = identity.top_shape %>
<% set train_val = identity.train_val %>
"""
TESTS = ["tests/generated/test_grid.py", "tests/generated/test_example_net.py"]
ROW = '    "toy": Kind("a toy; doubles its bottom", ONE, ONE, 1, 1),\n'


def test_grid_picks_up_a_new_kind(tmp_path):
    copy = tmp_path / "project"
    unwanted = shutil.ignore_patterns(
        ".git", ".venv", ".*_cache", "__pycache__", "layers"
    )
    shutil.copytree(PROJECT, copy, symlinks=True, ignore=unwanted)
    (copy / "templates" / "toy.jinja").write_text(FILE.lstrip())
    table = (copy / "template_spec" / "kinds.py").read_text()
    assert table.count("\nKINDS = {\n") == 1
    (copy / "template_spec" / "kinds.py").write_text(
        table.replace("\nKINDS = {\n", "\nKINDS = {\n" + ROW)
    )
    subprocess.run([sys.executable, "scripts/kinds"], cwd=copy, check=True)
    settings = json.loads((copy / "cookiecutter.json").read_text())
    lines = settings["__prompts__"]["layer_kind"].splitlines()
    assert "    toy        a toy; doubles its bottom" in lines
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "toy_",
            *TESTS,
        ],
        cwd=copy,
        capture_output=True,
        text=True,
        env={
            key: value
            for key, value in os.environ.items()
            if key != "WHOLE" and "XDIST" not in key
        },
    )
    assert result.returncode == 0, result.stdout
    # The grid, and its example net.
    assert "2 passed" in result.stdout, result.stdout
