"""The pictures of `caffe-pylayer trace --plot DIR`: histograms for each layer, and the net."""

import os
import re
import sys

import numpy as np

from . import CommandError

BINS = 40
ROWS = 12  # of a picture
BLUE, ORANGE, GRAY, RED = "#3b6fb6", "#d9822b", "#666666", "#b3261e"


def need_matplotlib():
    """Return matplotlib.pyplot that draws without a screen; CommandError without it."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError as error:
        raise CommandError(
            "--plot needs matplotlib: %s -m pip install matplotlib (%s)"
            % (sys.executable, error)
        )
    return pyplot


class Histogram(object):
    """What is kept of an array: its counts, and what has no place in them."""

    def __init__(self, array):
        finite = array[np.isfinite(array)].astype(np.float64)
        self.size, self.bad = array.size, array.size - finite.size
        self.zeros = array.size - np.count_nonzero(array)
        self.mean = finite.mean() if finite.size else None
        self.counts = self.edges = None
        if finite.size:
            low, high = self.low, self.high = finite.min(), finite.max()
            if low == high:
                margin = abs(low) or 1.0
                low, high = low - margin, high + margin
            self.counts, self.edges = np.histogram(finite, BINS, (low, high))


class Plots(object):
    """The histograms of data and diff of each blob of each layer, in the order of the run."""

    def __init__(self, folder):
        self.folder, self.pyplot = folder, need_matplotlib()
        if not os.path.isdir(folder):
            os.makedirs(folder)
        self.layers, self.current = [], None

    def start(self, name, kind):
        """Take what follows as that of a layer."""
        for layer in self.layers:
            if layer[0] == name:
                self.current = layer
                return
        self.current = (name, kind, [])
        self.layers.append(self.current)

    def add(self, kind, name, shape, which, array):
        """Keep the data or diff of a blob; None for a diff that was not written."""
        rows = self.current[2]
        for row in rows:
            if row[:2] == (kind, name):
                break
        else:
            row = (kind, name, shape, {})
            rows.append(row)
        row[3][which] = None if array is None else Histogram(array)

    def save(self):
        """Write a picture for each layer and return their paths."""
        order = {"bottom": 0, "weight": 1, "top": 2}
        paths = []
        for number, (name, kind, rows) in enumerate(self.layers, 1):
            rows = sorted(rows, key=lambda row: order[row[0]])
            for page in range(0, len(rows), ROWS):
                file = "%02d_%s" % (number, re.sub(r"[^\w.-]", "_", name))
                file += "_%d" % (page // ROWS + 1) if len(rows) > ROWS else ""
                paths.append(os.path.join(self.folder, file + ".png"))
                self.draw(paths[-1], name, kind, rows[page : page + ROWS])
        return paths

    def draw(self, path, name, kind, rows):
        height = 1.7 * len(rows) + 0.7
        figure, axes = self.pyplot.subplots(
            len(rows), 2, squeeze=False, figsize=(10, height)
        )
        for i, (role, blob, shape, found) in enumerate(rows):
            for axis, which, color in zip(axes[i], ("data", "diff"), (BLUE, ORANGE)):
                self.draw_one(axis, found, which, color)
                if i == 0:
                    axis.set_title(
                        which, loc="left", fontsize=12, color=color, fontweight="bold"
                    )
            axes[i][0].set_ylabel(
                "%s\n%s\n%s" % (role, plain(blob), plain(shape)),
                rotation=0,
                ha="right",
                va="center",
                labelpad=34,
                fontsize=9,
            )
        figure.suptitle(
            "%s (%s)" % (plain(name), kind), fontsize=13, y=1 - 0.12 / height
        )
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.1 / height))
        figure.savefig(path, dpi=110)
        self.pyplot.close(figure)

    def draw_one(self, axis, found, which, color):
        histogram = found.get(which)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        axis.tick_params(labelsize=8)
        text = ""
        if histogram is None:
            text = "not written" if which in found else "nothing to show"
        elif histogram.counts is None:
            text = "all NaN or Inf"
        elif histogram.low == histogram.high:
            text = "%s %.4g" % ("all" if histogram.size > 1 else "=", histogram.low)
        if text and not (histogram and histogram.counts is not None and histogram.bad):
            axis.text(
                0.5,
                0.5,
                text,
                ha="center",
                va="center",
                fontsize=9 if histogram is None else 12,
                color=GRAY if histogram is None else color,
            )
            axis.set_xticks([])
            axis.set_yticks([])
            return
        edges = histogram.edges
        widths = edges[1:] - edges[:-1]
        axis.bar(edges[:-1], histogram.counts, widths, align="edge", color=color)
        if max(histogram.counts) > 50 * np.median(
            histogram.counts[histogram.counts > 0]
        ):
            axis.set_yscale("log")
        axis.axvline(histogram.mean, color="black", linewidth=1, linestyle="--")
        text = "mean %.3g" % histogram.mean
        if histogram.zeros:
            text += ", zeros %.3g%%" % (100.0 * histogram.zeros / histogram.size)
        axis.text(
            1, 1.02, text, ha="right", transform=axis.transAxes, fontsize=8, color=GRAY
        )
        if histogram.bad:
            axis.text(
                0,
                1.02,
                "! %d NaN or Inf" % histogram.bad,
                transform=axis.transAxes,
                fontsize=8,
                color=RED,
            )


def plain(text):
    """Return a text of which matplotlib makes no formula."""
    return ("%s" % text).replace("$", r"\$")


def draw_net(net, folder):
    """Draw the net in a file by caffe.draw; return the path, or why there is none."""
    path = os.path.join(folder, "net.png")
    try:
        from caffe import draw
        from caffe.proto import caffe_pb2
        from google.protobuf import text_format

        message = caffe_pb2.NetParameter()
        with open(net) as stream:
            text_format.Merge(stream.read(), message)
        draw.draw_net_to_file(message, path, "TB" if len(message.layer) < 40 else "LR")
        return path, None
    except Exception as error:
        if os.path.exists(path):  # opened before dot was looked for
            os.remove(path)
        why = (("%s" % error).splitlines() or [type(error).__name__])[0][:100]
        text = "no net.png (%s): it takes Caffe, graphviz and %s -m pip install pydot"
        python = os.path.basename(sys.executable)
        return None, text % (why[:25], python)
