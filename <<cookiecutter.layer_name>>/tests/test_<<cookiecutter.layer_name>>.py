<% set layer = cookiecutter|layer_spec %>
<% import layer.kind_name ~ ".jinja" as kind %>
<% import "shared/owner.jinja" as owner %>
<% set expected_tops = kind.expected_tops(layer) %>
<<owner.header(layer, python=true)>>"""Bottoms to test <<layer.class_name>> with, and what it must give for them."""
<% if "np." in expected_tops %>

import numpy as np
<% endif %>


def test_<<layer.name>>(check):
    check(make_bottoms, expected_tops)


def make_bottoms(rng, batch):
    """Return an array for each bottom, `batch` long; `rng` is numpy's RandomState."""
<<kind.make_bottoms(layer)>>

def expected_tops(bottoms, params):
    """Return what forward must give, an array for each top, or None for no check.

    `bottoms` come from make_bottoms, `params` is the dict of param_str.
    """
<<expected_tops|trim("\n")>>
