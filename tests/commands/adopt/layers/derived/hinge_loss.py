import numpy as np
from base_loss import BaseLoss


class HingeLoss(BaseLoss):
    def forward(self, bottom, top):
        scores, label = bottom[0].data, bottom[1].data.astype(int)
        self.sign = -np.ones_like(scores)
        self.sign[np.arange(len(label)), label] = 1
        self.below = np.maximum(0, 1 - self.sign * scores)
        top[0].data[...] = np.sum(self.below) / len(label)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[1]:
            raise Exception("no gradient to labels")
        if propagate_down[0]:
            slope = -self.sign * (self.below > 0) / len(self.sign)
            bottom[0].diff[...] = top[0].diff * slope
