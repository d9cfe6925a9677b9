"""What the project's own tests and tools install has upper bounds."""

import pytest

from support.project import PROJECT


@pytest.mark.parametrize("folder", [".", "tests", "docs"])
def test_each_has_an_upper_bound(folder):
    lines = (PROJECT / folder / "requirements.txt").read_text().splitlines()
    free = [line for line in lines if "<" not in line and not line.startswith("-r ")]
    assert lines and free == []
