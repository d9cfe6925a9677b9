<% set layer = cookiecutter|layer_spec %>
<% import layer.kind_name ~ ".jinja" as kind %>
<% set methods = kind.methods(layer) %>
"""A Caffe Python layer; the prototxt beside it is its part of a net."""

import ast
import copy
import difflib
import json
import numbers
import sys

import caffe
<% if "np." in methods %>
import numpy as np
<% endif %>
<% if layer.author or layer.license %>

<% endif %>
<% if layer.author %>
__author__ = <<layer.author|to_python>>
<% endif %>
<% if layer.license %>
__license__ = <<layer.license|to_python>>
<% endif %>


class <<layer.class_name>>(caffe.Layer):
    """<<kind.sentence(layer)|trim>>

<<kind.blobs(layer)|trim("\n")>>
    """

    BOTTOMS = <<layer.bottoms|to_python_list>>
    TOPS = <<layer.tops|to_python_list>>
    # The keys of param_str: (type, default), or (type,) where the key is required.
<% for key in layer.keys %>
<% if loop.first %>
    PARAMS = {
<% endif %>
        "<<key.name>>": (<<key.type>>,<<"" if key.required else " " ~ key.value|to_python>>),
<% if loop.last %>
    }
<% endif %>
<% else %>
    PARAMS = {}
<% endfor %>

    def setup(self, bottom, top):
        """Check the counts of bottoms and tops; parse param_str into the dict self.params.

<% if kind.makes is defined %>
        Makes <<kind.makes>>.

<% endif %>
        Raises:
            ValueError: <<kind.refused|default("another count, or a param_str that does not fit PARAMS")>>.
        """
        _check_count(self, "bottoms", bottom, self.BOTTOMS)
        _check_count(self, "tops", top, self.TOPS)
        self.params = _parse_param_str(self)
<% if kind.setup is defined %>
<<kind.setup(layer)|trim("\n")>>
<% endif %>

    # Replace <<kind.to_replace|default("reshape, forward and backward")>> by your own; param_str is in self.params.

<<methods>>

def _check_count(layer, what, blobs, names):
    """Raise ValueError unless there are as many blobs as names."""
    if len(blobs) != len(names):
        raise ValueError(
            "%s: expected %d %s (%s), got %d"
            % (type(layer).__name__, len(names), what, ", ".join(names)<<' or "none"' if not layer.bottoms>>, len(blobs))
        )


def _parse_param_str(layer):
    """Return the layer's param_str, in JSON or as a Python literal, with the defaults filled in.

    Raises:
        ValueError: not a dict, or one with an unknown, missing or mistyped key.
    """
    prefix = "%s: param_str" % type(layer).__name__
    given = _parse_literal(layer.param_str.strip() or "{}")
    if not isinstance(given, dict):
        text = "%s: expected a dict in JSON, or in Python of at most 20000 characters, got %.60r"
        raise ValueError(text % (prefix, layer.param_str))
    for key in given:
        if key not in layer.PARAMS:
            near = difflib.get_close_matches("%.60s" % (key,), sorted(layer.PARAMS), 1, 0)
            expected = "%r, the nearest known key" % near[0] if near else "no keys"
            raise ValueError("%s: expected %s, got the unknown %.60r" % (prefix, expected, key))
    params = {}
    for key, row in layer.PARAMS.items():
        kind = row[0]
        expected = "%s: expected a value of type %s for the key %r" % (prefix, kind.__name__, key)
        if key not in given and len(row) == 1:
            raise ValueError("%s, got none" % expected)
        value = given[key] if key in given else copy.deepcopy(row[1])
        if not _fits(value, kind):
            raise ValueError("%s, got %.60r (%s)" % (expected, value, type(value).__name__))
        params[key] = float(value) if kind is float else value
    return params


def _fits(value, kind):
    """Whether value is of one of the types int, float, bool, str, list, dict.

    A bool is no number, an int is a float, a float is finite, a Python 2 unicode is a str.
    """
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, numbers.Real) and abs(value) <= sys.float_info.max
    types = {int: numbers.Integral, str: (str, type(b"".decode()))}
    return isinstance(value, types.get(kind, kind))


def _parse_literal(text):
    """Return the value of text in JSON or as a Python literal, None if it is neither.

    Longer texts are not parsed: huge numbers take minutes, deep literals exhaust the stack.
    """
    for parse, most in ((json.loads, 200000), (ast.literal_eval, 20000)):
        try:
            if len(text) <= most:
                return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RuntimeError):
            pass
    return None
