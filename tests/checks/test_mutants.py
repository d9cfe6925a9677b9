"""Every mistake of mutants.py is found, here on one engine each; `make proof` takes both."""

import collections

import pytest

from checks import mutants
from support.mistakes import (
    MUTANTS,
    NAMES,
    assert_found,
    messages,
    own_checks,
    plant,
    read_module,
)
from support.project import ENGINES

pytestmark = pytest.mark.caffe


@pytest.fixture(scope="module")
def verdicts(layers, own_tests, request, tmp_path_factory):
    """What one engine says of each mutant that is asked for (-k), and in which words."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {call.params.get("mutant") for call in calls if call}
    results = {}
    for engine in ENGINES:
        out = tmp_path_factory.mktemp(engine)
        planted = [m for m in MUTANTS if m in wanted and m.engine == engine]
        plant(layers, out, planted)
        found = own_tests(engine, out, "--strict", *own_checks(planted), installed=True)
        results[engine] = found, messages(found)
    return results


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_red(layers, verdicts, mutant):
    mutant.of(read_module(layers, mutant))
    assert_found(mutant, *verdicts[mutant.engine])


def test_table_is_complete():
    assert len(MUTANTS) >= 130
    assert len({mutant.folder for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.layer for mutant in MUTANTS} == set(NAMES)
    assert {
        name: len(rows) for name, rows in mutants.MUTANTS.items() if len(rows) < 3
    } == {}
    per_engine = collections.Counter(mutant.engine for mutant in MUTANTS)
    assert min(per_engine.values()) >= len(MUTANTS) // 3
