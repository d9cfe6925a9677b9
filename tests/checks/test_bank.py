"""Layers as strangers write them: the right ones are green, each wrong twin is red for its reason.

Each runs on one of the engines; with WHOLE=yes (`make proof`) on both, right ones with 20 seeds.
"""

import re

import pytest

from support import bank
from support.project import WHOLE, usually

SEEDS = 20 if WHOLE else 1
RIGHT, TWINS = bank.read()


def engines_of(planted):
    """Return the engines that a layer runs on."""
    return usually(planted.engine) if WHOLE or str(planted) not in bank.LONG else []


def cases(planted_ones, engines):
    """Return pytest's parameters: each with each of its engines."""
    return [
        pytest.param(planted, engine, id=f"{planted}-{engine}")
        for planted in planted_ones
        for engine in engines(planted)
    ]


OF_RIGHT = cases(RIGHT, engines_of)
ADVISED = cases(bank.advised(RIGHT, TWINS), lambda planted: [planted.engine])
OF_TWINS = cases(TWINS, engines_of)


@pytest.fixture(scope="module")
def run(own_tests, with_caffe, quick_pycaffe, request, tmp_path_factory):
    """A function that gives the outcomes and messages of a layer's tests on an engine.

    Layers with the same options are run at once, only those that are asked for (-k).
    """
    calls = [
        item.callspec.params
        for item in request.session.items
        if hasattr(item, "callspec")
    ]
    wanted = {(call["planted"], call["engine"]) for call in calls if "planted" in call}
    results = {}

    def start(planted, engine):
        out = tmp_path_factory.mktemp("bank")
        if planted.alone:
            bank.plant(out, [planted])
            output = bank.run_alone(engine, out, planted, quick_pycaffe)
            assert "processes left behind: 0" in output, output
            return bank.outcomes(output), bank.messages(output), output
        together = [
            other
            for other, on in wanted
            if on == engine and other.options == planted.options and not other.alone
        ]
        together = list({other.folder: other for other in together}.values())
        bank.plant(out, together)
        options = [
            f"--seeds={SEEDS}",
            *planted.options.split(),
            *bank.own_checks(together),
        ]
        found = own_tests(engine, out, *options)
        return found, bank.messages(found.output), found.output

    def get(planted, engine):
        key = (planted, engine) if planted.alone else (planted.options, engine)
        if key not in results:
            results[key] = start(planted, engine)
        found, said, output = results[key]
        assert planted.verdicts(found), output[-3000:]
        return planted.verdicts(found), said

    return get


@pytest.mark.parametrize("planted, engine", OF_RIGHT)
def test_right_layer_is_green(run, planted, engine):
    found, said = run(planted, engine)
    texts = [
        f"{check}: {outcome}: {said.get(f'test_{planted.folder}[{check}]')}"
        for check, outcome in found.items()
        if outcome not in ("passed", "skipped")
        or (outcome == "skipped" and check == "gradient" and planted.measured(engine))
    ]
    assert not texts, "\n".join(texts)


@pytest.mark.parametrize("planted, engine", ADVISED)
def test_right_layer_gets_no_such_advice(run, planted, engine):
    _, said = run(planted, engine)
    name = f"test_{planted.folder}["
    texts = [text for test, text in said.items() if test.startswith(name)]
    assert not any(re.search(planted.words, text) for text in texts), "\n".join(texts)


@pytest.mark.parametrize("planted, engine", OF_TWINS)
def test_twin_is_red(run, planted, engine):
    found, said = run(planted, engine)
    red = [check for check, outcome in found.items() if outcome == "failure"]
    of_it = red if planted.check == "any" else set(red) & {planted.check}
    texts = [said.get(f"test_{planted.folder}[{check}]", "") for check in of_it]
    assert texts, f"{planted.check} is not red: {found}"
    for text in texts:
        assert "Traceback" not in text and "unexpected keyword" not in text, text
    found = [re.search(planted.words, text) for text in texts]
    assert any(found), f"expected {planted.words!r} in\n" + "\n".join(texts)


def test_bank_is_complete():
    assert len(RIGHT) >= 70
    assert len(TWINS) >= 120
    folders = [planted.folder for planted in RIGHT + TWINS]
    assert len(set(folders)) == len(folders)
    assert all(planted.layer in {p.layer for p in RIGHT} for planted in TWINS)
