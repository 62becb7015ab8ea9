# SPDX-License-Identifier: Apache-2.0
"""Layers with a forward and a backward pass in NumPy: as much of a training framework as the example needs.

Activations are float32 [batch, height, width, channels]: a 1x1 convolution is then one matrix product, and a
depthwise one nine multiply-adds of shifted pictures. Every layer has forward(x, training), backward(gradient), which
leaves the gradients of the weights in its Parameters, and parameters(), which lists them for the optimiser. A layer
also writes itself into an ONNX graph (class Graph in train.py), in ONNX's channels-first weight layout.
"""
import numpy as np


class Parameter:
    def __init__(self, value, decay=True):
        self.value = np.asarray(value, np.float32)
        self.gradient = np.zeros_like(self.value)
        self.decay = decay


def patches(x):
    """The 3x3 neighbourhood of every pixel, zeros outside: [batch * height * width, 9 * channels]."""
    batch, height, width, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(batch * height * width, 9 * channels)


class Conv3x3:
    """A full 3x3 convolution, stride 1, padding 1, without bias (BatchNorm follows)."""

    def __init__(self, inputs, outputs, rng):
        self.weight = Parameter(rng.standard_normal((9 * inputs, outputs)) * np.sqrt(2 / (9 * inputs)))

    def forward(self, x, training):
        columns = patches(x)
        self.columns, self.shape = (columns, x.shape) if training else (None, None)
        return (columns @ self.weight.value).reshape(*x.shape[:3], -1)

    def backward(self, gradient):
        flat = gradient.reshape(-1, gradient.shape[-1])
        self.weight.gradient[...] = self.columns.T @ flat
        inputs, outputs = self.shape[-1], flat.shape[1]
        # The gradient of a convolution is the convolution with the kernel turned by 180 degrees.
        turned = self.weight.value.reshape(9, inputs, outputs)[::-1].transpose(0, 2, 1).reshape(-1, inputs)
        return (patches(gradient) @ turned).reshape(self.shape)

    def parameters(self):
        return [self.weight]

    def write(self, graph, x):
        rows, outputs = self.weight.value.shape
        kernel = self.weight.value.reshape(3, 3, rows // 9, outputs).transpose(3, 2, 0, 1)
        return graph.node("Conv", [x, graph.weight(kernel)], kernel_shape=[3, 3], pads=[1, 1, 1, 1])


class Depthwise3x3:
    """One 3x3 kernel per channel, padding 1, without bias."""

    def __init__(self, channels, stride, rng):
        self.stride = stride
        self.weight = Parameter(rng.standard_normal((3, 3, channels)) * np.sqrt(2 / 9))

    def taps(self, padded, size):
        for row in range(3):
            for column in range(3):
                yield row, column, padded[:, row:row + size[0] * self.stride:self.stride,
                                          column:column + size[1] * self.stride:self.stride]

    def forward(self, x, training):
        self.padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        size = (x.shape[1] // self.stride, x.shape[2] // self.stride)
        out = np.zeros((x.shape[0], *size, x.shape[3]), np.float32)
        for row, column, tap in self.taps(self.padded, size):
            out += tap * self.weight.value[row, column]
        return out

    def backward(self, gradient):
        back = np.zeros_like(self.padded)
        size = gradient.shape[1:3]
        for (row, column, tap), (_, _, into) in zip(self.taps(self.padded, size), self.taps(back, size)):
            self.weight.gradient[row, column] = np.einsum("nhwc,nhwc->c", tap, gradient)
            into += gradient * self.weight.value[row, column]
        return back[:, 1:-1, 1:-1]

    def parameters(self):
        return [self.weight]

    def write(self, graph, x):
        kernel = self.weight.value.transpose(2, 0, 1)[:, None]
        return graph.node("Conv", [x, graph.weight(kernel)], kernel_shape=[3, 3], pads=[1, 1, 1, 1],
                          strides=[self.stride] * 2, group=kernel.shape[0])


class Pointwise:
    """A 1x1 convolution without bias."""

    def __init__(self, inputs, outputs, rng):
        self.weight = Parameter(rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs))

    def forward(self, x, training):
        self.x = x
        return x @ self.weight.value

    def backward(self, gradient):
        self.weight.gradient[...] = self.x.reshape(-1, self.x.shape[-1]).T @ gradient.reshape(-1, gradient.shape[-1])
        return gradient @ self.weight.value.T

    def parameters(self):
        return [self.weight]

    def write(self, graph, x):
        return graph.node("Conv", [x, graph.weight(self.weight.value.T[:, :, None, None])], kernel_shape=[1, 1])


class BatchNorm:
    EPSILON, MOMENTUM = 1e-5, 0.95

    def __init__(self, channels):
        self.scale = Parameter(np.ones(channels), decay=False)
        self.shift = Parameter(np.zeros(channels), decay=False)
        self.mean, self.variance = np.zeros(channels, np.float32), np.ones(channels, np.float32)

    def forward(self, x, training):
        mean, variance = self.mean, self.variance
        if training:
            flat = x.reshape(-1, x.shape[-1])
            mean = flat.mean(axis=0)
            variance = np.maximum(np.einsum("nc,nc->c", flat, flat) / len(flat) - mean * mean, 0)
            self.mean += (1 - self.MOMENTUM) * (mean - self.mean)
            self.variance += (1 - self.MOMENTUM) * (variance - self.variance)
        self.inverse = 1 / np.sqrt(variance + np.float32(self.EPSILON))
        self.normal = (x - mean) * self.inverse
        return self.normal * self.scale.value + self.shift.value

    def backward(self, gradient):
        flat, normal = gradient.reshape(-1, gradient.shape[-1]), self.normal.reshape(-1, gradient.shape[-1])
        self.shift.gradient[...] = flat.sum(axis=0)
        self.scale.gradient[...] = np.einsum("nc,nc->c", flat, normal)
        mean, slope = self.shift.gradient / len(flat), self.scale.gradient / len(flat)
        return (gradient - mean - self.normal * slope) * (self.scale.value * self.inverse)

    def parameters(self):
        return [self.scale, self.shift]

    def write(self, graph, x):
        values = (self.scale.value, self.shift.value, self.mean, self.variance)
        return graph.node("BatchNormalization", [x, *map(graph.weight, values)], epsilon=self.EPSILON)


class Relu:
    def forward(self, x, training):
        self.out = np.maximum(x, 0)
        return self.out

    def backward(self, gradient):
        return gradient * (self.out > 0)

    def parameters(self):
        return []

    def write(self, graph, x):
        return graph.node("Relu", [x])


class Residual:
    """x + body(x)."""

    def __init__(self, *body):
        self.body = Chain(*body)

    def forward(self, x, training):
        return x + self.body.forward(x, training)

    def backward(self, gradient):
        return gradient + self.body.backward(gradient)

    def parameters(self):
        return self.body.parameters()

    def write(self, graph, x):
        return graph.node("Add", [x, self.body.write(graph, x)])


class MeanPool:
    def forward(self, x, training):
        self.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, gradient):
        pixels = np.float32(self.shape[1] * self.shape[2])
        return np.broadcast_to(gradient[:, None, None] / pixels, self.shape)

    def parameters(self):
        return []

    def write(self, graph, x):
        return graph.node("Flatten", [graph.node("GlobalAveragePool", [x])], axis=1)


class Linear:
    def __init__(self, inputs, outputs, rng):
        self.weight = Parameter(rng.standard_normal((inputs, outputs)) * np.sqrt(1 / inputs))
        self.bias = Parameter(np.zeros(outputs), decay=False)

    def forward(self, x, training):
        self.x = x
        return x @ self.weight.value + self.bias.value

    def backward(self, gradient):
        self.weight.gradient[...] = self.x.T @ gradient
        self.bias.gradient[...] = gradient.sum(axis=0)
        return gradient @ self.weight.value.T

    def parameters(self):
        return [self.weight, self.bias]

    def write(self, graph, x):
        return graph.node("Gemm", [x, graph.weight(self.weight.value.T), graph.weight(self.bias.value)], transB=1)


class Chain:
    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x, training=False):
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, gradient):
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return gradient

    def parameters(self):
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def write(self, graph, x):
        for layer in self.layers:
            x = layer.write(graph, x)
        return x
