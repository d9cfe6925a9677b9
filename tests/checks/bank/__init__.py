"""Layers as strangers write them, right in Caffe, and their wrong twins.

LAYERS of each module has by name

    body     the module, but for its first lines `import caffe` and `import numpy as np`
    blobs    the fragment, but for name, type and python_param
    param_str  if it has one
    bottoms  the list that make_bottoms returns
    tops     the list that expected_tops returns, or None; or, instead of both,
    test     the functions of the test
    check    further arguments of check(...)
    net      the text of net.prototxt beside the fragment
    options  of pytest; a layer or twin with --timeout has a run of its own
    twins    rows of
        name; what stands exactly once in module, fragment or test; what is put there, where @ is
            what stood there; both are tuples where there are several edits
        the check that must be red, "any" of them, and options (--strict: advice is enough)
        a pattern that its message must match; with --strict the right layer gets no such advice
"""
