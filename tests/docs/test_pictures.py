"""The pictures show what a terminal shows today, and need nothing from outside."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from support.project import PROJECT

FOLDER = PROJECT / "docs" / "pictures"
PICTURES = ["session", "gradient"]
SHOWN = {
    "session": [
        "gh:org/caffe-pylayer",
        "focal_loss",
        "(identity): loss",
        "scores,label",
        "gamma=2.0, alpha=0.25",
    ],
    "gradient": ["FAILURES", "ratio", "times the right one: "],
}


@pytest.fixture
def check(with_caffe):
    """A function that runs `scripts/pictures --check`, also on a folder with other pictures."""
    command = [sys.executable, "-B", PROJECT / "scripts" / "pictures", "--check"]
    return lambda *folder: subprocess.run(
        [*command, *folder], capture_output=True, text=True
    )


def test_pictures_show_what_is_printed_today(check):
    result = check()
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.proof
def test_check_finds_pictures_that_lie(check, tmp_path):
    lies = {
        "session": ("transform;", "transfer;"),
        "gradient": ("0.317404", "0.327404"),
    }
    for picture, (true, false) in lies.items():
        svg = (FOLDER / f"{picture}.svg").read_text()
        assert true in svg
        (tmp_path / f"{picture}.svg").write_text(svg.replace(true, false))
    result = check(tmp_path)
    assert result.returncode == 1
    for line in (
        "    identity   a transfer; starts",
        "  [0, 0, 0] 0.327 0.0794 0.238",
    ):
        assert f"\n-{line}" in result.stderr


def test_check_wants_a_picture(check, tmp_path):
    (tmp_path / "session.svg").write_text("<svg>")
    result = check(tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert f"{tmp_path}/session.svg: expected a picture" in result.stderr


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_need_nothing_from_outside(picture):
    svg = (FOLDER / f"{picture}.svg").read_text()
    assert re.findall(r"\w+://[^\"\s]+|@import|@font-face|url\([^#]", svg) == [
        "http://www.w3.org/2000/svg"
    ]
    assert len(svg.encode()) < 60_000


@pytest.mark.parametrize("picture", PICTURES)
def test_each_text_has_a_fixed_place_and_width(picture):
    tree = ElementTree.parse(FOLDER / f"{picture}.svg")
    texts = list(tree.iter("{http://www.w3.org/2000/svg}text"))
    assert texts and all({"x", "y", "textLength"} <= set(text.keys()) for text in texts)
    shown = "".join(text.text for text in texts).replace("\xa0", " ")
    assert [words for words in SHOWN[picture] if words not in shown] == []
