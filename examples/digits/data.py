"""Write scikit-learn's digits: digits.npz for the training, and ten others as pictures."""

import cv2
import numpy as np
from sklearn.datasets import load_digits

TRAINED = 1500  # the other 297 are not shown to the net

images, labels = load_digits(return_X_y=True)
images = images.reshape(-1, 1, 8, 8).astype(np.float32) / 16  # 0 to 1
np.savez("digits.npz", images=images[:TRAINED], labels=labels[:TRAINED])
for digit in range(10):
    found = TRAINED + np.flatnonzero(labels[TRAINED:] == digit)[0]
    large = np.kron(images[found, 0], np.ones((16, 16)))
    cv2.imwrite(f"digit_{digit}.png", np.rint(255 * large).astype(np.uint8))
