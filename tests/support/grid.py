"""The grid of generated layers: every kind by bottoms, tops, and with or without keys."""

import itertools

from template_spec.kinds import KINDS

PARAMS = {
    "plain": "",
    "keys": "x1=1, x2=2, margin:float, mode:str='mean', on=true, w=[1, 2], d={}",
}
GRID = {
    f"{kind}_{bottoms}_{tops}_{params}": dict(
        layer_kind=kind, bottoms=bottoms, tops=tops, param_str_keys=PARAMS[params]
    )
    for kind, bottoms, tops, params in itertools.product(
        KINDS, range(5), range(5), PARAMS
    )
    if bottoms in KINDS[kind].bottoms and tops in KINDS[kind].tops
}
# What each `make test` runs; `make proof` runs all.
UP_TO_2 = [name for name, answers in GRID.items() if not {3, 4} & set(answers.values())]
