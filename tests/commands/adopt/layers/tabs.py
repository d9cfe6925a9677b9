import caffe

class TabsLayer(caffe.Layer):
	def setup(self, bottom, top):
		if len(bottom) != 1:
			raise Exception("one")

	def reshape(self, bottom, top):
		top[0].reshape(*bottom[0].shape)

	def forward(self, bottom, top):
		top[0].data[...] = 3 * bottom[0].data

	def backward(self, top, propagate_down, bottom):
		if propagate_down[0]:
			bottom[0].diff[...] = 3 * top[0].diff
