import caffe
import numpy as np
import threading
try:
    import queue
except ImportError:
    import Queue as queue


class WorkerDataLayer(caffe.Layer):
    """Batches that a thread makes ahead."""

    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.batch = params['batch']
        self.queue = queue.Queue(3)
        worker = threading.Thread(target=self.work)
        worker.daemon = True
        worker.start()

    def work(self):
        rng = np.random.RandomState(1)
        while True:
            self.queue.put((rng.rand(self.batch, 3, 4, 4), rng.randint(0, 5, self.batch)))

    def reshape(self, bottom, top):
        top[0].reshape(self.batch, 3, 4, 4)
        top[1].reshape(self.batch)

    def forward(self, bottom, top):
        images, labels = self.queue.get()
        top[0].data[...] = images
        top[1].data[...] = labels

    def backward(self, top, propagate_down, bottom):
        pass
