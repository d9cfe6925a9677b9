# From caffe-pylayer, (c) 2026 its authors, BSD 2-Clause license: see __init__.py
# ruff: noqa
"""Pictures of gradients for --gradient-plot: backward against measured, and where."""

import os
import re

import numpy as np


def save(folder, layer, name, drawn, diff, numeric):
    """Write FOLDER/LAYER-NAME.png from two arrays of the shape of bottom or weight.

    `drawn` says of which batch it is, `diff` is what backward gave, and `numeric` is
    NaN for elements that were not looked at. Without any that was there is no picture.
    """
    if not np.any(np.isfinite(diff - numeric)):
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    looked = np.isfinite(numeric)
    error = np.where(looked, diff - np.where(looked, numeric, 0), np.nan)
    figure = Figure(figsize=(10, 4.5))
    FigureCanvasAgg(figure)
    values, where = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    title = "%s: the gradient of %s, %d of %d elements measured\n%s"
    title %= (layer, name, np.sum(looked), diff.size, drawn)
    figure.suptitle(title)
    ends = [np.nanmin([diff, numeric]), np.nanmax([diff, numeric])]
    values.plot(ends, ends, color="0.7", linewidth=1, label="right")
    values.plot(numeric[looked], diff[looked], ".", color="tab:blue", markersize=5)
    values.set_xlabel("measured by differences of forward")
    values.set_ylabel("given by backward")
    values.legend(loc="upper left")
    rows = error.reshape(len(error) if error.ndim > 1 else 1, -1)
    most = max(np.nanmax(np.abs(error)), 0.01 * np.nanmax(np.abs(numeric))) or 1.0
    image = where.imshow(
        rows,
        cmap="RdBu_r",
        vmin=-most,
        vmax=most,
        aspect="auto",
        interpolation="nearest",
    )
    for axis in (where.xaxis, where.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    where.set_title("backward minus measured")
    where.set_xlabel("all other axes, flattened" if error.ndim > 1 else "axis 0")
    where.set_ylabel("axis 0" if error.ndim > 1 else "")
    figure.colorbar(image, ax=where)
    file = re.sub(r"[^A-Za-z0-9_.-]", "_", "%s-%s.png" % (layer, name))
    figure.savefig(os.path.join(folder, file), dpi=100, metadata={"Title": title})
