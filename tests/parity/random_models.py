# SPDX-License-Identifier: Apache-2.0
"""Random ONNX graphs of the operators that placement treats differently."""
import random

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.nodes, self.inits, self.inputs, self.outputs = [], [], [], []
        self.maps, self.flats, self.seqs = [], [], []  # tensors [1,C,H,W], [1,F], [1,T,F] with their dims
        self.count = 0

    def name(self, prefix):
        self.count += 1
        return "%s_%d" % (prefix, self.count)

    def const(self, array, dtype=np.float32):
        n = self.name("c")
        self.inits.append(numpy_helper.from_array(np.asarray(array, dtype), n))
        return n

    def rand(self, *shape):
        return self.const(np.random.default_rng(self.count).uniform(-1, 1, shape))

    def op(self, kind, inputs, outputs=1, **attrs):
        outs = [self.name("t") for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, outs, name=self.name(kind), **attrs))
        return outs[0] if outputs == 1 else outs

    # ---- blocks on feature maps: (tensor, channels, size) ----

    def pick(self, pool):
        # Recent tensors are preferred, so that graphs become deep and still branch.
        k = len(pool) - 1 - min(int(self.r.expovariate(0.7)), len(pool) - 1)
        return pool[k]

    def same(self, c, s):
        return [m for m in self.maps if m[1] == c and m[2] == s]

    def conv(self, m, out=None, group=1, kernel=None):
        t, c, s = m
        kernel = kernel or self.r.choice([1, 3])
        out = out or self.r.choice([2, 4, 4, 8])
        if group == c:
            out = c
        ins = [t, self.rand(out, c // group, kernel, kernel)]
        if self.r.random() < 0.6:
            ins.append(self.rand(out))
        return (self.op("Conv", ins, group=group, kernel_shape=[kernel, kernel], pads=[kernel // 2] * 4), out, s)

    def activation(self, m):
        t, c, s = m
        k = self.r.choice(["Relu", "Relu", "Clip", "LeakyRelu", "Sigmoid", "HardSwish", "HardSigmoid", "Elu", "swish", "hswish", "hswishdiv", "gelu", "Tanh", "PRelu", "hardswish2"])
        if k == "swish":
            t = self.op("Mul", [t, self.op("Sigmoid", [t])])
        elif k == "hardswish2":
            t = self.op("Mul", [t, self.op("HardSigmoid", [t])])
        elif k in ("hswish", "hswishdiv"):
            a = self.op("Clip", [self.op("Add", [t, self.const(3.0)]), self.const(0.0), self.const(6.0)])
            t = self.op("Mul", [t, a])
            if k == "hswishdiv":
                t = self.op("Div", [t, self.const(6.0)])
        elif k == "gelu":
            e = self.op("Erf", [self.op("Div", [t, self.const(1.4142)])])
            h = self.op("Mul", [t, self.op("Add", [e, self.const(1.0)])])
            t = self.op("Mul", [h, self.const(0.5)]) if self.r.random() < 0.5 else h
        elif k == "PRelu":
            t = self.op("PRelu", [t, self.rand(1)])
        elif k == "Clip":
            t = self.op("Clip", [t, self.const(0.0), self.const(6.0)])
        else:
            t = self.op(k, [t])
        return (t, c, s)

    def binary(self, m):
        t, c, s = m
        k = self.r.choice(["Add", "Add", "Add", "Mul", "Sub", "Max", "Min", "Sum"])
        other = self.r.choice(self.same(c, s))[0]
        if self.r.random() < 0.35:
            k = self.r.choice(["Add", "Mul", "Sub", "Div", "Pow"])
            other = self.const(2.0) if k == "Pow" else self.rand(*self.r.choice([(1,), (1, c, 1, 1)]))
            if self.r.random() < 0.2 and k in ("Add", "Mul"):
                return (self.op(k, [other, t]), c, s)
        return (self.op(k, [t, other]), c, s)

    def norm(self, m):
        t, c, s = m
        return (self.op("BatchNormalization", [t, self.rand(c), self.rand(c), self.rand(c), self.const(np.ones(c))]), c, s)

    def scale_shift(self, m):
        t, c, s = m
        a, b = self.rand(1, c, 1, 1), self.rand(1, c, 1, 1)
        if self.r.random() < 0.5:
            return (self.op("Add", [self.op("Mul", [t, a]), b]), c, s)
        return (self.op("Mul", [self.op("Sub", [t, b]), a]), c, s)

    def se(self, m):
        t, c, s = m
        p = self.op("GlobalAveragePool", [t]) if self.r.random() < 0.6 else self.op("ReduceMean", [t], axes=[2, 3], keepdims=1)
        h = self.conv((p, c, 1), 2, kernel=1)
        h = self.activation(h)
        h = self.conv(h, c, kernel=1)
        g = self.op(self.r.choice(["Sigmoid", "HardSigmoid"]), [h[0]])
        return (self.op("Mul", [t, g] if self.r.random() < 0.5 else [g, t]), c, s)

    def concat(self, m):
        t, c, s = m
        pool = [x for x in self.maps if x[2] == s]
        parts = [m] + [self.r.choice(pool) for _ in range(self.r.choice([1, 1, 2]))]
        total = sum(p[1] for p in parts)
        if total > 24:
            return self.conv(m)
        return (self.op("Concat", [p[0] for p in parts], axis=1), total, s)

    def split(self, m):
        t, c, s = m
        if c % 2:
            return self.activation(m)
        a, b = self.op("Split", [t], outputs=2, axis=1)
        self.maps.append((b, c // 2, s))
        return (a, c // 2, s)

    def passing(self, m):
        t, c, s = m
        k = self.r.choice(["MaxPool", "Identity", "Transpose", "Reshape", "Pad", "Slice", "shuffle", "Gather", "Dropout"])
        if k == "MaxPool":
            return (self.op("MaxPool", [t], kernel_shape=[3, 3], pads=[1] * 4), c, s)
        if k == "Transpose":
            return (self.op("Transpose", [self.op("Transpose", [t], perm=[0, 2, 3, 1])], perm=[0, 3, 1, 2]), c, s)
        if k == "Reshape":
            u = self.op("Reshape", [t, self.const([1, c, s * s], np.int64)])
            return (self.op("Reshape", [u, self.const([1, c, s, s], np.int64)]), c, s)
        if k == "Pad":
            u = self.op("Pad", [t, self.const([0, 0, 1, 1, 0, 0, 0, 0], np.int64)])
            return (self.op("Slice", [u, self.const([1, 1], np.int64), self.const([s + 1, s + 1], np.int64), self.const([2, 3], np.int64)]), c, s)
        if k == "Slice":
            return (self.op("Slice", [t, self.const([0], np.int64), self.const([max(1, c // 2)], np.int64), self.const([1], np.int64)]), max(1, c // 2), s)
        if k == "shuffle" and c % 2 == 0:
            u = self.op("Reshape", [t, self.const([1, 2, c // 2, s, s], np.int64)])
            u = self.op("Transpose", [u], perm=[0, 2, 1, 3, 4])
            return (self.op("Reshape", [u, self.const([1, c, s, s], np.int64)]), c, s)
        if k == "Gather":
            return (self.op("Gather", [t, self.const(list(range(c))[::-1], np.int64)], axis=1), c, s)
        if k == "Dropout":
            return (self.op("Dropout", [t]), c, s)
        return (self.op("Identity", [t]), c, s)

    def pool(self, m):
        t, c, s = m
        k = self.r.choice(["AveragePool", "Resize", "DepthToSpace", "ConvTranspose", "dynamic"])
        if k == "AveragePool":
            return (self.op("AveragePool", [t], kernel_shape=[3, 3], pads=[1] * 4), c, s)
        if k == "Resize":
            return (self.op("Resize", [t, "", self.const([1.0, 1.0, 1.0, 1.0])], mode="nearest"), c, s)
        if k == "ConvTranspose":
            return (self.op("ConvTranspose", [t, self.rand(c, 4, 1, 1)]), 4, s)
        if k == "dynamic":
            shape = self.op("Shape", [t])
            part = self.op("Gather", [shape, self.const(0, np.int64)], axis=0)
            part = self.op("Unsqueeze", [part, self.const([0], np.int64)])
            target = self.op("Concat", [part, self.const([c, s, s], np.int64)], axis=0)
            return (self.op("Reshape", [t, target]), c, s)
        return (self.op("Relu", [t]), c, s)

    def layer_norm(self, t, f):
        mean = self.op("ReduceMean", [t], axes=[-1], keepdims=1)
        d = self.op("Sub", [t, mean])
        v = self.op("ReduceMean", [self.op("Pow", [d, self.const(2.0)])], axes=[-1], keepdims=1)
        t = self.op("Div", [d, self.op("Sqrt", [self.op("Add", [v, self.const(1e-5)])])])
        if self.r.random() < 0.8:
            t = self.op("Add", [self.op("Mul", [t, self.rand(f)]), self.rand(f)])
        return t

    def linear(self, t, i, o):
        k = self.r.random()
        if k < 0.15:
            w = self.op("Transpose", [self.rand(o, i)], perm=[1, 0])
        elif k < 0.25:
            w = self.op("Identity", [self.rand(i, o)])
        else:
            w = self.rand(i, o)
        t = self.op("MatMul", [t, w])
        return self.op("Add", [self.rand(o), t] if self.r.random() < 0.5 else [t, self.rand(o)]) if self.r.random() < 0.8 else t

    def attention(self, t, n, f):
        heads = 2
        if self.r.random() < 0.5:
            q, k, v = [self.linear(t, f, f) for _ in range(3)]
        else:
            q, k, v = self.op("Split", [self.linear(t, f, 3 * f)], outputs=3, axis=2)
        shape = self.const([1, n, heads, f // heads], np.int64)
        q = self.op("Transpose", [self.op("Reshape", [q, shape])], perm=[0, 2, 1, 3])
        k = self.op("Transpose", [self.op("Reshape", [k, shape])], perm=[0, 2, 3, 1])
        v = self.op("Transpose", [self.op("Reshape", [v, shape])], perm=[0, 2, 1, 3])
        if self.r.random() < 0.5:
            q = self.op("Mul", [q, self.const(0.5)])
        a = self.op("MatMul", [q, k])
        if self.r.random() < 0.3:
            a = self.op("Div", [a, self.const(2.0)])
        p = self.op("Softmax", [a], axis=-1)
        o = self.op("Transpose", [self.op("MatMul", [p, v])], perm=[0, 2, 1, 3])
        o = self.op("Reshape", [o, self.const([1, n, f], np.int64)])
        return self.linear(o, f, f)

    def transformer(self, m):
        t, c, s = m
        f = 8
        m = self.conv(m, f, kernel=1)
        t = self.op("Transpose", [self.op("Reshape", [m[0], self.const([1, f, s * s], np.int64)])], perm=[0, 2, 1])
        n = s * s
        if self.r.random() < 0.5:
            t = self.op("Concat", [self.rand(1, 1, f), t], axis=1)
            n += 1
        if self.r.random() < 0.5:
            t = self.op("Add", [t, self.rand(1, n, f)])
        for _ in range(self.r.choice([1, 2])):
            h = self.layer_norm(t, f)
            t = self.op("Add", [t, self.attention(h, n, f)])
            h = self.linear(self.layer_norm(t, f), f, 16)
            if self.r.random() < 0.7:
                e = self.op("Erf", [self.op("Div", [h, self.const(1.4142)])])
                h = self.op("Mul", [self.op("Mul", [h, self.op("Add", [e, self.const(1.0)])]), self.const(0.5)])
            else:
                h = self.activation((h, 16, s))[0]
            t = self.op("Add", [self.linear(h, 16, f), t])
        t = self.layer_norm(t, f)
        if n != s * s:
            if self.r.random() < 0.5:
                self.outputs.append(self.linear(self.op("Gather", [t, self.const(0, np.int64)], axis=1), f, 5))
            t = self.op("Slice", [t, self.const([1], np.int64), self.const([n], np.int64), self.const([1], np.int64)])
        t = self.op("Reshape", [self.op("Transpose", [t], perm=[0, 2, 1]), self.const([1, f, s, s], np.int64)])
        return (t, f, s)

    def embedding(self, m):
        t, c, s = m
        ids = self.name("ids")
        self.inputs.append(helper.make_tensor_value_info(ids, TensorProto.INT64, [1, s * s]))
        e = self.op("Gather", [self.rand(10, c), ids])
        e = self.op("Reshape", [self.op("Transpose", [e], perm=[0, 2, 1]), self.const([1, c, s, s], np.int64)])
        return (self.op(self.r.choice(["Add", "Mul"]), [t, e]), c, s)

    def roll(self, t, axis, size, shift):
        a = self.op("Slice", [t, self.const([shift], np.int64), self.const([size], np.int64), self.const([axis], np.int64)])
        b = self.op("Slice", [t, self.const([0], np.int64), self.const([shift], np.int64), self.const([axis], np.int64)])
        return self.op("Concat", [a, b], axis=axis)

    def windows(self, m):
        """Attention in shifted windows, as Swin does it."""
        f, s, w = 8, m[2], 4
        if s % w:
            return self.conv(m)
        m = self.conv(m, f, kernel=1)
        x = self.op("Transpose", [m[0]], perm=[0, 2, 3, 1])
        t = self.op("LayerNormalization", [x, self.rand(f), self.rand(f)], axis=-1) if self.r.random() < 0.5 else self.layer_norm(x, f)
        shifted = self.r.random() < 0.5
        if shifted:
            t = self.roll(self.roll(t, 1, s, 2), 2, s, 2)
        n = s // w
        t = self.op("Reshape", [t, self.const([1, n, w, n, w, f], np.int64)])
        t = self.op("Reshape", [self.op("Transpose", [t], perm=[0, 1, 3, 2, 4, 5]), self.const([n * n, w * w, f], np.int64)])
        qkv = self.op("Reshape", [self.linear(t, f, 3 * f), self.const([n * n, w * w, 3, 2, f // 2], np.int64)])
        qkv = self.op("Transpose", [qkv], perm=[2, 0, 3, 1, 4])
        q, k, v = [self.op("Gather", [qkv, self.const(i, np.int64)], axis=0) for i in range(3)]
        a = self.op("MatMul", [self.op("Mul", [q, self.const(0.5)]), self.op("Transpose", [k], perm=[0, 1, 3, 2])])
        a = self.op("Add", [a, self.rand(1, 2, w * w, w * w)])
        if shifted:
            a = self.op("Reshape", [a, self.const([1, n * n, 2, w * w, w * w], np.int64)])
            a = self.op("Add", [a, self.rand(1, n * n, 1, w * w, w * w)])
            a = self.op("Reshape", [a, self.const([-1, 2, w * w, w * w], np.int64)])
        t = self.op("MatMul", [self.op("Softmax", [a], axis=-1), v])
        t = self.op("Reshape", [self.op("Transpose", [t], perm=[0, 2, 1, 3]), self.const([n * n, w * w, f], np.int64)])
        t = self.op("Reshape", [self.linear(t, f, f), self.const([1, n, n, w, w, f], np.int64)])
        t = self.op("Reshape", [self.op("Transpose", [t], perm=[0, 1, 3, 2, 4, 5]), self.const([1, s, s, f], np.int64)])
        if shifted:
            t = self.roll(self.roll(t, 1, s, s - 2), 2, s, s - 2)
        t = self.op("Add", [x, t])
        return (self.op("Transpose", [t], perm=[0, 3, 1, 2]), f, s)

    def channels(self, m):
        """Every channel scaled and shifted apart, as inception networks treat their input."""
        t, c, s = m
        parts = []
        for i in range(min(c, 3)):
            p = self.op("Unsqueeze", [self.op("Gather", [t, self.const(i, np.int64)], axis=1), self.const([1], np.int64)])
            parts.append(self.op("Add", [self.op("Mul", [p, self.const(0.5)]), self.const(-0.1)]))
        return (self.op("Concat", parts, axis=1), len(parts), s)

    def rare(self, m):
        t, c, s = m
        k = self.r.choice(["where", "mean", "gelu", "reduce", "norm", "pow", "softmax", "cast", "instance", "expand", "tile", "lrn", "neg", "div", "scatter"])
        if k == "where":
            return (self.op("Where", [self.op("Greater", [t, self.const(0.0)]), t, self.rand(1, c, 1, 1)]), c, s)
        if k == "mean":
            return (self.op("Mean", [t, self.r.choice(self.same(c, s))[0]]), c, s)
        if k == "gelu":
            return (self.op("Softplus", [t]), c, s)
        if k == "reduce":
            r = self.op(self.r.choice(["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"]), [t], axes=[1], keepdims=1)
            return (self.op("Div", [t, r]), c, s)
        if k == "norm":
            n = self.op("Sqrt", [self.op("ReduceSum", [self.op("Mul", [t, t]), self.const([1], np.int64)], keepdims=1)])
            return (self.op("Div", [t, n]), c, s)
        if k == "pow":
            return (self.op("Pow", [t, self.const(2.0)]), c, s)
        if k == "softmax":
            return (self.op("Softmax", [t], axis=1), c, s)
        if k == "cast":
            return (self.op("Cast", [self.op("Cast", [t], to=TensorProto.DOUBLE)], to=TensorProto.FLOAT), c, s)
        if k == "instance":
            return (self.op("InstanceNormalization", [t, self.rand(c), self.rand(c)]), c, s)
        if k == "expand":
            return (self.op("Expand", [t, self.const([1, c, s, s], np.int64)]), c, s)
        if k == "tile":
            return (self.op("Tile", [t, self.const([1, 1, 1, 1], np.int64)]), c, s)
        if k == "lrn":
            return (self.op("LRN", [t], size=3), c, s)
        if k == "neg":
            return (self.op("Neg", [t]), c, s)
        if k == "scatter":
            other = self.r.choice(self.same(c, s))[0]
            rows = self.op("Slice", [other, self.const([0], np.int64), self.const([1], np.int64), self.const([0], np.int64)])
            return (self.op("ScatterND", [t, self.const([[0]], np.int64), rows]), c, s)
        return (self.op("Div", [self.const(1.0), t]), c, s)

    def detection(self, m):
        t, c, s = m
        t = self.op("Reshape", [t, self.const([1, c * s * s], np.int64)])
        v, i = self.op("TopK", [self.op("Mul", [t, self.const(2.0)]), self.const([1], np.int64)], outputs=2)
        self.outputs.append(self.op("Mul", [v, v]))
        return m

    def head(self, m):
        t, c, s = m
        t = self.op("GlobalAveragePool", [t])
        t = self.op("Flatten", [t]) if self.r.random() < 0.5 else self.op("Reshape", [t, self.const([1, -1], np.int64)])
        if self.r.random() < 0.7:
            trans = self.r.random() < 0.5
            t = self.op("Gemm", [t, self.rand(5, c) if trans else self.rand(c, 5), self.rand(5)], transB=int(trans))
        else:
            t = self.linear(t, c, 5)
        return self.op("Softmax", [t]) if self.r.random() < 0.3 else t


def live_nodes(nodes, outputs):
    """The nodes that some output needs, and the names of all they read and make; exporters leave nothing dead."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(node.input)
    return kept[::-1], needed


def make(seed):
    b = Builder(seed)
    r = b.r
    size = 8
    for i in range(r.choice([1, 1, 1, 2])):
        b.inputs.append(helper.make_tensor_value_info("input_%d" % i, TensorProto.FLOAT, [1, 3, size, size]))
        b.maps.append(("input_%d" % i, 3, size))
    if r.random() < 0.7:
        b.maps.append(b.conv(b.maps[0], 4))
    blocks = [b.conv] * 5 + [b.activation] * 5 + [b.binary] * 5 + [b.norm] * 2 + [b.scale_shift, b.se] + [b.concat] * 3 + [b.split, b.passing, b.passing, b.pool, b.pool]
    blocks += [lambda m: b.conv(m, group=m[1])] * 3
    blocks += [lambda m: b.conv(m, out=4, group=2) if m[1] % 2 == 0 else b.activation(m)]
    if r.random() < 0.25:
        blocks += [b.transformer]
    if r.random() < 0.1:
        blocks += [b.embedding]
    if r.random() < 0.5:
        blocks += [b.rare, b.rare, b.rare, b.channels]
    if r.random() < 0.2:
        blocks += [b.windows]
    for _ in range(r.choice([4, 8, 15, 25])):
        m = b.pick(b.maps)
        b.maps.append(r.choice(blocks)(m))
    if r.random() < 0.08:
        b.detection(b.maps[-1])
    for m in r.sample(b.maps, min(len(b.maps), r.choice([1, 1, 2]))) + [b.maps[-1]]:
        if m[0].startswith("input"):
            continue
        b.outputs.append(b.head(m) if r.random() < 0.6 else m[0])
    b.outputs = list(dict.fromkeys(b.outputs)) or [b.op("Relu", [b.maps[0][0]])]
    kept, needed = live_nodes(b.nodes, b.outputs)
    graph = helper.make_graph(kept, "random", [i for i in b.inputs if i.name in needed],
                              [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in b.outputs],
                              [i for i in b.inits if i.name in needed])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    inferred = {v.name: v for v in model.graph.output}
    del model.graph.output[:]
    model.graph.output.extend(inferred[o] for o in b.outputs)
    return model
