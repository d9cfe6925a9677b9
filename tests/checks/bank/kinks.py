"""Sorts, pools, samplers: kinks and ties, and forwards that are constant in pieces."""

LAYERS = {
    "sort": dict(
        body="""
class Sort(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.order = np.argsort(bottom[0].data, axis=1)
        for i, row in enumerate(self.order):
            top[0].data[i] = bottom[0].data[i, row]

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            for i, row in enumerate(self.order):
                bottom[0].diff[i, row] = top[0].diff[i]
""",
        blobs='bottom: "x" top: "sorted"',
        bottoms="rng.randn(batch, 30)",
        tops="np.sort(bottoms[0], 1)",
        twins=[
            (
                "order for its inverse",
                "bottom[0].diff[i, row] = top[0].diff[i]",
                "bottom[0].diff[i] = top[0].diff[i, row]",
                "gradient",
                "bottom x",
            ),
        ],
    ),
    "sort_with_ties": dict(
        body="""
class SortPairs(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.order = np.argsort(bottom[0].data, axis=1, kind='mergesort')
        rows = np.arange(len(self.order))[:, np.newaxis]
        top[0].data[...] = bottom[0].data[rows, self.order]

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            rows = np.arange(len(self.order))[:, np.newaxis]
            bottom[0].diff[rows, self.order] = top[0].diff
""",
        blobs='bottom: "x" top: "sorted"',
        bottoms="np.round(2 * rng.randn(batch, 9)) / 2",
        tops="np.sort(bottoms[0], 1)",
        twins=[("twice", "= top[0].diff", "= 2 * top[0].diff", "gradient", "2 times")],
    ),
    "median": dict(
        body="""
class Median(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        assert bottom[0].data.shape[1] % 2 == 1
        top[0].reshape(bottom[0].num)

    def forward(self, bottom, top):
        x = bottom[0].data
        self.at = np.argsort(x, axis=1)[:, x.shape[1] // 2]
        top[0].data[...] = x[np.arange(len(x)), self.at]

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            bottom[0].diff[np.arange(len(self.at)), self.at] = top[0].diff
""",
        blobs='bottom: "x" top: "median"',
        bottoms="np.round(3 * rng.randn(batch, 7)) / 2",
        tops="np.median(bottoms[0], 1)",
        twins=[
            (
                "of the smallest",
                "diff[np.arange(len(self.at)), self.at]",
                "diff[np.arange(len(self.at)), bottom[0].data.argmin(1)]",
                "gradient",
                "bottom x",
            ),
            (
                "not cleared",
                "            bottom[0].diff[...] = 0\n",
                "",
                "gradient",
                "left .* of the diff of bottom x",
            ),
        ],
    ),
    "max_pool_loops": dict(  # of rectified values: many ties at zero
        body="""
class MaxPool2x2(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        n, c, h, w = bottom[0].data.shape
        top[0].reshape(n, c, h // 2, w // 2)
        self.at = np.zeros((n, c, h // 2, w // 2, 2), int)

    def forward(self, bottom, top):
        n, c, h, w = top[0].data.shape
        for i in range(n):
            for k in range(c):
                for y in range(h):
                    for x in range(w):
                        best = -1e30
                        for dy in (0, 1):
                            for dx in (0, 1):
                                v = bottom[0].data[i, k, 2 * y + dy, 2 * x + dx]
                                if v > best:
                                    best = v
                                    self.at[i, k, y, x] = 2 * y + dy, 2 * x + dx
                        top[0].data[i, k, y, x] = best

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        bottom[0].diff[...] = 0
        for i, k, y, x in np.ndindex(*top[0].data.shape):
            at = self.at[i, k, y, x]
            bottom[0].diff[i, k, at[0], at[1]] += top[0].diff[i, k, y, x]
""",
        blobs='bottom: "relu" top: "pool"',
        bottoms="np.maximum(rng.randn(batch, 2, 4, 4), 0)",
        tops="bottoms[0].reshape(-1, 2, 2, 2, 2, 2).max(axis=(3, 5))",
        twins=[
            (
                "transposed place",
                "2 * y + dy, 2 * x + dx\n",
                "2 * y + dx, 2 * x + dy\n",
                "gradient",
                "bottom relu",
            ),
        ],
    ),
    "max_pool_by_mask": dict(
        body="""
class MaxOverTime(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        n, c, t = bottom[0].data.shape
        top[0].reshape(n, c)

    def forward(self, bottom, top):
        self.at = bottom[0].data.argmax(2)
        top[0].data[...] = bottom[0].data.max(2)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            mask = np.arange(bottom[0].data.shape[2]) == self.at[:, :, np.newaxis]
            bottom[0].diff[...] = mask * top[0].diff[:, :, np.newaxis]
""",
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 3, 5)",
        tops="bottoms[0].max(2)",
        twins=[
            (
                "every tie gets all of it",
                "mask = np.arange(bottom[0].data.shape[2]) == self.at[:, :, np.newaxis]",
                "mask = bottom[0].data == top[0].data[:, :, np.newaxis]",
                "any",
                "ties|equal",
            ),
            ("all get it", "= mask * top", "= 1 * top", "gradient", "bottom x"),
        ],
    ),
    "roi_pool": dict(
        body="""
class RoIPool(caffe.Layer):
    def setup(self, bottom, top):
        self.scale = 0.5

    def reshape(self, bottom, top):
        top[0].reshape(bottom[1].num, bottom[0].channels, 2, 2)

    def forward(self, bottom, top):
        self.argmax = {}
        for r in range(bottom[1].num):
            n = int(bottom[1].data[r, 0])
            x1, y1, x2, y2 = np.round(bottom[1].data[r, 1:] * self.scale).astype(int)
            ys = np.linspace(y1, y2 + 1, 3)
            xs = np.linspace(x1, x2 + 1, 3)
            for c in range(bottom[0].channels):
                for i in range(2):
                    for j in range(2):
                        a, b = int(np.floor(ys[i])), int(np.ceil(ys[i + 1]))
                        d, e = int(np.floor(xs[j])), int(np.ceil(xs[j + 1]))
                        part = bottom[0].data[n, c, a:b, d:e]
                        at = np.unravel_index(part.argmax(), part.shape)
                        self.argmax[r, c, i, j] = n, c, a + at[0], d + at[1]
                        top[0].data[r, c, i, j] = part.max()

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff.fill(0)
            for place, at in self.argmax.items():
                bottom[0].diff[at] += top[0].diff[place]
        if propagate_down[1]:
            bottom[1].diff.fill(0)
""",
        blobs="""bottom: "conv5" bottom: "rois" top: "pool5"
  propagate_down: true propagate_down: false""",
        test="""
def make_bottoms(rng, batch):
    rois = []
    for n in range(batch):
        for _ in range(2):
            x, y = rng.randint(0, 6, 2)
            rois.append([n, x, y, x + rng.randint(2, 8), y + rng.randint(2, 8)])
    return [rng.randn(batch, 2, 7, 7), np.array(rois)]


def expected_tops(bottoms, params):
    return None
""",
        twins=[
            (
                "the last of them only",
                "diff[at] += top",
                "diff[at] = top",
                "gradient",
                "bottom conv5",
            ),
            (
                "takes the first map",
                "self.argmax[r, c, i, j] = n, c",
                "self.argmax[r, c, i, j] = 0, c",
                "gradient",
                "bottom conv5",
            ),
        ],
    ),
    "bilinear_sampler": dict(
        body="""
class BilinearSampler(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        n, c = bottom[0].num, bottom[0].channels
        top[0].reshape(n, c, bottom[1].data.shape[2])

    def corners(self, bottom, n, k):
        h, w = bottom[0].data.shape[2:]
        x, y = bottom[1].data[n, :, k]
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        for yy, xx in ((y0, x0), (y0, x0 + 1), (y0 + 1, x0), (y0 + 1, x0 + 1)):
            if 0 <= yy < h and 0 <= xx < w:
                sx = 1 if xx > x0 else -1
                sy = 1 if yy > y0 else -1
                yield yy, xx, 1 - abs(x - xx), 1 - abs(y - yy), sx, sy

    def forward(self, bottom, top):
        top[0].data[...] = 0
        for n in range(bottom[0].num):
            for k in range(bottom[1].data.shape[2]):
                for yy, xx, wx, wy, sx, sy in self.corners(bottom, n, k):
                    top[0].data[n, :, k] += wx * wy * bottom[0].data[n, :, yy, xx]

    def backward(self, top, propagate_down, bottom):
        for i in (0, 1):
            if propagate_down[i]:
                bottom[i].diff[...] = 0
        for n in range(bottom[0].num):
            for k in range(bottom[1].data.shape[2]):
                d = top[0].diff[n, :, k]
                for yy, xx, wx, wy, sx, sy in self.corners(bottom, n, k):
                    dot = np.dot(d, bottom[0].data[n, :, yy, xx])
                    if propagate_down[0]:
                        bottom[0].diff[n, :, yy, xx] += wx * wy * d
                    if propagate_down[1]:
                        bottom[1].diff[n, 0, k] += sx * wy * dot
                        bottom[1].diff[n, 1, k] += sy * wx * dot
""",
        blobs='bottom: "image" bottom: "grid" top: "sampled"',
        bottoms="rng.randn(batch, 2, 5, 6), rng.uniform(-0.5, 5, (batch, 2, 8))",
        tops=None,
        twins=[
            (
                "x for y",
                ("diff[n, 0, k] += sx * wy", "diff[n, 1, k] += sy * wx"),
                ("diff[n, 0, k] += sy * wx", "diff[n, 1, k] += sx * wy"),
                "gradient",
                "bottom grid",
            ),
            (
                "one row too low",
                "bottom[0].diff[n, :, yy, xx] +=",
                "bottom[0].diff[n, :, max(yy - 1, 0), xx] +=",
                "gradient",
                "bottom image",
            ),
        ],
    ),
    "top_k": dict(
        body="""
class TopKMean(caffe.Layer):
    def setup(self, bottom, top):
        self.k = 3

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num)

    def forward(self, bottom, top):
        self.best = np.argsort(-bottom[0].data, axis=1)[:, :self.k]
        rows = np.arange(bottom[0].num)[:, None]
        top[0].data[...] = bottom[0].data[rows, self.best].mean(1)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            rows = np.arange(bottom[0].num)[:, None]
            bottom[0].diff[rows, self.best] = top[0].diff[:, None] / self.k
""",
        blobs='bottom: "scores" top: "best"',
        test="""
def make_bottoms(rng, batch):
    scores = rng.randn(batch, 8)
    order = np.argsort(-scores, 1)
    for row, at in zip(scores, order):
        row[at[3]] = row[at[2]] - 1e-4
    return [scores]


def expected_tops(bottoms, params):
    return [np.sort(bottoms[0], 1)[:, -3:].mean(1)]
""",
        twins=[
            ("k forgotten", "[:, None] / self.k", "[:, None]", "gradient", "3 times"),
            (
                "one too few",
                "diff[rows, self.best] = top",
                "diff[rows, self.best[:, :2]] = top",
                "gradient",
                "bottom scores",
            ),
        ],
    ),
    "l1_of_equal_rows": dict(
        body="""
class L1Loss(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[0] = np.abs(bottom[0].data - bottom[1].data).mean()

    def backward(self, top, propagate_down, bottom):
        s = np.sign(bottom[0].data - bottom[1].data) * top[0].diff[0] / bottom[0].count
        if propagate_down[0]:
            bottom[0].diff[...] = s
        if propagate_down[1]:
            bottom[1].diff[...] = -s
""",
        blobs='bottom: "a" bottom: "b" top: "l1" loss_weight: 1',
        test="""
def make_bottoms(rng, batch):
    a, b = rng.randn(batch, 6), rng.randn(batch, 6)
    b[::2, :3] = a[::2, :3]
    return [a, b]


def expected_tops(bottoms, params):
    return [np.mean(np.abs(bottoms[0] - bottoms[1]))]
""",
        twins=[
            (
                "mean of rows",
                "/ bottom[0].count",
                "/ bottom[0].num",
                "gradient",
                "6 times",
            ),
        ],
    ),
    "hardest_triplet": dict(
        body="""
class TripletLoss(caffe.Layer):
    def setup(self, bottom, top):
        self.margin = 0.5

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        x = bottom[0].data
        label = bottom[1].data
        d = ((x[:, None] - x[None]) ** 2).sum(2)
        same = label[:, None] == label[None]
        self.pos = np.where(same, d, -1e9).argmax(1)
        self.neg = np.where(same, 1e9, d).argmin(1)
        rows = np.arange(len(x))
        self.on = (d[rows, self.pos] - d[rows, self.neg] + self.margin > 0) & ~same.all(1)
        loss = np.where(self.on, d[rows, self.pos] - d[rows, self.neg] + self.margin, 0)
        top[0].data[...] = loss.sum() / len(x)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x = bottom[0].data
            g = np.zeros_like(x)
            for i in range(len(x)):
                if self.on[i]:
                    p, n = self.pos[i], self.neg[i]
                    g[i] += 2 * (x[n] - x[p])
                    g[p] -= 2 * (x[i] - x[p])
                    g[n] += 2 * (x[i] - x[n])
            bottom[0].diff[...] = g * (top[0].diff[0] / len(x))
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs="""bottom: "embedding" bottom: "label" top: "loss" loss_weight: 1
  propagate_down: true propagate_down: false""",
        bottoms="rng.randn(batch, 3), rng.randint(0, 2, batch)",
        tops=None,
        twins=[
            (
                "anchor only",
                "                    g[p] -= 2 * (x[i] - x[p])\n",
                "",
                "gradient",
                "bottom embedding",
            ),
            (
                "margin lost",
                "if self.on[i]:",
                "if True:",
                "gradient",
                "bottom embedding",
            ),
        ],
    ),
    "threshold": dict(
        body="""
class Threshold(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data > 0.25

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
""",
        blobs='bottom: "x" top: "on"',
        bottoms="rng.randn(batch, 6)",
        tops="bottoms[0] > 0.25",
        twins=[
            (
                "passes the diff on",
                "diff[...] = 0",
                "diff[...] = top[0].diff",
                "gradient",
                "small changes change nothing",
            ),
        ],
    ),
    "argmax": dict(
        body="""
class ArgMax(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num)

    def forward(self, bottom, top):
        self.at = bottom[0].data.argmax(axis=1)
        top[0].data[...] = self.at

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
""",
        blobs='bottom: "scores" top: "class"',
        bottoms="rng.randn(batch, 3)",
        tops="bottoms[0].argmax(1)",
        twins=[
            (
                "to the best",
                "diff[...] = 0",
                "@\n            bottom[0].diff[np.arange(len(self.at)), self.at] = top[0].diff",
                "gradient",
                "small changes change nothing",
            ),
        ],
    ),
    "picks_the_positive_rows": dict(  # gives its top a shape in forward
        body="""
class Select(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(1, bottom[0].channels)

    def forward(self, bottom, top):
        self.rows = np.where(bottom[1].data > 0)[0]
        if len(self.rows) == 0:
            self.rows = np.array([0])
        top[0].reshape(len(self.rows), bottom[0].channels)
        top[0].data[...] = bottom[0].data[self.rows]

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            bottom[0].diff[self.rows] = top[0].diff
        if propagate_down[1]:
            bottom[1].diff[...] = 0
""",
        blobs="""bottom: "x" bottom: "label" top: "chosen"
  propagate_down: true propagate_down: false""",
        bottoms="rng.randn(batch, 3), rng.randint(0, 2, batch)",
        tops="bottoms[0][bottoms[1] > 0] if bottoms[1].any() else bottoms[0][:1]",
        twins=[
            (
                "to the first rows",
                "bottom[0].diff[self.rows] = top",
                "bottom[0].diff[:len(self.rows)] = top",
                "gradient",
                "bottom x",
            ),
        ],
    ),
}
