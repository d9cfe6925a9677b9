"""Give each line of param_strs.json to a layer's setup: param_strs_script.py FOLDER MODULE CLASS.

Prints {"taken": how many, "refused": how many, "longest": message}; ends at the first that is
neither taken nor refused with a ValueError of one line, or that takes more than five seconds.
"""

from __future__ import print_function

import io
import json
import os
import resource
import signal
import sys
import types

try:
    import caffe
except ImportError:  # Python 2.7, which has no numpy in the Debian root
    caffe = sys.modules["caffe"] = types.ModuleType("caffe")
    caffe.Layer, caffe.TRAIN, caffe.TEST = object, 0, 1
    caffe.solver_rank, caffe.solver_count = int, lambda: 1
    sys.modules["numpy"] = types.ModuleType("numpy")


def stop(*_):
    raise SystemExit("more than five seconds")


def main(folder, module, name, bottoms, tops):
    sys.path.insert(0, folder)
    kind = getattr(__import__(module), name)
    kind.make_samples = lambda self: []
    signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    counts = {"taken": 0, "refused": 0, "longest": ""}
    for line in io.open(os.path.join(folder, "param_strs.json"), encoding="ascii"):
        text = json.loads(line)
        layer = kind() if caffe.Layer is object else kind.__new__(kind)
        layer.phase = caffe.TRAIN
        layer.param_str = text if sys.version_info > (3,) else text.encode("utf-8")
        signal.alarm(5)
        try:
            layer.setup([0] * int(bottoms), [0] * int(tops))
            counts["taken"] += 1
        except ValueError as error:
            counts["refused"] += 1
            message = str(error)
            assert "\n" not in message and len(message) < 300, message
            counts["longest"] = max(counts["longest"], message, key=len)
        signal.alarm(0)
    print(json.dumps(counts))


main(*sys.argv[1:])
