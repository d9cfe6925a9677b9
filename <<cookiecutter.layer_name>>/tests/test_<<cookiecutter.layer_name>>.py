<% set layer = cookiecutter|layer_spec %>
<% import layer.kind_name ~ ".jinja" as kind %>
<% set expected_tops = kind.expected_tops(layer) %>
"""What only the layer's author knows; the other tests are in conftest.py and harness/."""
<% if "np." in expected_tops %>

import numpy as np
<% endif %>


def test_<<layer.name>>(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return one array per bottom; `rng` is a RandomState, `batch` the size of the first axis."""
<<kind.make_bottoms(layer)>>

def expected_tops(bottoms, params):
    """Return what forward must give, one array per top, or None where it is to stay unchecked.

    `bottoms` is what make_bottoms returned, `params` the layer's parameters by name.
    """
<<expected_tops|trim("\n")>>
