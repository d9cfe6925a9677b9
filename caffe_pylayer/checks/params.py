# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""The dict in a param_str, in the formats of layers: JSON, Python and YAML."""

import ast
import json


def _read_yaml(text):
    import yaml  # it is there where a layer reads YAML

    return yaml.safe_load(text)


def _write_yaml(values):
    import yaml

    return yaml.safe_dump(values, default_flow_style=False)


FORMATS = (
    (json.loads, json.dumps),
    (ast.literal_eval, repr),
    (_read_yaml, _write_yaml),
)


def parse(text):
    """Return the dict in a param_str and a function that writes one, or None."""
    for read, write in FORMATS:
        try:
            values = read(text)
        except Exception:  # whatever a parser does with what it was not made for
            continue
        text_types = (str, type(b"".decode()))
        if isinstance(values, dict) and all(
            isinstance(key, text_types) for key in values
        ):
            return values, write
    return None
