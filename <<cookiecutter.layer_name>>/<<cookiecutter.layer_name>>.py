<% set layer = cookiecutter|layer_spec %>
<% import layer.kind_name ~ ".jinja" as kind %>
<% import "shared/owner.jinja" as owner %>
<% set methods = kind.methods(layer) %>
<% set functions = kind.functions(layer) if kind.functions is defined else "" %>
<<owner.header(layer, python=true)>>"""A Python layer for Caffe; <<layer.name>>.prototxt is its part of a net."""

<% if layer.keys %>
import ast
import difflib
import json
<% endif %>
import sys

import caffe
<% if "np." in methods %>
import numpy as np
<% endif %>
<% if layer.author or layer.license %>

<% endif %>
<% if layer.author %>
__author__ = <<layer.author|to_source>>
<% endif %>
<% if layer.license %>
__license__ = <<layer.license|to_source>>
<% endif %>
<% if layer.keys %>

# The keys of param_str: a default, or the type of a key that must be given.
PARAMS = <<layer|params_source>>
<% endif %>


<% if layer.class_name|length <= 67 %>
class <<layer.class_name>>(caffe.Layer):
<% else %>
class <<layer.class_name>>(
    caffe.Layer
):
<% endif %>
    """<<kind.sentence(layer)|trim>>

<<kind.blobs(layer)|trim("\n")>>
    """

    def setup(self, bottom, top):
        """Check the counts<<", read param_str" if layer.keys>><<kind.makes|default("")>>.

        Raises:
            ValueError: a wrong count<<" or param_str" if layer.keys>><<kind.refused|default("")>>.
        """
<% for what, names in (("bottom", layer.bottoms), ("top", layer.tops)) %>
<% set short = "%d %s%s" % (names|length, what, "" if names|length == 1 else "s") %>
<% set named = short ~ " (" ~ names|join(", ") ~ ")" if names else short %>
<% set room = 88 - named|length - what|length %>
        if len(<<what>>) != <<names|length>>:
<% if 42 <= room < 51 %>
            self.refuse(
                "expected <<named>>, got %d", len(<<what>>)
            )
<% else %>
            self.refuse("expected <<named if room >= 51 else short>>, got %d", len(<<what>>))
<% endif %>
<% endfor %>
<% if layer.keys %>
        self.params = self.read_params()
<% endif %>
<% if kind.setup is defined %>
<<kind.setup(layer)|trim("\n")>>
<% endif %>

<<methods|trim("\n")>>

    def refuse(self, text, *values):
        """Raise ValueError(text % values); print it too, as `caffe train` does not."""
        message = type(self).__name__ + ": " + text % values
        sys.stderr.write(message + "\n")
        raise ValueError(message)
<% if layer.keys %>

    def read_params(self):
        """Return the dict in param_str, JSON or Python, with the defaults filled in."""
        given = None
        for parse in (json.loads, ast.literal_eval):
            try:
                given = given or parse(self.param_str or "{}")
            except (MemoryError, RuntimeError, SyntaxError, TypeError, ValueError):
                pass
        if not isinstance(given, dict):
            self.refuse("expected a dict in param_str, got %.60r", self.param_str)
        for key in given:
            if key not in PARAMS:
                near = difflib.get_close_matches(str(key), PARAMS, 1, 0)[0]
                self.refuse("param_str has no key %r; the nearest is %r", key, near)
        params = {}
        for key, default in PARAMS.items():
            kind = default if isinstance(default, type) else type(default)
            value = given.get(key, default)
            if value is kind:
                self.refuse("param_str needs the key %r of type %s", key, kind.__name__)
            accepted = {float: (int, float), str: (str, type(b"".decode()))}
            fits = isinstance(value, accepted.get(kind, kind))
            if not fits or isinstance(value, bool) != (kind is bool):
                text = "expected type %s for the key %r of param_str, got %.60r"
                self.refuse(text, kind.__name__, key, value)
            params[key] = float(value) if kind is float else value
        return params
<% endif %>
<% if functions %>


<<functions|trim("\n")>>
<% endif %>
