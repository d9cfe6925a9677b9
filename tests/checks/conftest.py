"""The correct layers that mistakes are planted in."""

import pytest

from checks import mutants
from support.mistakes import EXAMPLES, NAMES


@pytest.fixture(scope="session")
def layers(bake, tmp_path_factory):
    """The folder of each correct layer, by its name."""
    out = tmp_path_factory.mktemp("stubs")
    stubs = {
        name: bake(out=out, layer_name=name, checks="installed", **answers)
        for name, answers in mutants.STUBS.items()
    }
    return {name: stubs.get(name, EXAMPLES / name) for name in NAMES}
