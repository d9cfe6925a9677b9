"""What `caffe-pylayer audit` finds in the Python layers of a folder: a row of FINDINGS each.

A finding's function takes a Layer and returns a list of findings, or DASH where it does not apply,
or QUESTION where the text does not tell. In doubt it is silent: a cross has to be worth a look.
"""

# What a class inherits from a class under the folder is known; where the base class is elsewhere,
# the functions say QUESTION of the methods that it lacks.

import ast
import builtins
import collections
import copy
import difflib
import os

from .python_layers import (
    BLOB,
    DATA,
    DIFF,
    LIST,
    PARAM_STR,
    UNREADABLE,
    Finding,
    Part,
    bound,
    dotted,
    every_pass,
    flows,
    given,
    name_of,
    nodes,
    root,
    spread,
    words,
    words_of,
)

QUESTION, DASH = "?", "-"
WRONG, RULE = "wrong in Caffe", "house rule"
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
SHAPE_AXES = {0, 2, 3, NUMBERS}
WHOLE_TOPS = (Part("top", LIST), Part("top", BLOB))
# What writes an array: its methods, what does it to the first argument, and of these what adds.
FILLING = {"fill", "itemset", "partition", "put", "sort"}
COPYING = {"copyto", "fill_diagonal", "place", "put", "putmask", "shuffle"}
ADDS = {"numpy.add.at", "numpy.subtract.at"}
AXES = dict.fromkeys(("count", "legacy_shape", "shape", "size"), (0, 1, 2, 3))
AXES.update({"num": (0,), "channels": (1,), "height": (2,), "width": (3,)})
AXES.update({"data": (NUMBERS,), "diff": (NUMBERS,), "dtype": (), "ndim": ()})


def unseen(layer):
    """Return what is said of a method that a layer lacks, unless a base class may have it."""
    return QUESTION if layer.elsewhere else DASH


def or_unseen(layer, findings, *methods):
    """Return the findings; where there are none, whether the layer has what would have them."""
    if findings or set(methods) <= set(layer.methods) or not layer.elsewhere:
        return findings
    return QUESTION


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
        elif test.has_test and is_of_its_fragment(layer, path):
            return []
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


def is_of_its_fragment(layer, path):
    """Whether a test is the tests/test_NAME.py beside a NAME.prototxt of the layer."""
    folder, file = os.path.split(path)
    name = os.path.splitext(file)[0][len("test_") :]
    fragment = os.path.join(os.path.dirname(folder), name + ".prototxt")
    return any(
        (os.path.normpath(x.path), x.layer) == (os.path.normpath(fragment), layer.name)
        and x.module.split(".")[-1] == layer.source.module[-1]
        for x in layer.folder.fragments
    )


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
    for path, line, wanted, name, _ in folder.fragments:
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
            findings.append(Finding(path, line, layer.name, text, ""))
    return findings or ([] if seen else DASH)


def reads_of_params(layer):
    return [
        (function, node)
        for function in layer.reach()
        for node in nodes(function, ast.Attribute)
        if node.attr in PARAM_STR and isinstance(node.ctx, ast.Load)
    ]


def reads_old_name(layer):
    reads = reads_of_params(layer)
    gone = [layer.finding(*x, GONE) for x in reads if x[1].attr == "param_str_"]
    return gone or ([] if reads else unseen(layer))


def checks_params(layer):
    functions, reads = layer.reach(), reads_of_params(layer)
    if not reads:
        return unseen(layer)
    pairs = [pair for function in functions for pair in layer.all_flows(function)]
    about = spread(["param_str"], [(names, words(value)) for names, value in pairs])
    if any(
        is_check(layer, node, about)
        for function in functions
        for node in ast.walk(function)
    ):
        return []
    whole = layer.whole_params()
    for function in functions:
        for call in nodes(function, ast.Call):
            plain = [x for x in call.args if isinstance(x, (ast.Name, ast.Attribute))]
            handed_on = any(words(x) & whole or words_of(x) == "self" for x in plain)
            if handed_on and is_elsewhere(layer, call):
                return QUESTION
    if layer.elsewhere:
        return QUESTION
    text = "uses param_str unchecked: raise ValueError for an unknown, missing or mistyped key"
    return [layer.finding(*reads[0], text)]


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


def is_elsewhere(layer, call):
    """Whether a call runs code of another file, which may check what it is given."""
    name = dotted(call.func)
    attribute = getattr(call.func, "attr", "")
    if layer.called(call) or any(hasattr(x, attribute) for x in (dict, list, set, str)):
        return False
    return name.split(".")[0] not in PARSERS and not hasattr(builtins, name)


def has_no_eval(layer):
    findings = []
    for function in layer.reach():
        for node in nodes(function, ast.Call):
            name = dotted(node.func)
            if name in CALLERS and node.args:
                name = dotted(node.args[0])
            better = RUNS.get(name.replace("__builtin__.", "").replace("builtins.", ""))
            if name == "yaml.load":
                loader = node.args[1:] + [
                    x.value for x in node.keywords if x.arg == "Loader"
                ]
                if not loader or dotted(loader[0]).split(".")[-1] in UNSAFE:
                    name, better = "yaml.load without a safe Loader", "safe_load"
            elif name.lower().endswith("pickle.loads") and "param_str" in words(node):
                better = "json.loads"
            if better:
                text = f"{name} runs whatever the text says: use {better}"
                findings.append(layer.finding(function, node, text))
    return or_unseen(layer, findings, "setup")


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
            *function.source.names,
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
                length = isinstance(node, ast.Call) and dotted(node.func) == "len"
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
    use = parents[node]
    if isinstance(use, ast.Call) and node in use.args[:1]:
        if name_of(use.func) in SHAPE_ONLY:
            return True
    targets = (node, getattr(node, "value", None))  # the second for bottom[0].diff.fill
    return any(x.target in targets and is_zero(x.value) for x in written(use))


def is_zero(value):
    """Whether a value that is put into an array, or multiplies it, makes it 0."""
    if isinstance(value, ast.Call):
        return dotted(value.func).split(".")[-1] in ("zeros", "zeros_like")
    factors = [value]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        factors = [value.left, value.right]
    return any(isinstance(x, ast.Constant) and x.value == 0 for x in factors)


def iterates(layer):
    findings = []
    for function in layer.reach():
        for node in ast.walk(function):
            for x in iterated(layer, node):
                part = layer.part(function, x)
                if part and part.level == LIST and part.blobs != "weight":
                    text = "blobs can be indexed but not iterated in pycaffe, it is a TypeError: "
                    text += f"write for i in range(len({whole(x)}))"
                    findings.append(layer.finding(function, x, text))
    return or_unseen(layer, sorted(set(findings)), "forward", "backward")


def writes_unasked(layer):
    findings = []
    for function, arguments in layer.caffe_methods("forward", "backward"):
        if arguments.get("propagate_down") in words(ast.Module(function.body, [])):
            continue
        for loop in nodes(function, ast.For, ast.While):
            if any(
                goes_through(loop, x.target, arguments["bottom"]) for x in written(loop)
            ):
                text = "writes every bottom's diff unasked: put if propagate_down[i]: before it"
                if "propagate_down" not in arguments:
                    text = "forward writes every bottom's diff: that is for backward"
                findings.append(layer.finding(function, loop, text))
    return findings


def writes_of(layer, blobs, level, *methods):
    """Yield the function and the Written for each write of these parts when these methods run."""
    for function in layer.reach(*methods):
        for x in written(function):
            if layer.part(function, x.array) == Part(blobs, level):
                yield function, x


def writes_bottom(layer):
    text = (
        "writes a bottom, which other layers read, too: write a copy of it, or the top"
    )
    passes = ("reshape", "forward", "backward")
    return [
        layer.finding(function, x.target, text)
        for function, x in writes_of(layer, "bottom", DATA, *passes)
    ]


def adds_to_bottom_diff(layer):
    writes = list(writes_of(layer, "bottom", DIFF, "reshape", "forward", "backward"))
    clean = [index_of(x.target) for _, x in writes if not x.adds]
    text = "adds to a bottom's diff, which holds the last pass's: begin with = or with fill(0)"
    return [
        layer.finding(function, x.target, text)
        for function, x in writes
        if x.adds and not any(may_be_one(index_of(x.target), y) for y in clean)
    ]


def index_of(node):
    """Return the number i of bottom[i].diff, or None where it is not a number in the text."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        index, node = getattr(node, "slice", None), node.value
        if isinstance(node, ast.Name):
            return getattr(index, "value", None)
    return None


def may_be_one(index, other):
    return index is None or other is None or index == other


def replaces_weight_diff(layer):
    writes = list(writes_of(layer, "weight", DIFF, "backward"))
    if not writes:
        return [] if "self.blobs" in words(layer.node) else unseen(layer)
    text = (
        "replaces a weight's diff, in which Caffe sums gradients (iter_size): write +="
    )
    adds = any(x.adds for _, x in writes)
    return [
        layer.finding(function, x.target, text)
        for function, x in writes
        if not x.adds
        and (adds or not is_zero(x.value))
        and not any(
            layer.part(function, y) == Part("weight", DIFF)
            for source in x.sources
            for y in ast.walk(source)
        )
    ]


def assigns_attribute(layer):
    text = "cannot be set, it is an AttributeError: write into it, {}[...] ="
    return [
        layer.finding(
            function, x.target, f"{x.target.attr} {text.format(x.target.attr)}"
        )
        for function in layer.reach()
        for x in written(function)
        if isinstance(x.target, ast.Attribute)
        and x.target.attr in (DATA, DIFF)
        and x.is_assignment
        and getattr(layer.part(function, x.target.value), "level", "") == BLOB
    ]


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
    if isinstance(node, ast.Call) and dotted(node.func) in ITERATE:
        return node.args
    return []


Written = collections.namedtuple(
    "Written", "target array adds value sources is_assignment"
)


def written(tree):
    """Yield a Written for each array that is written: by =, out=, fill, copyto and their like.

    target is the node that stands there, array what is written, adds whether it keeps what was in
    it, value the one number or array that is put into it, and sources all that it is made of.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                todo = getattr(target, "elts", [target])
                yield from (
                    Written(x, array_of(x), False, node.value, [node.value], True)
                    for x in todo
                )
        elif isinstance(node, ast.AugAssign):
            adds = isinstance(node.op, (ast.Add, ast.Sub))
            array = array_of(node.target) or node.target
            value = node.value if isinstance(node.op, ast.Mult) else None
            yield Written(
                node.target, array, adds, value, [node.target] * (not adds), True
            )
        elif isinstance(node, ast.Call):
            name, adds = name_of(node.func), dotted(node.func) in ADDS
            sources = [*node.args, *(x.value for x in node.keywords if x.arg != "out")]
            outs = [x.value for x in node.keywords if x.arg == "out"]
            if name in FILLING and isinstance(node.func, ast.Attribute):
                outs.append(node.func.value)
            if name in COPYING or adds:
                outs += sources[:1]
                sources = sources[1:]
            value = sources[0] if name in ("fill", "copyto") and sources else None
            yield from (
                Written(x, array_of(x, False), adds, value, sources, False)
                for x in outs
            )


def array_of(target, assigned=True):
    """Return the array that is written where this stands left of a =, or is handed over."""
    if isinstance(target, ast.Subscript) and assigned:
        return target.value
    return None if assigned and words_of(target) else target


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
    return bool(index & {word for x in written(loop) for word in given(x.target)})


def unseen_setup(layer):
    """Return what is said of a setup that is not here, or None."""
    if "setup" not in layer.methods:
        return unseen(layer)
    return None if layer.arguments("setup") else QUESTION


def of_setup(layer, findings):
    """Return these findings, unless a base class may do again what setup does."""
    if layer.elsewhere and (
        findings or not {"reshape", "forward"} <= set(layer.methods)
    ):
        return QUESTION
    return sorted(set(findings))


def keeps_shape(layer):
    if unseen_setup(layer):
        return unseen_setup(layer)
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
    shaped, sized = dependent(layer, SHAPE_AXES), dependent(layer, {0})
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
    return of_setup(layer, findings)


def shapes_top_once(layer):
    if unseen_setup(layer):
        return unseen_setup(layer)
    shaped = dependent(layer, SHAPE_AXES)
    text = "the top keeps the shape of the first batch: shape it in reshape"
    findings = [
        layer.finding(function, call, text)
        for function, call in shapings(layer, "setup")
        if shaped(function, call)
    ]
    if any(shapings(layer, "reshape", "forward", maybe=True)):
        findings = []
    return of_setup(layer, findings)


def shapings(layer, *methods, maybe=False):
    """Yield the function and the call for each reshape of a top; or what may do it elsewhere."""
    for function in layer.reach(*methods):
        for call in nodes(function, ast.Call):
            of = getattr(call.func, "value", None)
            shapes = name_of(call.func) in ("reshape", "reshape_like")
            if shapes and layer.part(function, of) == Part("top", BLOB):
                yield function, call
            elif maybe and dotted(call.func) != "len" and not layer.called(call):
                handed = [*call.args, *(x.value for x in call.keywords)]
                if any(layer.part(function, x) in WHOLE_TOPS for x in handed):
                    yield function, call


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
            elif isinstance(x, ast.Call) and x.args and dotted(x.func) == "len":
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
            if not start.args or dotted(start.func) != "numpy.shape":
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
        if isinstance(node, ast.Call) and dotted(node.func) in PRINT
    )


def has_base(layer):
    if layer.derives:
        return QUESTION if layer.elsewhere else []
    text = (
        "has Caffe's four methods but no base class caffe.Layer: Caffe cannot make it"
    )
    return [
        layer.finding(
            None, layer.node, f"{text}, write class {layer.name}(caffe.Layer):"
        )
    ]


Row = collections.namedtuple("Row", "code name level function text")

# To add a finding: its code, its column in the table, WRONG or RULE, its function, and what is
# wrong. It is explained in docs/audit.md.
FINDINGS = tuple(Row(*x) for x in (
    (UNREADABLE, "file", WRONG, None, "a file that no Python or Caffe can read"),
    ("CPL102", "base", WRONG, has_base, "Caffe's four methods, but no caffe.Layer"),
    ("CPL103", "fragment", WRONG, matches_fragment, "a net names a class that is not there"),
    ("CPL104", "params", WRONG, reads_old_name, "param_str_, which is gone since Caffe 1.0"),
    ("CPL105", "top diff", WRONG, uses_top_diff, "backward ignores the top's diff"),
    ("CPL106", "blobs", WRONG, iterates, "goes through bottom or top as through a list"),
    ("CPL107", "blobs", WRONG, writes_unasked, "writes diffs that propagate_down does not ask for"),
    ("CPL108", "blobs", WRONG, writes_bottom, "writes a bottom"),
    ("CPL109", "blobs", WRONG, adds_to_bottom_diff, "adds to a bottom's diff"),
    ("CPL110", "weights", WRONG, replaces_weight_diff, "replaces a weight's diff"),
    ("CPL111", "blobs", WRONG, assigns_attribute, "sets .data or .diff itself"),
    ("CPL112", "setup", WRONG, keeps_shape, "keeps the shape of the first batch"),
    ("CPL113", "setup", WRONG, shapes_top_once, "shapes a top in setup only"),
    ("CPL201", "tests", RULE, has_tests, "no test names the layer"),
    ("CPL202", "params", RULE, checks_params, "uses values of param_str unchecked"),
    ("CPL203", "eval", RULE, has_no_eval, "eval, exec, unsafe yaml.load or pickled param_str"),
    ("CPL204", "prints", RULE, is_quiet, "prints in every pass"),
))  # fmt: skip
