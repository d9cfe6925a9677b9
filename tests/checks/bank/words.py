"""What a red check says: counts, causes, places, and nothing that misleads."""

SQUARES = """
class HeadSquares(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num, 3)

    def refuse(self, text):
        print(text)
        raise ValueError(text)

    def forward(self, bottom, top):
        if bottom[0].channels < 3:
            text = 'expected 3 channels or more, got %d'
            self.refuse(text % bottom[0].channels)
        if not bottom[0].num:
            raise ValueError('expected samples')
        for i in range(len(bottom)):
            top[0].data[...] = bottom[i].data[:, :3] ** 2

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            bottom[0].diff[:, :3] = 2 * bottom[0].data[:, :3] * top[0].diff
"""

LAYERS = {
    "yaml_keys": dict(
        body="""
import yaml


class Power(caffe.Layer):
    def setup(self, bottom, top):
        params = yaml.safe_load(self.param_str)
        self.scale = float(params['scale'])
        self.shift = float(params.get('shift', 0))
        if set(params) - {'scale', 'shift'}:
            raise ValueError('expected scale and shift, got %s' % list(params))

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = (self.scale * bottom[0].data + self.shift) ** 2

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            inner = self.scale * bottom[0].data + self.shift
            bottom[0].diff[...] = 2 * self.scale * inner * top[0].diff
""",
        blobs='bottom: "x" top: "y"',
        param_str=r"scale: 0.3\nshift: 3",
        bottoms="rng.randn(batch, 6)",
        tops="(params['scale'] * bottoms[0] + params['shift']) ** 2",
        twins=[
            (
                "shift never read",
                "float(params.get('shift', 0))",
                "3",
                "keys --strict",
                "shift: other values change nothing",
            ),
            (
                "takes any key",
                "if set(params) - {'scale', 'shift'}:",
                "if False:",
                "param_str --strict",
                "unknown key no_such_key was taken",
            ),
            (
                "shift only in forward",
                (
                    "float(params.get('shift', 0))",
                    "self.scale * bottom[0].data + self.shift) ** 2",
                ),
                (
                    "params.get('shift')",
                    "self.scale * bottom[0].data + float(self.shift)) ** 2",
                ),
                "param_str --strict",
                "without 'shift' loads and fails in forward",
            ),
            (
                "forward always fails",
                "        top[0].data[...] = (self",
                "        1 / 0\n@",
                "param_str",
                "^(?!.*(expected an exception|without)).*ZeroDivisionError",
            ),
        ],
    ),
    "first_three": dict(
        body=SQUARES,
        blobs='bottom: "x" top: "y"',
        bottoms="rng.randn(batch, 6)",
        tops="bottoms[0][:, :3] ** 2",
        twins=[
            (
                "a branch for large batches",
                "            bottom[0].diff[...] = 0\n",
                "@            if bottom[0].num > 100:\n                self.diff = 0\n",
                "lines --strict",
                "what never ran.*self.diff = 0",
            ),
            (
                "iterates over bottom",
                (
                    "for i in range(len(bottom)):",
                    "bottom[i].data[:, :3] ** 2",
                ),
                ("for blob in bottom:", "blob.data[:, :3] ** 2"),
                "shapes",
                r"^(?!.*Boost\.Python).*use range\(len\(bottom\)\)",
            ),
            (
                "a Boost that does not fit",
                "        for i in",
                "        raise TypeError('No to_python (by-value) converter found for C++ '\n"
                "                        'type: boost::shared_ptr<caffe::Blob<float> >')\n@",
                "shapes",
                r"^(?!.*range\(len).*Boost\.Python",
            ),
            (
                "nothing else has a gradient",
                "= 2 * bottom[0].data[:, :3] * top",
                "= bottom[0].data[:, :3] ** 2 * top",
                "gradient",
                "^(?!.*only ind).*bottom x",
            ),
        ],
    ),
    "noise": dict(
        body="""
class AddNoise(caffe.Layer):
    def setup(self, bottom, top):
        self.random = np.random

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.random.randn(*bottom[0].data.shape)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff
""",
        blobs='bottom: "x" top: "y"',
        test="""
DRAWN = set()


def make_bottoms(rng, batch):
    state = rng.get_state()[1].tobytes(), batch
    if state in DRAWN:
        raise Exception("drawn twice")
    DRAWN.add(state)
    return [rng.randn(batch, 5)]


def expected_tops(bottoms, params):
    return None
""",
        twins=[
            (
                "own generator",
                "self.random = np.random",
                "self.random = np.random.RandomState()",
                "forward",
                r"numpy\.random, which is seeded",
            ),
            (
                "own generator, for the gradient",
                "self.random = np.random",
                "self.random = np.random.RandomState()",
                "gradient",
                r"numpy\.random, which is seeded",
            ),
        ],
    ),
    "two_weights": dict(  # of two numbers nothing is told for sure
        body="""
class Quadratic(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(2)
        self.blobs[0].data[...] = [0.5, -0.5]

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        a, b = self.blobs[0].data
        top[0].data[...] = a * bottom[0].data + b * bottom[0].data ** 2

    def backward(self, top, propagate_down, bottom):
        x, d = bottom[0].data, top[0].diff
        a, b = self.blobs[0].data
        self.blobs[0].diff[...] += [np.sum(d * x), np.sum(d * x ** 2)]
        if propagate_down[0]:
            bottom[0].diff[...] = (a + 2 * b * x) * d
""",
        blobs='bottom: "x" top: "y" param { lr_mult: 1 }',
        bottoms="rng.randn(batch, 5)",
        tops="0.5 * bottoms[0] - 0.5 * bottoms[0] ** 2",
        twins=[
            (
                "both plus the same",
                "[np.sum(d * x), np.sum(d * x ** 2)]",
                "[np.sum(d * x + 0.1), np.sum(d * x ** 2 + 0.1)]",
                "gradient",
                "^(?!.*plus).*weight 0",
            ),
        ],
    ),
}
