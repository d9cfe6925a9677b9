"""`make proof`: every mistake of mutants.py with several seeds, and both engines say the same.

With the first seed all checks are compared, with the others the one that must be red.
"""

import pytest

from support.mistakes import MUTANTS, NAMES, checks_of, own_checks, plant
from support.project import ENGINES

SEEDS = range(5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("layer", NAMES)
def test_mutants_are_red(layers, own_tests, tmp_path, record_property, layer, seed):
    wanted = [mutant for mutant in MUTANTS if mutant.layer == layer]
    plant(layers, tmp_path, wanted)
    arguments = [f"--seed={seed}", *(own_checks(wanted) if seed else [])]
    verdicts = [
        own_tests(engine, tmp_path, "--strict", *arguments, installed=True)
        for engine in ENGINES
    ]
    faults = []
    for mutant in wanted:
        checks = [checks_of(found, mutant) for found in verdicts]
        found = all(outcomes.get(mutant.check) == "failure" for outcomes in checks)
        record_property("count", ["mistakes", mutant.mistake, int(found), 1])
        if not found:
            faults.append(f"{mutant}: not found by {mutant.check}")
        faults += [
            f"{mutant}: {check} {by_engine} on {' and '.join(ENGINES)}"
            for check in sorted(set().union(*checks))
            if len(set(by_engine := [outcomes.get(check) for outcomes in checks])) > 1
        ]
    assert not faults, "\n".join(faults)
