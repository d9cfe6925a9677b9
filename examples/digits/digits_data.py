"""A Python layer for Caffe: batches of digits.npz, in turn; see train.prototxt."""

import caffe
import numpy as np

BATCH = 50


class DigitsDataLayer(caffe.Layer):
    """Give images and labels.

    Tops:
        image: (50, 1, 8, 8), 0 to 1
        label: (50,), whole numbers 0 to 9
    """

    def setup(self, bottom, top):
        """Read the file in the current folder."""
        with np.load("digits.npz") as file:
            self.arrays = file["images"], file["labels"]
        self.first = 0

    def reshape(self, bottom, top):
        """Give each top the shape of a batch."""
        for i, array in enumerate(self.arrays):
            top[i].reshape(BATCH, *array.shape[1:])

    def forward(self, bottom, top):
        """Give the next batch, from the start again after the last."""
        rows = np.arange(self.first, self.first + BATCH) % len(self.arrays[0])
        for i, array in enumerate(self.arrays):
            top[i].data[...] = array[rows]
        self.first += BATCH

    def backward(self, top, propagate_down, bottom):
        """Do nothing: there is no bottom."""
