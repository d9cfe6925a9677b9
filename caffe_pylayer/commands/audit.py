"""Show which Caffe Python layers under a folder want a look. Runs none of them.

It prints a table, a row for each layer and a column for each check, and then what is wrong.
"""

# A Python layer is a class that derives from caffe.Layer, by whatever name it was imported, or from
# such a class; see python_layers.py. What a class inherits is known from its own file only: where
# the base class is in another one, here or not, checks say QUESTION of the methods that it lacks.
#
# A check is a function of a Layer in the table CHECKS, near the end. It returns a list of findings,
# or DASH where it does not apply, or QUESTION where the text does not tell. In doubt a check is
# silent: a cross has to be worth a look.

import ast
import builtins
import collections
import copy
import difflib
import os
import sys

from .python_layers import (
    PARAM_STR,
    SIGNATURES,
    Finding,
    Folder,
    bound,
    every_pass,
    flows,
    given,
    nodes,
    root,
    spread,
    words,
    words_of,
)

TICK, CROSS, QUESTION, DASH = "✓", "✗", "?", "-"
ASCII = {TICK: "+", CROSS: "x"}
LEGEND = f"{TICK} fine  {CROSS} see below  {QUESTION} the text does not tell  {DASH} does not apply"
MULTIPLY = "and with it loss_weight: multiply by it"
GONE = "param_str_ is no attribute of a layer since Caffe 1.0: write param_str"
PARSERS = {
    "ast",
    "collections",
    "copy",
    "json",
    "logging",
    "math",
    "numpy",
    "os",
    "six",
    "yaml",
}
RUNS = dict.fromkeys(("eval", "exec"), "json.loads or ast.literal_eval")
RUNS.update({"execfile": "json.load", "yaml.unsafe_load": "safe_load"})
CALLERS = {
    "filter",
    "functools.partial",
    "itertools.imap",
    "map",
}  # of their first argument
UNSAFE = {"Loader", "CLoader", "UnsafeLoader", "CUnsafeLoader"}  # of yaml
ITERATE = {
    "all",
    "any",
    "enumerate",
    "filter",
    "iter",
    "list",
    "map",
    "max",
    "min",
    "next",
    "set",
}
ITERATE |= {"sorted", "sum", "tuple", "zip"}
ITERATE |= {
    f"itertools.{x}" for x in ("chain", "imap", "izip", "izip_longest", "zip_longest")
}
PRINT = {"print", "pprint.pprint", "sys.stderr.write", "sys.stdout.write"}
SHAPE_ONLY = {"empty_like", "full_like", "len", "ones_like", "shape", "zeros_like"}
ALLOCATE = {
    "arange",
    "array",
    "copy",
    "empty",
    "empty_like",
    "full",
    "full_like",
    "ndarray",
}
ALLOCATE |= {"ones", "ones_like", "repeat", "tile", "zeros", "zeros_like"}
ALLOCATE |= {"concatenate", "eye", "indices", "linspace", "meshgrid", "pad", "stack"}
ALLOCATE |= {"normal", "permutation", "rand", "randint", "randn", "random", "uniform"}
GRIDS = {"mgrid", "ogrid"}  # np.mgrid[0:height, 0:width]
NUMBERS = -1  # what is in a blob, no axis
AXES = dict.fromkeys(("count", "legacy_shape", "shape", "size"), (0, 1, 2, 3))
AXES.update({"num": (0,), "channels": (1,), "height": (2,), "width": (3,)})
AXES.update({"data": (NUMBERS,), "diff": (NUMBERS,), "dtype": (), "ndim": ()})

# The checks


def unseen(layer):
    """Return what a check says of a method that a layer lacks, unless a base class may have it."""
    return QUESTION if layer.elsewhere else DASH


def has_tests(layer):
    names, stem = (
        {layer.name} | {x.name for x in layer.derived},
        layer.source.module[-1],
    )
    alone = len(layer.source.layers) == 1
    others = [
        x for x in layer.folder.layers if x.name in names and x.source != layer.source
    ]
    unknown = False
    for path, test in layer.folder.tests.items():
        if test is None:
            unknown = True
        elif names & test:
            if is_about(layer, path, test) or not any(
                is_about(x, path, test) for x in others
            ):
                return []
        elif alone and (
            stem in test.modules or is_called(layer, path) and test.has_test
        ):
            return []
    if unknown:
        return QUESTION
    text = "no test_*.py here names it: generate a layer, paste this over its stub, run its tests"
    return [layer.finding(None, layer.node, text)]


def is_called(layer, path):
    """Whether the name of a test file is that of a layer's module."""
    stem = layer.source.module[-1]
    return os.path.basename(path) in (f"test_{stem}.py", f"{stem}_test.py")


def is_about(layer, path, test):
    """Whether a test that names a class means this layer, and none elsewhere of that name."""
    named = layer.source.module[-1] in test or is_called(layer, path)
    return named or path == layer.source.path


def matches_fragment(layer):
    folder, module, findings, seen = layer.folder, layer.source.module, [], False
    names = [x.name for x in layer.source.layers]
    for path, line, wanted, name in folder.fragments:
        candidates, right = folder.resolve(wanted), None
        if any(name in folder.classes.get(x, ()) for x in candidates):
            seen |= name == layer.name and module in candidates
        elif module in candidates and not layer.source.binds(name):
            if difflib.get_close_matches(name[:99], names, 1, 0) == [layer.name]:
                right = f'layer: "{layer.name}"'
        elif not candidates and name == layer.name:
            right = f'module: "{module[-1]}"'
        if right:
            text = f'no class {name} in a module "{wanted}" here: write {right}'
            findings.append(Finding(path, line, layer.name, text))
    return findings or ([] if seen else DASH)


def checks_params(layer):
    functions = layer.reach()
    reads = [
        (function, node)
        for function in functions
        for node in nodes(function, ast.Attribute)
        if node.attr in PARAM_STR and isinstance(node.ctx, ast.Load)
    ]
    if not reads:
        return unseen(layer)
    gone = [
        layer.finding(*read, GONE) for read in reads if read[1].attr == "param_str_"
    ]
    pairs = [pair for function in functions for pair in all_flows(layer, function)]
    about = spread(["param_str"], [(names, words(value)) for names, value in pairs])
    if any(
        is_check(layer, node, about)
        for function in functions
        for node in ast.walk(function)
    ):
        return gone
    whole = [(names, words(value)) for names, value in pairs if not is_item(value)]
    whole = spread(["param_str"], whole)
    for function in functions:
        for call in nodes(function, ast.Call):
            plain = [x for x in call.args if isinstance(x, (ast.Name, ast.Attribute))]
            handed_on = any(words(x) & whole or words_of(x) == "self" for x in plain)
            if handed_on and is_elsewhere(layer, call):
                return gone or QUESTION
    if layer.elsewhere:
        return gone or QUESTION
    text = "uses param_str unchecked: raise ValueError for an unknown, missing or mistyped key"
    return gone + [layer.finding(*reads[0], text)]


def all_flows(layer, function):
    """Yield names and the value they get: by assignment, as an argument, or f() by return."""
    for target, value in flows(function):
        yield given(target), value
    name = layer.source.who[function].split(".")[-1]
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value:
            yield {f"{name}()", f"self.{name}()"}, node.value
        elif isinstance(node, ast.Call):
            for callee in layer.called(node):
                for argument, value in bound(callee, node):
                    yield {argument}, value


def is_check(layer, node, about):
    """Whether a statement refuses something that these words are about."""
    if isinstance(node, ast.Assert):
        return bool(words(node.test) & about)
    if isinstance(node, (ast.If, ast.While)):
        return bool(words(node.test) & about and raises(layer, node))
    if isinstance(node, ast.Try) and any(raises(layer, x) for x in node.handlers):
        return any(words(x) & about for x in node.body)
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parse_args":
        return bool(words(node) & about)
    return False


def raises(layer, node):
    """Whether it raises an exception, also in a function of the file that it calls."""
    callees = [
        callee for call in nodes(node, ast.Call) for callee in layer.called(call)
    ]
    return any(nodes(x, ast.Raise) for x in [node, *callees])


def is_item(value):
    """Whether a value is a part of params, such as params["x"] or params.get("x")."""
    return any(
        isinstance(x, ast.Subscript) or getattr(x, "attr", "") in ("get", "pop")
        for x in ast.walk(value)
    )


def is_elsewhere(layer, call):
    """Whether a call runs code of another file, which may check what it is given."""
    name = layer.source.dotted(call.func)
    attribute = getattr(call.func, "attr", "")
    if layer.called(call) or any(hasattr(x, attribute) for x in (dict, list, set, str)):
        return False
    return name.split(".")[0] not in PARSERS and not hasattr(builtins, name)


def has_no_eval(layer):
    findings = []
    for function in layer.reach():
        for node in nodes(function, ast.Call):
            name = layer.source.dotted(node.func)
            if name in CALLERS and node.args:
                name = layer.source.dotted(node.args[0])
            better = RUNS.get(name.replace("__builtin__.", "").replace("builtins.", ""))
            if name == "yaml.load":
                loader = node.args[1:] + [
                    x.value for x in node.keywords if x.arg == "Loader"
                ]
                if (
                    not loader
                    or layer.source.dotted(loader[0]).split(".")[-1] in UNSAFE
                ):
                    name, better = "yaml.load without a safe Loader", "safe_load"
            elif name.lower().endswith("pickle.loads") and "param_str" in words(node):
                better = "json.loads"
            if better:
                text = f"{name} runs whatever the text says: use {better}"
                findings.append(layer.finding(function, node, text))
    return findings


def uses_top_diff(layer):
    if "backward" not in layer.methods:
        return unseen(layer)
    backward, arguments = layer.methods["backward"], layer.arguments("backward")
    if not arguments:
        return QUESTION
    gradients, reads, (tops, followed) = (
        [],
        False,
        handed_over(layer, backward, arguments),
    )
    for function in tops:
        parents = {
            x: node for node in ast.walk(function) for x in ast.iter_child_nodes(node)
        }
        others = {
            *tops[function],
            *layer.source.names,
            arguments["self"],
            "self",
            "blobs",
            None,
        }
        gradients += [
            layer.finding(
                function, node, f"ignores {arguments['top']}[0].diff, {MULTIPLY}"
            )
            for node in nodes(function, ast.Attribute)
            if node.attr == "diff"
            and root(node) not in others
            and not stays_zero(layer, parents, node)
        ]
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Name)
                and node.id in tops[function]
                and node not in followed
            ):
                node = parents[node]
                if isinstance(node, ast.Subscript):
                    node = parents[node]
                attribute = node.attr if isinstance(node, ast.Attribute) else None
                length = (
                    isinstance(node, ast.Call)
                    and layer.source.dotted(node.func) == "len"
                )
                read = attribute == "diff" and not stays_zero(layer, parents, node)
                reads |= read or not attribute and not length
    if not gradients:
        return DASH
    return [] if reads else gradients[:1]


def handed_over(layer, backward, arguments):
    """Return backward and what it hands its bottoms to, with their names of top; and the tops."""
    tops, followed = {backward: {arguments["top"]}}, set()
    for call in nodes(backward, ast.Call):
        callees = layer.called(call)
        pairs = [(callee, *pair) for callee in callees for pair in bound(callee, call)]
        if any(root(x) == arguments["bottom"] for _, _, x in pairs) and not callees[1:]:
            whole = [pair for pair in pairs if words_of(pair[2]) == arguments["top"]]
            tops.setdefault(callees[0], set()).update(name for _, name, _ in whole)
            followed |= {x for _, _, x in whole}
    return tops, followed


def stays_zero(layer, parents, node):
    """Whether a diff is only asked for its shape, or set to 0."""
    while (
        isinstance(parents[node], (ast.Attribute, ast.Subscript))
        and parents[node].value is node
    ):
        node = parents[node]
        if isinstance(node, ast.Attribute) and node.attr in (
            "dtype",
            "ndim",
            "shape",
            "size",
        ):
            return True
    use, value = parents[node], None
    if isinstance(use, ast.Assign) and node in use.targets:
        value = use.value
    elif (
        isinstance(use, ast.AugAssign)
        and isinstance(use.op, ast.Mult)
        and node is use.target
    ):
        value = use.value
    elif (
        isinstance(use, ast.Call)
        and isinstance(node, ast.Attribute)
        and node.attr == "fill"
    ):
        value = use.args[0] if use.args else None
    elif isinstance(use, ast.Call) and node in use.args[:1]:
        return layer.source.dotted(use.func).split(".")[-1] in SHAPE_ONLY
    if isinstance(value, ast.Call):
        return layer.source.dotted(value.func).split(".")[-1] in ("zeros", "zeros_like")
    factors = [value]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        factors = [value.left, value.right]
    return any(isinstance(x, ast.Constant) and x.value == 0 for x in factors)


def indexes_blobs(layer):
    findings, known = [], names_of_blobs(layer)
    for function in known:
        for node in ast.walk(function):
            for x in iterated(layer, node):
                if whole(x) in known[function]:
                    text = "blobs can be indexed but not iterated in pycaffe, it is a TypeError: "
                    text += f"write for i in range(len({whole(x)}))"
                    findings.append(layer.finding(function, x, text))
    for function, arguments in layer.caffe_methods("forward", "backward"):
        if arguments.get("propagate_down") in words(ast.Module(function.body, [])):
            continue
        for loop in nodes(function, ast.For, ast.While):
            if any(goes_through(loop, x, arguments["bottom"]) for x in written(loop)):
                text = "writes every bottom's diff unasked: put if propagate_down[i]: before it"
                if "propagate_down" not in arguments:
                    text = "forward writes every bottom's diff: that is for backward"
                findings.append(layer.finding(function, loop, text))
    return sorted(set(findings))


def names_of_blobs(layer):
    """Return the words of each function that are blobs: bottom, and x where x is only bottom."""
    known = {function: set() for function in layer.reach()}
    known.update(
        (function, {*blobs.values()}) for function, blobs in layer.handed(*SIGNATURES)
    )
    given, attributes = set(), set()
    for function, names in known.items():
        for node in nodes(function, ast.Assign):
            if whole(node.value) in names:
                given |= set(node.targets)
                names |= {words_of(x) for x in node.targets} - {""}
        attributes |= {x for x in names if x.startswith("self.")}
    for function, names in known.items():
        for x in nodes(function, ast.Name, ast.Attribute):
            if isinstance(x.ctx, ast.Store) and x not in given:
                names.discard(words_of(x))
                attributes.discard(words_of(x))
    return {x: {y for y in known[x] if "." not in y} | attributes for x in known}


def whole(node):
    """Return the word of an expression, or of what it is a slice of."""
    while isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        node = node.value
    return words_of(node)


def iterated(layer, node):
    """Return what a node goes through one by one."""
    if isinstance(node, (ast.For, ast.comprehension)):
        return [node.iter]
    if isinstance(node, ast.Starred):
        return [node.value]
    if isinstance(node, ast.Assign) and isinstance(
        node.targets[0], (ast.Tuple, ast.List)
    ):
        return [node.value]
    if isinstance(node, ast.Call) and layer.source.dotted(node.func) in ITERATE:
        return node.args
    return []


def written(tree):
    """Yield what is written in a tree: by assignment, or by numpy's out=, fill and copyto."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from node.targets
        elif isinstance(node, ast.AugAssign):
            yield node.target
        elif isinstance(node, ast.keyword) and node.arg == "out":
            yield node.value
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "fill":
            yield node.func.value
        elif isinstance(node, ast.Call) and name_of(node.func) == "copyto":
            yield from node.args[:1]


def goes_through(loop, node, blobs):
    """Whether a node is blobs[i].diff, with an i that the loop changes."""
    attributes, last = set(), None
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        attributes.add(getattr(node, "attr", None))
        last, node = node, node.value
    if not isinstance(node, ast.Name) or node.id != blobs or "diff" not in attributes:
        return False
    index = words(last.slice) if isinstance(last, ast.Subscript) else set()
    if isinstance(loop, ast.For):
        one = isinstance(loop.iter, (ast.List, ast.Tuple)) and len(loop.iter.elts) == 1
        return bool(index & given(loop.target)) and not one
    return bool(index & {word for x in written(loop) for word in given(x)})


def shapes_in_reshape(layer):
    if "setup" not in layer.methods:
        return unseen(layer)
    if not layer.arguments("setup"):
        return QUESTION
    later, users = (
        layer.reach("reshape", "forward"),
        layer.reach("reshape", "forward", "backward"),
    )
    again, used = (
        set().union(*map(remade, later)),
        set().union(*map(batch_words, users)),
    )
    asked = {
        word
        for x in later
        for y in nodes(x, ast.If, ast.Assert)
        for word in words(y.test)
    }
    shaped, sized = dependent(layer, {0, 2, 3, NUMBERS}), dependent(layer, {0})
    findings, sizes = [], {}
    for function, target, value in made(layer):
        kept = {word for word in given(target) - again if word.startswith("self.")}
        text = f"{min(kept, default='')} keeps the shape of the first batch: set it in reshape"
        calls = [
            layer.finding(function, call, text)
            for call in nodes(value, ast.Call, ast.Subscript)
            if kept
            and allocates(call)
            and shaped(function, getattr(call, "slice", call))
        ]
        findings += calls
        if not calls and words_of(target) in kept & used and sized(function, value):
            sizes[words_of(target)] = layer.finding(function, target, text)
    if not asked & set(sizes):
        findings += sizes.values()
    tops = any(
        x.attr in ("reshape", "reshape_like")
        for function in later
        for x in nodes(function, ast.Attribute)
    )
    for function, blobs in layer.handed("setup"):
        for call in nodes(function, ast.Call):
            of_top = "top" in blobs and root(call.func) == blobs["top"]
            if of_top and shaped(function, call) and not tops:
                text = "the top keeps the shape of the first batch: shape it in reshape"
                findings.append(layer.finding(function, call, text))
    if layer.elsewhere and (
        findings or not {"reshape", "forward"} <= set(layer.methods)
    ):
        return QUESTION
    return sorted(set(findings))


def allocates(node):
    """Whether a node makes an array: np.zeros(...) or np.mgrid[...]."""
    if isinstance(node, ast.Call):
        return name_of(node.func) in ALLOCATE
    return name_of(node.value) in GRIDS


def made(layer):
    """Yield function, target and value of what setup gives a value, a tuple element by element."""
    for function in layer.reach("setup"):
        for target, value in flows(function):
            if not isinstance(target, ast.Tuple):
                yield function, target, value
            elif isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
                yield from ((function, x, y) for x, y in zip(target.elts, value.elts))
            else:
                for i, x in enumerate(target.elts):
                    item = ast.Subscript(value, ast.Constant(i))
                    yield function, x, ast.copy_location(item, value)


def dependent(layer, axes):
    """Return a test whether an expression in setup depends on these axes of a bottom's shape."""
    blobs, known = dict(layer.handed("setup")), set()
    parts = {x: parts_of(layer, x, blobs[x].get("bottom")) for x in blobs}
    blob_names = {
        function: {
            x for x, part in found.items() if not {0, 1, 2, 3} & set(axes_of(part))
        }
        for function, found in parts.items()
    }

    def key(function, word):
        return word if word.startswith("self.") else (function, word)

    def test(function, node):
        bottom, todo = blobs.get(function, {}).get("bottom"), [node]
        for x in todo:
            x = part_of(layer, x, parts.get(function, {}))
            if (
                isinstance(x, (ast.Attribute, ast.Subscript))
                and bottom
                and root(x) == bottom
            ):
                if axes & set(axes_of(x)):
                    return True
            elif isinstance(x, ast.Subscript) and not axes & set(
                part(AXES["shape"], x.slice)
            ):
                pass
            elif (
                isinstance(x, ast.Call)
                and x.args
                and layer.source.dotted(x.func) == "len"
            ):
                x = part_of(layer, x.args[0], parts.get(function, {}))
                size = ast.Subscript(ast.Attribute(x, "shape"), ast.Constant(0))
                if (
                    root(x) == bottom
                    and axes_of(x) == (NUMBERS,)
                    and axes & set(axes_of(size))
                ):
                    return True
            elif isinstance(x, ast.Compare) or is_ratio(function, bottom, x):
                pass
            elif key(function, words_of(x)) in known:
                return True
            else:
                todo += ast.iter_child_nodes(x)
        return False

    def is_ratio(function, bottom, node):
        """Whether a node is bottom[0].count / bottom[0].num or the like."""
        return (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, (ast.Div, ast.FloorDiv))
            and all(
                any(
                    x == bottom
                    or key(function, x) in known
                    or x in blob_names.get(function, ())
                    for x in words(side)
                )
                for side in (node.right, node.left)
            )
        )

    pairs = [
        (x, {key(x, word) for word in given(target)}, y) for x, target, y in made(layer)
    ]
    for function in layer.reach("setup"):
        for call in nodes(function, ast.Call):
            for callee in layer.called(call):
                pairs += [(function, {(callee, x)}, y) for x, y in bound(callee, call)]
    before = None
    while before != len(known):
        before = len(known)
        for function, names, value in pairs:
            if names - known and test(function, value):
                known |= names
    return test


def parts_of(layer, function, bottom):
    """Return the names that stand for a part of a bottom, {"x": bottom[0].data}, in few words."""
    found = {}
    names = nodes(function, ast.Name)
    stored = collections.Counter(x.id for x in names if isinstance(x.ctx, ast.Store))
    for node in nodes(function, ast.Assign):
        value, names = (
            part_of(layer, node.value, found),
            [words_of(x) for x in node.targets],
        )
        if bottom and root(value) == bottom and len(list(ast.walk(value))) < 100:
            found.update((x, value) for x in names if stored[x] == 1)
    return found


def part_of(layer, node, names):
    """Return a part of a blob without names for its own parts, and np.shape(x) as x.shape."""
    above, start, known = [], node, False
    while isinstance(start, (ast.Attribute, ast.Call, ast.Subscript)):
        if isinstance(start, ast.Call):
            if not start.args or layer.source.dotted(start.func) != "numpy.shape":
                return node
            start, known = ast.Attribute(start.args[0], "shape"), True
        above.append(start)
        start = start.value
    if not known and words_of(start) not in names:
        return node
    start = names.get(words_of(start), start)
    for x in reversed(above):
        x = copy.copy(x)
        x.value, start = start, x
    return start


def axes_of(node):
    """Return the axes of its shape that a part of a blob depends on, or NUMBERS."""
    indices = []
    while getattr(node, "attr", None) not in AXES:
        if not isinstance(node, (ast.Attribute, ast.Subscript)):
            return ()
        indices = [node.slice, *indices] if isinstance(node, ast.Subscript) else []
        node = node.value
    axes = AXES[node.attr]
    if (
        isinstance(node.value, ast.Subscript)
        and getattr(node.value.value, "attr", "") == "data"
    ):
        index = node.value.slice
        if not isinstance(index, ast.Slice):
            axes = axes[1:]
        elif index.lower or index.upper or index.step:
            axes = (None, *axes[1:])
    for index in indices if "shape" in node.attr else ():
        axes = part(axes, index)
    return axes


def part(axes, index):
    """Return those of some axes that an index takes; none where the text does not tell."""
    try:
        if isinstance(index, ast.Slice):
            ends = (index.lower, index.upper, index.step)
            return axes[slice(*[x and ast.literal_eval(x) for x in ends])]
        return axes[index.value : index.value + 1]
    except (AttributeError, TypeError, ValueError):
        return ()


def batch_words(function):
    """Return the words of a function, but x of x[1], x[2:] or len(x), which are not of axis 0."""
    found, todo = set(), [function]
    for x in todo:
        if isinstance(x, ast.Subscript) and 0 not in part(AXES["shape"], x.slice):
            todo += [x.slice, *ast.iter_child_nodes(x.value)]
        elif name_of(getattr(x, "func", None)) != "len":
            found.add(words_of(x))
            todo += ast.iter_child_nodes(x)
    return found


def name_of(function):
    """Return the last word of what is called."""
    return getattr(function, "attr", getattr(function, "id", ""))


def remade(function):
    """Return the words self.x of attributes that get a new value, not only new elements."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(words_of(node))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "resize":
            found |= words(node.func)
    return found


def is_quiet(layer):
    functions = layer.reach("reshape", "forward", "backward", walk=every_pass)
    if not functions:
        return unseen(layer)
    text = "prints in every pass: use the logging module, or put an if before it"
    return sorted(
        layer.finding(function, node, text)
        for function in functions
        for node in every_pass(function)
        if isinstance(node, ast.Call) and layer.source.dotted(node.func) in PRINT
    )


# To add a check: its column, what a tick means, and its function.
CHECKS = (
    ("tests", "a test_*.py names the class, or its module where that has no other; not one that\n"
     "means a class of that name in another file", has_tests),
    ("fragment", "each python_param that names its module or class fits both", matches_fragment),
    ("params", "values of param_str are checked: an if with a raise, an assert", checks_params),
    ("eval", "no eval, exec, execfile, unsafe yaml.load or pickled param_str, also in what it\n"
     "calls in its file", has_no_eval),
    ("top diff", "a backward that writes a gradient reads a top's diff, by itself or in what it\n"
     "hands its bottoms to", uses_top_diff),
    ("bottoms", "no `for x in bottom` or max(bottom), which is a TypeError in pycaffe; no loop\n"
     "that writes the diffs of all bottoms unless it asks propagate_down", indexes_blobs),
    ("setup", "what has the shape of a bottom or its batch size is not set in setup only",
     shapes_in_reshape),
    ("prints", "reshape, forward and backward print only under an if", is_quiet),
)  # fmt: skip

MEANINGS = "".join(
    f"  {name:10}{meaning.replace(chr(10), chr(10) + ' ' * 12)}\n"
    for name, meaning, _ in CHECKS
)
EXAMPLES = f"""what a tick means:
{MEANINGS}
{LEGEND}
exit code: 0 no finding, 1 findings, 2 wrong usage

example:
  caffe-pylayer audit ~/caffe/python
"""


# The command


def table(rows):
    """Return the lines of a table of texts, its columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.center(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def report(folder):
    """Return the lines of the report, and the findings in it."""
    rows, findings = [["layer", "file", *(name for name, _, _ in CHECKS)]], []
    for layer in folder.layers:
        results = [check(layer) for _, _, check in CHECKS]
        marks = [x if isinstance(x, str) else CROSS if x else TICK for x in results]
        rows.append([layer.name, f"{layer.source.path}:{layer.node.lineno}", *marks])
        findings += [
            x for result in results if isinstance(result, list) for x in result
        ]
    for problem in folder.unparsable:
        rows.append([DASH, f"{problem.path}:{problem.line}", *QUESTION * len(CHECKS)])
        findings.append(problem)
    if len(rows) == 1:
        return ["no Python layer here: no class that derives from caffe.Layer"], []
    findings = list(dict.fromkeys(findings))
    lines = [
        *table([[printable(cell) for cell in row] for row in rows]),
        "",
        LEGEND,
        "",
    ]
    for path, line, who, text in findings:
        lines.append(f"{path}:{line}: {who + ': ' if who else ''}{text}")
    lines.append(f"{len(folder.layers)} layers, {len(findings)} findings")
    return [printable(line) for line in lines], findings


def printable(text):
    """Return the text without control characters and half characters."""
    return "".join(
        x if x.isprintable() else x.encode("unicode_escape").decode() for x in text
    )


def main(parser, given):
    sys.stdout.reconfigure(errors="backslashreplace")
    parser.add_argument(
        "dir", metavar="DIR", help="where the layers are, their nets and tests"
    )
    folder = os.path.expanduser(parser.parse_args(given).dir)
    if not os.path.isdir(folder):
        parser.error(f"expected a folder, got {folder!r}")
    lines, findings = report(Folder(os.path.normpath(folder)))
    text = "\n".join(lines)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = text.translate(str.maketrans(ASCII))
    print(text)
    return 1 if findings else 0
