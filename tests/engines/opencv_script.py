"""Nets with Python layers: what real Caffe gives, and what OpenCV gives for the same.

`caffe` writes for each layer's folder net.prototxt, net.caffemodel, and batches in io.npz; `opencv`
runs them and prints the largest difference in each layer's tops.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np

BATCHES = (4, 2)


def folders():
    """Return the folders of the layers, which Python finds from now on."""
    found = sorted(path.parent for path in Path().glob("*/tests"))
    sys.path[:0] = [
        str(path) for folder in found for path in (folder, folder / "tests")
    ]
    return [folder for folder in found if (folder / f"{folder.name}.prototxt").exists()]


def names(field, text):
    return re.findall(rf'{field}: "(.*?)"', text)


def read(folder):
    """Return a fragment's text, the blobs it needs, its last layer's name and that one's tops."""
    text = (folder / f"{folder.name}.prototxt").read_text()
    inputs = list(dict.fromkeys(names("bottom", text.split(" top:")[0])))
    last = text.rsplit("layer {", 1)[1]
    return text, inputs, names("name", last)[0], names("top", last)


def of_caffe():
    import caffe

    for folder in folders():
        text, bottoms, _, tops = read(folder)
        make_bottoms = __import__(f"test_{folder.name}").make_bottoms
        batches = [
            make_bottoms(np.random.RandomState(batch), batch) for batch in BATCHES
        ]
        inputs = [
            f'layer {{ name: "in_{bottom}" type: "Input" top: "{bottom}" input_param {{ shape {{ '
            + " ".join(f"dim: {size}" for size in np.shape(array))
            + " } } }\n"
            for bottom, array in zip(bottoms, batches[0])
        ]
        (folder / "net.prototxt").write_text("".join(inputs) + text)
        net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
        for weights in net.params.values():
            for blob in weights:
                blob.data[...] = np.random.RandomState(2).rand(*blob.data.shape)
        if net.params:
            net.save(str(folder / "net.caffemodel"))
        arrays = {}
        for i, batch in enumerate(batches):
            for bottom, array in zip(bottoms, batch):
                net.blobs[bottom].reshape(*np.shape(array))
                net.blobs[bottom].data[...] = array
                arrays[f"{i}_bottom_{bottom}"] = np.asarray(array, np.float32)
            net.forward()
            for j, top in enumerate(tops):
                arrays[f"{i}_top_{j}"] = net.blobs[top].data.copy()
        np.savez(folder / "io.npz", **arrays)


def of_opencv():
    import cv2

    import caffe_pylayer.opencv

    caffe_pylayer.opencv.register()
    found = {}
    for folder in folders():
        files = [folder / "net.prototxt", folder / "net.caffemodel"]
        net = cv2.dnn.readNetFromCaffe(*[str(file) for file in files if file.exists()])
        arrays = np.load(folder / "io.npz")
        _, bottoms, name, last_tops = read(folder)
        worst, compared = 0, 0
        for i in range(len(BATCHES)):
            for bottom in bottoms:
                net.setInput(
                    cv2.Mat(arrays[f"{i}_bottom_{bottom}"], wrap_channels=False), bottom
                )
            (tops,) = net.forwardAndRetrieve([name])
            assert len(tops) == len(last_tops)
            for j, top in enumerate(tops):
                expected = arrays[f"{i}_top_{j}"]
                assert top.size == expected.size, (top.shape, expected.shape)
                worst = max(worst, float(abs(top.ravel() - expected.ravel()).max()))
                compared += top.size
        found[folder.name] = [worst, compared]
    assert "caffe" not in sys.modules
    print(json.dumps(found))


{"caffe": of_caffe, "opencv": of_opencv}[sys.argv[1]]()
