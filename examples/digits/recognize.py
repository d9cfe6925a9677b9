"""Say which digit is on each picture: python recognize.py PICTURE..."""

import sys

import cv2
import numpy as np

import caffe_pylayer.opencv

caffe_pylayer.opencv.register()
net = cv2.dnn.readNetFromCaffe("deploy.prototxt", "digits_iter_300.caffemodel")
for path in sys.argv[1:]:
    picture = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA)
    net.setInput(small[np.newaxis, np.newaxis].astype(np.float32) / 255)
    probability = net.forward().ravel()
    print(f"{path}: {probability.argmax()}, {probability.max():.3f}")
