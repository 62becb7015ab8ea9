#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the networks whose speed is measured: real architectures, random weights.

    networks.py OUT [--only resnet50,vit_b_16] [--check]

Each weight is a function of its network's name, its tensor's name and its index (a counter-based generator), so the
files are the same everywhere and never have to travel. BatchNormalization is folded into the convolutions, as exporters
and calibration tools do; the class token of a ViT is a zero row to which a constant is added, which is the same
function. The batch is symbolic. --check writes nothing and compares multiply-accumulates with the published counts.
"""
import argparse
import concurrent.futures
import hashlib
import math
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper

OPSET = 20
CHUNK = 1 << 22


def mix(counter):
    """SplitMix64's finalizer: 64 well-mixed bits of a counter."""
    with np.errstate(over="ignore"):
        z = counter * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def bell(seed, count):
    """`count` values of a bell-shaped distribution of mean 0 and deviation 1: the sum of four 16-bit uniforms."""
    out = np.empty(count, np.float32)

    def fill(first):
        last = min(first + CHUNK, count)
        bits = mix(np.arange(first, last, dtype=np.uint64) + np.uint64(seed))
        lanes = bits.view(np.uint16).reshape(-1, 4).astype(np.float32).sum(axis=1)
        out[first:last] = (lanes / 65536.0 - 2.0) * math.sqrt(3.0)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, count, CHUNK)))
    return out


class Builder:
    """A graph under construction. Values are names; `shape` knows their dims without the batch."""

    def __init__(self, name, size, dry):
        self.name, self.dry = name, dry
        self.nodes, self.weights, self.shape = [], [], {"image": [3, size, size]}
        self.macs = self.parameters = self.serial = 0
        self.size = size

    def fresh(self, kind):
        self.serial += 1
        return f"{kind.lower()}_{self.serial}"

    def node(self, kind, inputs, shape, **attributes):
        out = self.fresh(kind)
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        self.shape[out] = list(shape)
        return out

    def weight(self, dims, deviation, mean=0.0):
        name = f"weight_{len(self.weights)}"
        count = math.prod(dims)
        self.parameters += count
        array = None
        if not self.dry:
            seed = int.from_bytes(hashlib.sha256(f"{self.name}/{name}".encode()).digest()[:8], "little")
            array = (bell(seed, count) * np.float32(deviation) + np.float32(mean)).reshape(dims)
        self.weights.append((name, dims, array))
        self.shape[name] = list(dims)
        return name

    def constant(self, values, dtype=np.int64):
        name = f"constant_{len(self.weights)}"
        array = np.asarray(values, dtype)
        self.weights.append((name, array.shape, array))
        return name

    # ---- layers ----

    def conv(self, x, channels, kernel, stride=1, group=1, pad=None, gain=1.0):
        c, h, w = self.shape[x]
        pad = kernel // 2 if pad is None else pad
        oh, ow = ((s + 2 * pad - kernel) // stride + 1 for s in (h, w))
        fan = c // group * kernel * kernel
        self.macs += channels * oh * ow * fan
        return self.node("Conv", [x, self.weight([channels, c // group, kernel, kernel], gain * math.sqrt(2.0 / fan)),
                                  self.weight([channels], 0.1)], [channels, oh, ow], kernel_shape=[kernel, kernel],
                         strides=[stride, stride], pads=[pad] * 4, group=group)

    def unary(self, kind, x, **attributes):
        return self.node(kind, [x], self.shape[x], **attributes)

    def relu6(self, x):
        return self.node("Clip", [x, self.constant(0.0, np.float32), self.constant(6.0, np.float32)], self.shape[x])

    def silu(self, x):
        return self.node("Mul", [x, self.unary("Sigmoid", x)], self.shape[x])

    def add(self, x, y):
        return self.node("Add", [x, y], self.shape[x])

    def linear(self, x, width, gain=1.0):
        """MatMul and Add over the innermost axis."""
        inner = self.shape[x][-1]
        shape = self.shape[x][:-1] + [width]
        self.macs += math.prod(shape) * inner
        y = self.node("MatMul", [x, self.weight([inner, width], gain / math.sqrt(inner))], shape)
        return self.node("Add", [y, self.weight([width], 0.02)], shape)

    def matmul(self, x, y):
        shape = self.shape[x][:-1] + [self.shape[y][-1]]
        self.macs += math.prod(shape) * self.shape[x][-1]
        return self.node("MatMul", [x, y], shape)

    def layer_norm(self, x, epsilon=1e-6):
        width = self.shape[x][-1]
        return self.node("LayerNormalization", [x, self.weight([width], 0.1, 1.0), self.weight([width], 0.1)],
                         self.shape[x], axis=-1, epsilon=epsilon)

    def transpose(self, x, perm):
        """perm without the batch axis, which stays in front."""
        shape = [self.shape[x][p] for p in perm]
        return self.node("Transpose", [x], shape, perm=[0] + [p + 1 for p in perm])

    def reshape(self, x, shape, leading=0):
        """leading: 0 keeps the batch axis, -1 lets it absorb or give off a factor."""
        return self.node("Reshape", [x, self.constant([leading] + list(shape))], shape)

    def concat(self, parts):
        shape = list(self.shape[parts[0]])
        shape[0] = sum(self.shape[part][0] for part in parts)
        return self.node("Concat", parts, shape, axis=1)

    def max_pool(self, x, kernel, stride, pad):
        c, h, w = self.shape[x]
        shape = [c] + [(s + 2 * pad - kernel) // stride + 1 for s in (h, w)]
        return self.node("MaxPool", [x], shape, kernel_shape=[kernel, kernel], strides=[stride, stride], pads=[pad] * 4)

    def average(self, x):
        return self.node("GlobalAveragePool", [x], [self.shape[x][0], 1, 1])

    def classify(self, x, classes=1000):
        x = self.node("Flatten", [x], [math.prod(self.shape[x])], axis=1)
        return self.linear(x, classes)

    def split(self, x, parts):
        """Equal parts of the innermost axis."""
        axis = len(self.shape[x])
        shape = self.shape[x][:-1] + [self.shape[x][-1] // parts]
        outs = [self.fresh("Split") for _ in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], outs, name=outs[0], axis=axis, num_outputs=parts))
        for out in outs:
            self.shape[out] = list(shape)
        return outs

    def model(self, outputs):
        initializers = []
        for name, dims, array in self.weights:
            if array is not None:
                initializers.append(onnx.numpy_helper.from_array(array, name))
        info = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, self.size, self.size])]
        out = [helper.make_tensor_value_info(o, TensorProto.FLOAT, ["N"] + self.shape[o]) for o in outputs]
        graph = helper.make_graph(self.nodes, self.name, info, out, initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


# ---- convolutional networks ----

def resnet50(b):
    x = b.max_pool(b.unary("Relu", b.conv("image", 64, 7, 2)), 3, 2, 1)
    for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(depth):
            step = stride if i == 0 else 1
            shortcut = b.conv(x, 4 * width, 1, step) if i == 0 else x
            y = b.unary("Relu", b.conv(x, width, 1))
            y = b.unary("Relu", b.conv(y, width, 3, step))
            x = b.unary("Relu", b.add(b.conv(y, 4 * width, 1, gain=0.3), shortcut))
    return [b.classify(b.average(x))]


def mobilenet_v2(b):
    x = b.relu6(b.conv("image", 32, 3, 2))
    for expand, width, depth, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                         (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(depth):
            step, c = (stride if i == 0 else 1), b.shape[x][0]
            y = x if expand == 1 else b.relu6(b.conv(x, expand * c, 1))
            y = b.relu6(b.conv(y, expand * c, 3, step, group=expand * c))
            y = b.conv(y, width, 1, gain=0.7)
            x = b.add(x, y) if step == 1 and c == width else y
    return [b.classify(b.average(b.relu6(b.conv(x, 1280, 1))))]


def efficientnet_b0(b):
    x = b.silu(b.conv("image", 32, 3, 2))
    for expand, width, depth, stride, kernel in ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
                                                 (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)):
        for i in range(depth):
            step, c = (stride if i == 0 else 1), b.shape[x][0]
            y = x if expand == 1 else b.silu(b.conv(x, expand * c, 1))
            y = b.silu(b.conv(y, expand * c, kernel, step, group=expand * c))
            gate = b.silu(b.conv(b.average(y), max(1, c // 4), 1))
            gate = b.unary("Sigmoid", b.conv(gate, expand * c, 1))
            y = b.conv(b.node("Mul", [y, gate], b.shape[y]), width, 1)
            x = b.add(x, y) if step == 1 and c == width else y
    return [b.classify(b.average(b.silu(b.conv(x, 1280, 1))))]


def yolo_m(b):
    """A one-stage detector at 640 with the widths of a medium YOLOv8."""
    def block(x, width, kernel=3, stride=1):
        return b.silu(b.conv(x, width, kernel, stride, gain=0.9))

    def c2f(x, width, depth, shortcut):
        half = width // 2
        y = block(x, width, 1)
        parts = []
        for i in range(2):
            begin, end = b.constant([i * half]), b.constant([(i + 1) * half])
            parts.append(b.node("Slice", [y, begin, end, b.constant([1])], [half] + b.shape[y][1:]))
        for _ in range(depth):
            z = block(block(parts[-1], half), half)
            parts.append(b.add(parts[-1], z) if shortcut else z)
        return block(b.concat(parts), width, 1)

    def up(x):
        c, h, w = b.shape[x]
        scales = b.constant([1, 1, 2, 2], np.float32)
        return b.node("Resize", [x, "", scales], [c, 2 * h, 2 * w], mode="nearest",
                      coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    x = block("image", 48, 3, 2)
    x = c2f(block(x, 96, 3, 2), 96, 2, True)
    p3 = c2f(block(x, 192, 3, 2), 192, 4, True)
    p4 = c2f(block(p3, 384, 3, 2), 384, 4, True)
    x = c2f(block(p4, 576, 3, 2), 576, 2, True)
    x = block(x, 288, 1)
    pools = [x]
    for _ in range(3):
        pools.append(b.max_pool(pools[-1], 5, 1, 2))
    p5 = block(b.concat(pools), 576, 1)
    n4 = c2f(b.concat([up(p5), p4]), 384, 2, False)
    n3 = c2f(b.concat([up(n4), p3]), 192, 2, False)
    m4 = c2f(b.concat([block(n3, 192, 3, 2), n4]), 384, 2, False)
    m5 = c2f(b.concat([block(m4, 384, 3, 2), p5]), 576, 2, False)
    outs = []
    for level in (n3, m4, m5):
        outs.append(b.conv(block(block(level, 64), 64), 64, 1))
        outs.append(b.conv(block(block(level, 192), 192), 80, 1))
    return outs


def convnext_l(b):
    def norm(x):
        """LayerNormalization over the channels of [C, H, W]."""
        return b.transpose(b.layer_norm(b.transpose(x, [1, 2, 0])), [2, 0, 1])

    x = norm(b.conv("image", 192, 4, 4, pad=0))
    for stage, (width, depth) in enumerate(((192, 3), (384, 3), (768, 27), (1536, 3))):
        if stage > 0:
            x = b.conv(norm(x), width, 2, 2, pad=0)
        for _ in range(depth):
            y = b.transpose(b.conv(x, width, 7, group=width), [1, 2, 0])
            y = b.linear(b.unary("Gelu", b.linear(b.layer_norm(y), 4 * width)), width)
            y = b.node("Mul", [y, b.weight([width], 0.05, 0.1)], b.shape[y])
            x = b.add(x, b.transpose(y, [2, 0, 1]))
    x = b.node("Flatten", [b.average(x)], [1536], axis=1)
    return [b.linear(b.layer_norm(x), 1000)]


# ---- transformers ----

def patches(b, width, patch):
    """Tokens [rows * columns, width] of the image."""
    x = b.conv("image", width, patch, patch, pad=0)
    c, h, w = b.shape[x]
    return b.transpose(b.reshape(x, [c, h * w]), [1, 0])


def heads_of(b, x, heads):
    tokens, width = b.shape[x]
    return b.transpose(b.reshape(x, [tokens, heads, width // heads]), [1, 0, 2])


def attention(b, x, heads):
    tokens, width = b.shape[x]
    q, k, v = (heads_of(b, part, heads) for part in b.split(b.linear(x, 3 * width), 3))
    scale = b.constant(1.0 / math.sqrt(width // heads), np.float32)
    q = b.node("Mul", [q, scale], b.shape[q])
    p = b.unary("Softmax", b.matmul(q, b.transpose(k, [0, 2, 1])), axis=-1)
    y = b.reshape(b.transpose(b.matmul(p, v), [1, 0, 2]), [tokens, width])
    return b.linear(y, width, gain=0.5)


def mlp(b, x, width):
    return b.linear(b.unary("Gelu", b.linear(x, 4 * width)), width, gain=0.5)


def vit(b, width, depth, heads, patch):
    x = patches(b, width, patch)
    tokens = b.shape[x][0] + 1
    x = b.node("Pad", [x, b.constant([0, 1, 0, 0, 0, 0])], [tokens, width])
    x = b.node("Add", [x, b.weight([1, tokens, width], 0.5)], [tokens, width])
    for _ in range(depth):
        x = b.add(x, attention(b, b.layer_norm(x), heads))
        x = b.add(x, mlp(b, b.layer_norm(x), width))
    x = b.layer_norm(x)
    x = b.node("Slice", [x, b.constant([0]), b.constant([1]), b.constant([1])], [1, width])
    return [b.classify(x)]


def relative(b, scores, q, side):
    """Adds the decomposed relative position terms to scores [heads, side * side, side * side]."""
    heads, tokens, depth = b.shape[q]
    image = b.reshape(q, [heads, side, side, depth])
    rows = b.matmul(image, b.weight([side, depth, side], 0.02))
    columns = b.transpose(b.matmul(b.transpose(image, [0, 2, 1, 3]), b.weight([side, depth, side], 0.02)), [0, 2, 1, 3])
    rows = b.reshape(rows, [heads, side, side, side, 1])
    columns = b.reshape(columns, [heads, side, side, 1, side])
    grid = b.reshape(scores, [heads, side, side, side, side])
    grid = b.node("Add", [b.node("Add", [grid, rows], b.shape[grid]), columns], b.shape[grid])
    return b.reshape(grid, [heads, tokens, tokens])


def image_attention(b, x, heads, side):
    """Attention among the side * side positions of each image of [side, side, width]."""
    width = b.shape[x][-1]
    x = b.reshape(x, [side * side, width])
    q, k, v = (heads_of(b, part, heads) for part in b.split(b.linear(x, 3 * width), 3))
    scaled = b.node("Mul", [q, b.constant(1.0 / math.sqrt(width // heads), np.float32)], b.shape[q])
    scores = relative(b, b.matmul(scaled, b.transpose(k, [0, 2, 1])), q, side)
    y = b.matmul(b.unary("Softmax", scores, axis=-1), v)
    y = b.reshape(b.transpose(y, [1, 0, 2]), [side, side, width])
    return b.linear(y, width, gain=0.5)


def sam_vit_h(b):
    """The image encoder: windows of 14 in all blocks but four, relative positions, a convolutional neck."""
    width, heads, side, window = 1280, 16, 64, 14
    count = -(-side // window)
    padded = count * window
    x = b.transpose(b.conv("image", width, 16, 16, pad=0), [1, 2, 0])
    x = b.node("Add", [x, b.weight([1, side, side, width], 0.3)], b.shape[x])
    for block in range(32):
        y = b.layer_norm(x)
        if block % 8 == 7:
            y = image_attention(b, y, heads, side)
        else:
            over = padded - side
            y = b.node("Pad", [y, b.constant([0, 0, 0, 0, 0, over, over, 0])], [padded, padded, width])
            y = b.transpose(b.reshape(y, [count, window, count, window, width]), [0, 2, 1, 3, 4])
            before = b.macs
            y = image_attention(b, b.reshape(y, [window, window, width], -1), heads, window)
            b.macs = before + (b.macs - before) * count * count
            y = b.reshape(y, [count, count, window, window, width], -1)
            y = b.reshape(b.transpose(y, [0, 2, 1, 3, 4]), [padded, padded, width])
            y = b.node("Slice", [y, b.constant([0, 0]), b.constant([side, side]), b.constant([1, 2])],
                       [side, side, width])
        x = b.add(x, y)
        x = b.add(x, mlp(b, b.layer_norm(x), width))
    x = b.transpose(x, [2, 0, 1])
    for kernel in (1, 3):
        x = b.conv(x, 256, kernel)
        x = b.transpose(b.layer_norm(b.transpose(x, [1, 2, 0])), [2, 0, 1])
    return [x]


# Name: image size, multiply-accumulates in units of 1e9 as published, architecture.
NETWORKS = {
    "resnet50": (224, 4.11, resnet50),
    "mobilenet_v2": (224, 0.30, mobilenet_v2),
    "efficientnet_b0": (224, 0.39, efficientnet_b0),
    "convnext_l": (224, 34.4, convnext_l),
    "vit_b_16": (224, 17.58, lambda b: vit(b, 768, 12, 12, 16)),
    "vit_l_14_336": (336, 191.1, lambda b: vit(b, 1024, 24, 16, 14)),
    "yolo_m_640": (640, 39.45, yolo_m),
    "sam_vit_h_1024": (1024, 2982.0, sam_vit_h),
}


def build(name, dry=False):
    size, published, architecture = NETWORKS[name]
    builder = Builder(name, size, dry)
    outputs = architecture(builder)
    return builder, outputs, published


def check(names):
    """Multiply-accumulates within 5 % of the published ones."""
    wrong = 0
    for name in names:
        builder, _, published = build(name, dry=True)
        macs = builder.macs / 1e9
        good = abs(macs / published - 1.0) < 0.05
        wrong += not good
        print(f"{name:18} {macs:9.3f} GMAC, published {published:9.3f}, {builder.parameters / 1e6:7.1f} M parameters"
              f"{'' if good else '  WRONG'}")
    return 1 if wrong else 0


def write(name, folder):
    builder, outputs, _ = build(name)
    path = os.path.join(folder, name + ".onnx")
    model = builder.model(outputs)
    side = name + ".weights"
    if os.path.exists(os.path.join(folder, side)):
        os.remove(os.path.join(folder, side))
    onnx.save(model, path, save_as_external_data=True, location=side, size_threshold=4096)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="where to write NAME.onnx and NAME.weights")
    parser.add_argument("--only", help="names, separated by commas: " + ", ".join(NETWORKS))
    parser.add_argument("--check", action="store_true", help="write nothing, compare sizes with the published ones")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(NETWORKS)
    unknown = [name for name in names if name not in NETWORKS]
    if unknown:
        parser.error(f"no network is called {unknown[0]}; known: {', '.join(NETWORKS)}")
    if options.check:
        return check(names)
    if options.folder is None:
        parser.error("a folder is needed")
    os.makedirs(options.folder, exist_ok=True)
    for name in names:
        print(write(name, options.folder), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
