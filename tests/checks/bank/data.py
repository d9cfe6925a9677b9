"""Layers without bottoms, their processes, and layers that end or never end."""

LAYERS = {
    "roidb": dict(  # Fast R-CNN's way: the net is loaded, then gets its data
        body="""
class RoIDataLayer(caffe.Layer):
    def set_roidb(self, roidb):
        self._roidb = roidb
        self._cur = 0
        self._perm = np.random.permutation(np.arange(len(roidb)))

    def setup(self, bottom, top):
        self._name_to_top_map = {'data': 0, 'labels': 1}
        top[0].reshape(2, 3, 4, 4)
        top[1].reshape(2)

    def forward(self, bottom, top):
        if self._cur + 2 > len(self._roidb):
            self._cur = 0
        inds = self._perm[self._cur:self._cur + 2]
        self._cur += 2
        blobs = {'data': np.array([self._roidb[i]['image'] for i in inds]),
                 'labels': np.array([self._roidb[i]['label'] for i in inds])}
        for name, blob in blobs.items():
            ind = self._name_to_top_map[name]
            top[ind].reshape(*blob.shape)
            top[ind].data[...] = blob.astype(np.float32, copy=False)

    def backward(self, top, propagate_down, bottom):
        pass

    def reshape(self, bottom, top):
        pass
""",
        blobs='top: "data" top: "labels" include { phase: TRAIN }',
        test="""
def make_bottoms(rng, batch):
    return []


def expected_tops(bottoms, params):
    return None


def prepare(net):
    rng = np.random.RandomState(0)
    roidb = [{"image": rng.rand(3, 4, 4), "label": i % 5} for i in range(10)]
    net.layers[0].set_roidb(roidb)
""",
        check="prepare=prepare",
        twins=[
            (
                "own generator",
                "np.random.permutation(",
                "np.random.RandomState().permutation(",
                "sequence --strict",
                r"numpy\.random",
            ),
            (
                "nothing said of it",
                "check(make_bottoms, expected_tops, prepare=prepare)",
                "check(make_bottoms, expected_tops)",
                "shapes",
                "_roidb",
            ),
        ],
    ),
    "voc_list": dict(  # fcn's way: loads in reshape, moves on in forward
        body="""
import random


class VOCSegDataLayer(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.random = params.get('randomize', True)
        self.seed = params.get('seed', None)
        if len(top) != 2:
            raise Exception("Need to define two tops: data and label.")
        if len(bottom) != 0:
            raise Exception("Do not define a bottom.")
        self.indices = ['2007_%06d' % i for i in range(9)]
        self.idx = 0
        if 'train' not in params['split']:
            self.random = False
        if self.random:
            random.seed(self.seed)
            self.idx = random.randint(0, len(self.indices) - 1)

    def reshape(self, bottom, top):
        self.data = self.load_image(self.indices[self.idx])
        self.label = self.data[:1] > 0.5
        top[0].reshape(1, *self.data.shape)
        top[1].reshape(1, *self.label.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.data
        top[1].data[...] = self.label
        if self.random:
            self.idx = random.randint(0, len(self.indices) - 1)
        else:
            self.idx += 1
            if self.idx == len(self.indices):
                self.idx = 0

    def backward(self, top, propagate_down, bottom):
        pass

    def load_image(self, idx):
        size = 4 + int(idx[-1]) % 3
        return np.random.RandomState(int(idx[-6:])).rand(3, size, size)
""",
        blobs='top: "data" top: "label" include { phase: TRAIN }',
        param_str="{'split': 'train', 'seed': 1337}",
        bottoms="",
        tops=None,
        twins=[
            (
                "runs out of images",
                ("self.idx = 0\n\n    def backward", "'split': 'train'"),
                ("pass\n\n    def backward", "'split': 'val'"),
                "sequence",
                "IndexError",
            ),
            (
                "other type in the list",
                "int(idx[-6:])",
                "idx[-6:]",
                "load",
                "load_image",
            ),
        ],
    ),
    "own_samples_for_each_rank": dict(
        body="""
class RandomPairs(caffe.Layer):
    def setup(self, bottom, top):
        self.rng = np.random.RandomState(100 + caffe.solver_rank())

    def reshape(self, bottom, top):
        top[0].reshape(5, 2)

    def forward(self, bottom, top):
        top[0].data[...] = self.rng.rand(5, 2)

    def backward(self, top, propagate_down, bottom):
        pass
""",
        blobs='top: "pairs" include { phase: TRAIN }',
        bottoms="",
        tops=None,
        twins=[
            (
                "not reproducible",
                "RandomState(100 + caffe.solver_rank())",
                "RandomState()",
                "sequence --strict",
                r"numpy\.random",
            ),
            (
                "every rank the same",
                " + caffe.solver_rank()",
                "",
                "ranks --strict",
                "solver_rank",
            ),
        ],
    ),
    "one_solver": dict(
        body="""
class OneReader(caffe.Layer):
    def setup(self, bottom, top):
        if caffe.solver_count() > 1:
            raise Exception("reads one tape: one solver only")
        self.n = 0

    def reshape(self, bottom, top):
        top[0].reshape(3, 2)

    def forward(self, bottom, top):
        top[0].data[...] = np.arange(6).reshape(3, 2) + self.n
        self.n = (self.n + 6) % 60

    def backward(self, top, propagate_down, bottom):
        pass
""",
        blobs='top: "tape" include { phase: TRAIN }',
        bottoms="",
        tops=None,
        check="one_solver=True",
        twins=[
            (
                "nothing said of it",
                "check(make_bottoms, expected_tops, one_solver=True)",
                "check(make_bottoms, expected_tops)",
                "ranks --strict",
                "one_solver=True",
            ),
        ],
    ),
    "prefetches_in_a_process": dict(  # and never ends it
        body="""
from multiprocessing import Process, Queue


class BlobFetcher(Process):
    def __init__(self, queue):
        super(BlobFetcher, self).__init__()
        self._queue = queue

    def run(self):
        n = 0
        while True:
            self._queue.put(np.arange(n, n + 6, dtype=np.float32).reshape(2, 3))
            n = (n + 6) % 60


class PrefetchData(caffe.Layer):
    def setup(self, bottom, top):
        self._queue = Queue(3)
        self._fetcher = BlobFetcher(self._queue)
        self._fetcher.start()
        top[0].reshape(2, 3)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        top[0].data[...] = self._queue.get()

    def backward(self, top, propagate_down, bottom):
        pass
""",
        blobs='top: "data" include { phase: TRAIN }',
        bottoms="",
        tops=None,
        options="--timeout=20",
        twins=[
            (
                "one batch too few",
                "while True:",
                "for _ in range(1):",
                "sequence --timeout=3",
                "sequence.*3 s|3 s.*sequence",
            ),
        ],
    ),
    "plain_data": dict(
        body="""
import os
import sys
import time


class Ramp(caffe.Layer):
    def setup(self, bottom, top):
        self.n = 0

    def reshape(self, bottom, top):
        top[0].reshape(4, 2)

    def forward(self, bottom, top):
        self.n += 1
        top[0].data[...] = self.n % 7

    def backward(self, top, propagate_down, bottom):
        pass
""",
        blobs='top: "ramp" include { phase: TRAIN }',
        bottoms="",
        tops=None,
        twins=[
            (
                "hangs in forward",
                "self.n += 1",
                "while True:\n            time.sleep(0.1)",
                "shapes --timeout=3",
                r"3 s.*in forward",
            ),
            (
                "hangs in setup",
                "self.n = 0",
                "while True:\n            pass",
                "load --timeout=3",
                r"3 s.*in setup",
            ),
            (
                "sys.exit",
                "self.n += 1",
                "sys.exit('no data')",
                "shapes",
                "SystemExit|exit",
            ),
            (
                "os._exit",
                "self.n += 1",
                "os._exit(0)",
                "shapes --timeout=20",
                "(?i)[^a-z]exit",
            ),
            (
                "os.abort",
                "self.n += 1",
                "os.abort()",
                "shapes --timeout=20",
                "signal 6|SIGABRT",
            ),
            (
                "kills its process group's pytest",
                "self.n += 1",
                "os.kill(os.getpid(), 9)",
                "shapes --timeout=20",
                "signal 9|SIGKILL",
            ),
            (
                "same samples in both phases",
                "include { phase: TRAIN }",
                "",
                "phases --strict",
                "TRAIN and TEST give the same",
            ),
        ],
    ),
    "prefetches_in_a_thread": dict(
        body="""
import threading

try:
    import Queue as queue
except ImportError:
    import queue


class ThreadedData(caffe.Layer):
    def setup(self, bottom, top):
        self.queue = queue.Queue(2)
        self.worker = threading.Thread(target=self.fetch)
        self.worker.daemon = True
        self.worker.start()

    def fetch(self):
        n = 0
        while True:
            self.queue.put(np.full((2, 3), n, np.float32))
            n = (n + 1) % 10

    def reshape(self, bottom, top):
        top[0].reshape(2, 3)

    def forward(self, bottom, top):
        top[0].data[...] = self.queue.get()

    def backward(self, top, propagate_down, bottom):
        pass
""",
        blobs='top: "data" include { phase: TRAIN }',
        bottoms="",
        tops=None,
        options="--timeout=20",
        twins=[
            (
                "the worker has died",
                "while True:",
                "while n < 1:",
                "sequence --timeout=3",
                r"sequence.*3 s|3 s.*sequence",
            ),
        ],
    ),
}
