# SPDX-License-Identifier: Apache-2.0
"""Train the example's network from scratch and write it as ONNX.

usage: train.py OUT.onnx [--steps 2500] [--batch 64]

Every step sees pictures that it has never seen before (draw.py), so there is nothing to overfit to. The result depends
on nothing but this folder's scripts, up to the rounding of the matrix products of the machine it runs on. About five
minutes on two cores. Needs numpy, pillow and onnx.
"""
import argparse
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import draw
from layers import BatchNorm, Chain, Conv3x3, Depthwise3x3, Linear, MeanPool, Pointwise, Relu, Residual

SIDE = 32  # what the network sees; preprocess.json says the same
MEAN, STD = 127.5, 64.0


def network(rng):
    def conv(inputs, outputs):
        return [Conv3x3(inputs, outputs, rng), BatchNorm(outputs)]

    def separable(inputs, outputs, stride):
        return [Depthwise3x3(inputs, stride, rng), BatchNorm(inputs), Relu(), Pointwise(inputs, outputs, rng),
                BatchNorm(outputs), Relu()]

    return Chain(*conv(3, 16), Relu(), *separable(16, 32, 2), *separable(32, 48, 2),
                 Residual(*conv(48, 48), Relu(), *conv(48, 48)), Relu(), *separable(48, 96, 1), MeanPool(),
                 Linear(96, len(draw.NAMES), rng))


def batch(first, count):
    """Preprocessed pictures first .. first + count - 1, as preprocess.json describes it, and their classes."""
    pictures, classes = draw.draw(np.arange(first, first + count))
    resized = [np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.BILINEAR)) for p in pictures]
    return (np.stack(resized).astype(np.float32) - np.float32(MEAN)) / np.float32(STD), classes


def loss_and_gradient(logits, classes):
    """Mean cross entropy and its gradient by the logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    probability = np.exp(shifted)
    probability /= probability.sum(axis=1, keepdims=True)
    rows = np.arange(len(classes))
    loss = -np.log(probability[rows, classes] + 1e-12).mean()
    probability[rows, classes] -= 1
    return loss, probability / np.float32(len(classes))


class Adam:
    """Adam with decoupled weight decay; the rate rises over the first 5 % of the steps, then falls as a cosine."""

    def __init__(self, parameters, steps, rate=4e-3, decay=0.02):
        self.parameters, self.steps, self.rate, self.decay, self.step = parameters, steps, rate, decay, 0
        self.moments = [(np.zeros_like(p.value), np.zeros_like(p.value)) for p in parameters]

    def update(self):
        self.step += 1
        warm = min(1.0, self.step / (0.05 * self.steps))
        rate = self.rate * warm * 0.5 * (1 + np.cos(np.pi * self.step / self.steps))
        for parameter, (first, second) in zip(self.parameters, self.moments):
            first += 0.1 * (parameter.gradient - first)
            second += 0.01 * (parameter.gradient**2 - second)
            move = first / (1 - 0.9**self.step) / (np.sqrt(second / (1 - 0.99**self.step)) + 1e-8)
            if parameter.decay:
                move = move + self.decay * parameter.value
            parameter.value -= np.float32(rate) * move.astype(np.float32)


def accuracy(net, first, count):
    right = 0
    for start in range(first, first + count, 64):
        x, classes = batch(start, min(64, first + count - start))
        right += int((net.forward(x).argmax(axis=1) == classes).sum())
    return right / count


class Graph:
    """Collects ONNX nodes and initializers, and gives each of them a name."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def weight(self, value):
        name = f"weight_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def node(self, operator, inputs, **attributes):
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name


def export(net, path):
    graph = Graph()
    last = net.write(graph, "image")
    graph.nodes[-1].output[0] = "logits"
    assert last == graph.nodes[-1].name
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(draw.NAMES)])
    made = helper.make_graph(graph.nodes, "shapes", [image], [logits], graph.initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], producer_name="tare-example")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()

    net = network(np.random.Generator(np.random.PCG64(1)))
    adam = Adam(net.parameters(), options.steps)
    started, recent = time.time(), []
    for step in range(options.steps):
        x, classes = batch(draw.TRAINING + step * options.batch, options.batch)
        loss, gradient = loss_and_gradient(net.forward(x, training=True), classes)
        net.backward(gradient)
        adam.update()
        recent.append(loss)
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {np.mean(recent):.3f}, {time.time() - started:.0f} s", flush=True)
            recent = []
    print(f"accuracy on 2048 new pictures {accuracy(net, draw.VALIDATION, 2048):.4f}, "
          f"on the shipped 64 {accuracy(net, draw.HELD_OUT, 64):.4f}")
    export(net, options.out)


if __name__ == "__main__":
    main()
