# SPDX-License-Identifier: Apache-2.0
"""Random ONNX graphs of many operators, with odd shapes, attributes and opsets, for comparisons of results.

Graphs avoid what makes a comparison meaningless: steps (Floor, Round, comparisons by themselves), divisions by numbers
near zero, and what grows without bounds. Every graph comes with the tolerance that float32 leaves.
"""

import math
import pathlib
import random
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "parity"))
import random_models  # noqa: E402

OPSETS = (13, 14, 15, 16, 17, 17, 18, 19, 20, 21)
FIRST_SHAPES = ((1, 3, 8, 8), (2, 3, 7, 9), (1, 16, 8, 8), (1, 8, 6, 6), (3, 4, 12, 12), (1, 3, 16), (1, 2, 4, 5, 6))
MORE_SHAPES = (*FIRST_SHAPES, (1, 3, 10), (2, 6), (4,))
LARGEST = 200_000  # elements of a tensor
STEPS = (3, 6, 10, 20, 35)

# How many units in the last place an elementary function may be off: libraries promise between 1 and 4, their
# approximations of few terms (Erf, Tanh, Sigmoid in single precision) are measured at up to 30.
FUNCTION_ROUNDING = 32
# Operators that round less: those that choose, those that move elements, and the basic arithmetic.
ROUNDING = dict.fromkeys(("Abs", "Clip", "Concat", "DepthToSpace", "Dropout", "Expand", "Flatten", "Gather",
                          "GatherElements", "Identity", "Max", "MaxPool", "Min", "Neg", "Pad", "Relu", "Reshape",
                          "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu",
                          "Unsqueeze", "Where"), 0)
ROUNDING |= dict.fromkeys(("Add", "Div", "LeakyRelu", "Mul", "PRelu", "Pow", "Sub"), 1)
UNIT_ROUNDOFF = 2.0**-24


def size(shape):
    return math.prod(shape)


def broadcast(a, b):
    """The common shape of two, or None."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


class Graph(random_models.Builder):
    """A graph that grows by one random operator at a time; `values` are its tensors, each (name, shape)."""

    def __init__(self, seed, samples_of_one):
        super().__init__(seed)
        self.generator = np.random.default_rng(seed)
        self.opset = self.r.choice(OPSETS)
        self.values, self.feeds = [], {}
        self.rounding = {}  # by a node's first output: how many roundings may add up in one element
        for index in range(1 if samples_of_one else self.r.choice((1, 1, 1, 2, 3))):
            shape = self.r.choice(MORE_SHAPES if index else FIRST_SHAPES)
            self.add_input("x%d" % index, (1, *shape[1:]) if samples_of_one else shape)

    def add_input(self, name, shape):
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self.values.append((name, shape))
        self.feeds[name] = self.generator.standard_normal(shape).astype(np.float32)

    # ---- parts ----

    def const(self, array, dtype=np.float32):
        """A constant: an initializer, or now and then the output of a Constant node."""
        array = np.asarray(array, dtype)
        name = self.name("c")
        if self.r.random() < 0.15:
            self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
        else:
            self.inits.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, values):
        return self.const(values, np.int64)

    def weight(self, *shape):
        """Random weights that keep the size of what they are multiplied with."""
        fan = max(1, size(shape[1:]))
        return self.const(self.generator.standard_normal(shape) / math.sqrt(fan))

    def positive(self, *shape):
        return self.const(self.generator.uniform(0.5, 2, shape))

    def op(self, kind, inputs, outputs=1, rounding=None, **attributes):
        """A node, of which some have no name; the output or a list of them."""
        result = super().op(kind, inputs, outputs, **attributes)
        if self.r.random() < 0.2:
            self.nodes[-1].name = ""
        usual = ROUNDING.get(kind, FUNCTION_ROUNDING)
        self.rounding[self.nodes[-1].output[0]] = usual if rounding is None else rounding
        return result

    def add(self, name, shape):
        """Makes a tensor known, unless it is too large to go on with."""
        shape = tuple(int(d) for d in shape)
        if 0 < size(shape) < LARGEST and len(shape) <= 6:
            self.values.append((name, shape))

    def choose(self, rank=None, least=0):
        """One of the latest tensors, of a rank if that is said; None when there is none."""
        fit = [v for v in self.values if (rank is None or len(v[1]) == rank) and len(v[1]) >= least]
        return self.pick(fit) if fit else None

    def alike(self, shape):
        return [v for v in self.values if v[1] == tuple(shape)]

    # ---- layers with weights ----

    def behind(self, t, shape):
        """Adds `t`, and what often stands behind a layer and may be fused into it."""
        self.add(t, shape)
        for _ in range(self.r.choice((0, 0, 1, 1, 2, 3))):
            kind = self.r.choice(("activation", "residual", "gate", "bias", "norm", "combine"))
            others = self.alike(shape)
            if kind == "activation":
                t = self.activate(t, shape)
            elif kind == "residual" and others:
                pair = [t, self.r.choice(others)[0]]
                self.r.shuffle(pair)
                t = self.op("Add", pair)
            elif kind == "combine" and others:
                t = self.op(self.r.choice(("Mul", "Sub", "Max")), [t, self.r.choice(others)[0]])
            elif kind == "gate":
                pair = [t, self.op(self.r.choice(("Sigmoid", "HardSigmoid")), [t])]
                self.r.shuffle(pair)
                t = self.op("Mul", pair)
            elif kind == "bias" and len(shape) >= 2:
                t = self.op("Add", [t, self.weight(shape[1], *[1] * (len(shape) - 2))])
            elif kind == "norm" and len(shape) >= 2:
                t = self.batch_norm(t, shape)
            self.add(t, shape)

    def batch_norm(self, t, shape):
        parameters = [self.weight(shape[1]) for _ in range(3)]
        return self.op("BatchNormalization", [t, *parameters, self.positive(shape[1])])

    def conv(self):
        found = self.choose(self.r.choice((4, 4, 4, 4, 3, 5)))
        if found is None:
            return
        t, (batch, channels, *space) = found
        r = self.r
        group = r.choice([1, 1, 1, channels] + [g for g in range(1, channels + 1) if channels % g == 0])
        outputs = group * r.choice((1, 1, 2, 3, 4, 8)) if group > 1 else r.choice((1, 3, 4, 8, 16, 17))
        kernel = [1] * len(space) if r.random() < 0.3 else [r.choice((1, 2, 3, 3, 5)) for _ in space]
        strides = [r.choice((1, 1, 1, 2, 3)) for _ in space]
        padding = r.choice(("NOTSET", "NOTSET", "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"))
        dilations = [1 if padding.startswith("SAME") else r.choice((1, 1, 1, 2)) for _ in space]
        begin = [r.randint(0, 2) if padding == "NOTSET" else 0 for _ in space]
        end = [r.randint(0, 2) if r.random() < 0.5 and padding == "NOTSET" else p for p in begin]
        extents = [d * (k - 1) + 1 for d, k in zip(dilations, kernel)]
        out = [(x + a + b - e) // s + 1 for x, a, b, e, s in zip(space, begin, end, extents, strides)]
        if padding.startswith("SAME"):
            out = [-(-x // s) for x, s in zip(space, strides)]
        if min(out) < 1:
            return
        attributes = {"pads": begin + end} if padding == "NOTSET" else {"auto_pad": padding}
        if r.random() < 0.5:
            attributes["kernel_shape"] = kernel
        inputs = [t, self.weight(outputs, channels // group, *kernel)]
        if r.random() < 0.6:
            inputs.append(self.weight(outputs))
        terms = channels // group * size(kernel)
        y = self.op("Conv", inputs, rounding=terms, group=group, strides=strides, dilations=dilations, **attributes)
        self.behind(y, (batch, outputs, *out))

    def conv_transpose(self):
        found = self.choose(self.r.choice((4, 4, 3, 5)))
        if found is None:
            return
        t, (batch, channels, *space) = found
        r = self.r
        group = r.choice([1, 1] + [g for g in range(1, channels + 1) if channels % g == 0])
        outputs = group * r.choice((1, 2, 4))
        kernel = [r.choice((1, 2, 3, 4)) for _ in space]
        strides = [r.choice((1, 2, 2)) for _ in space]
        dilations = [r.choice((1, 1, 2)) for _ in space]
        pads = [r.randint(0, min(1, k - 1)) for k in kernel]
        extra = [r.randint(0, s - 1) if r.random() < 0.3 else 0 for s in strides]
        parts = zip(space, strides, extra, dilations, kernel, pads)
        out = [s * (x - 1) + e + (k - 1) * d + 1 - 2 * p for x, s, e, d, k, p in parts]
        if min(out) < 1 or max(out) > 40:
            return
        inputs = [t, self.weight(channels, outputs // group, *kernel)]
        if r.random() < 0.5:
            inputs.append(self.weight(outputs))
        y = self.op("ConvTranspose", inputs, rounding=channels // group * size(kernel), group=group, strides=strides,
                    dilations=dilations, pads=pads * 2, output_padding=extra)
        self.behind(y, (batch, outputs, *out))

    def matmul(self):
        found = self.choose(least=1)
        if found is None:
            return
        t, shape = found
        r = self.r
        columns = r.choice((1, 2, 5, 8))
        if r.random() < 0.3 and len(shape) >= 2:
            self.product_with_itself(t, shape)
        elif r.random() < 0.25 and len(shape) == 2:
            self.gemm(t, shape, columns)
        elif r.random() < 0.1:
            self.behind(self.op("MatMul", [t, self.weight(shape[-1])], rounding=shape[-1]), shape[:-1])
        else:
            batch = shape[:-2] if r.random() < 0.3 else ()
            y = self.op("MatMul", [t, self.weight(*batch, shape[-1], columns)], rounding=shape[-1])
            self.behind(y, (*shape[:-1], columns))

    def product_with_itself(self, t, shape):
        turned = self.op("Transpose", [t], perm=[*range(len(shape) - 2), len(shape) - 1, len(shape) - 2])
        side, terms = shape[-2], shape[-1]
        factors = [t, turned]
        if self.r.random() < 0.3:
            factors, side, terms = [turned, t], terms, side
        out = (*shape[:-2], side, side)
        if size(out) < LARGEST:
            self.add(self.op("Tanh", [self.op("MatMul", factors, rounding=terms)]), out)

    def gemm(self, t, shape, columns):
        r = self.r
        turn_a, turn_b = r.randint(0, 1), r.randint(0, 1)
        rows, terms = (shape[1], shape[0]) if turn_a else shape
        inputs = [t, self.weight(*((columns, terms) if turn_b else (terms, columns)))]
        if r.random() < 0.7:
            inputs.append(self.weight(*r.choice(((columns,), (1, columns), (rows, columns), (rows, 1), (1,)))))
        y = self.op("Gemm", inputs, rounding=terms, transA=turn_a, transB=turn_b, alpha=r.choice((1.0, 0.5)),
                    beta=r.choice((1.0, 2.0)))
        self.behind(y, (rows, columns))

    # ---- element by element ----

    def activate(self, t, shape):
        r = self.r
        kind = r.choice((
            "Relu", "Relu", "Clip", "upper", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Abs",
            "Neg", "Exp", "Softplus", "Softsign", "Selu", "Erf", "Sin", "PRelu", "Celu", "Identity", "Dropout",
            "Mish" if self.opset >= 18 else "Cos"))
        if kind == "HardSwish" and self.opset < 14:
            kind = "Relu"
        if kind == "Clip":
            low, high = sorted(self.generator.standard_normal(2))
            return self.op("Clip", [t, self.const(low), self.const(high)])
        if kind == "upper":
            return self.op("Clip", [t, "", self.const(0.7)])
        if kind == "Exp":
            return self.op("Exp", [self.op("Tanh", [t])])
        if kind == "PRelu":
            shared = len(shape) < 2 or r.random() < 0.5
            slope = self.weight(1) if shared else self.weight(shape[1], *[1] * (len(shape) - 2))
            return self.op("PRelu", [t, slope])
        attributes = {"LeakyRelu": {"alpha": 0.2}, "HardSigmoid": {"alpha": 0.3, "beta": 0.4}}
        return self.op(kind, [t], **attributes.get(kind, {}))

    def unary(self):
        t, shape = self.choose()
        self.add(self.activate(t, shape), shape)

    def other_operand(self, shape):
        """A tensor, or a constant, that goes together with `shape`."""
        fit = [v for v in self.values if broadcast(v[1], shape) is not None]
        if self.r.random() < 0.6:
            equal = self.alike(shape)
            return self.r.choice(equal if equal and self.r.random() < 0.4 else fit)
        dims = [d if self.r.random() < 0.5 else 1 for d in shape][self.r.randint(0, len(shape)):]
        return (self.weight(*dims) if dims else self.const(self.generator.standard_normal())), tuple(dims)

    def binary(self):
        t, shape = self.choose()
        other, other_shape = self.other_operand(shape)
        out = broadcast(shape, other_shape)
        if size(out) >= LARGEST:
            return
        kind = self.r.choice(("Add", "Add", "Mul", "Mul", "Sub", "Max", "Min", "Div", "Pow"))
        pair = [t, other]
        self.r.shuffle(pair)
        if kind == "Pow":
            self.add(self.op("Pow", [self.op("Abs", [t]), self.const(2.0)]), shape)
        elif kind == "Div":
            divisor = self.op("Add", [self.op("Abs", [pair[1]]), self.const(1.0)])
            self.add(self.op("Div", [pair[0], divisor]), out)
        else:
            self.add(self.op(kind, pair), out)

    def where(self):
        """A choice by comparison that is continuous where it flips: x > 0.1 ? x - 0.1 : 0."""
        t, shape = self.choose()
        limit = self.const(0.1)
        chosen = self.op("Where", [self.op("Greater", [t, limit]), self.op("Sub", [t, limit]), self.const(0.0)])
        self.add(chosen, shape)

    def sum(self):
        t, shape = self.choose()
        fit = [v[0] for v in self.values if broadcast(v[1], shape) == shape]
        terms = [t] + [self.r.choice(fit) for _ in range(self.r.randint(0, 2))]
        self.add(self.op(self.r.choice(("Sum", "Mean")), terms), shape)

    # ---- moving elements ----

    def transpose(self):
        found = self.choose(least=2)
        if found is None:
            return
        t, shape = found
        order = list(range(len(shape)))
        self.r.shuffle(order)
        if len(shape) == 4 and self.r.random() < 0.4:
            order = self.r.choice(((0, 2, 3, 1), (0, 3, 1, 2)))
        self.add(self.op("Transpose", [t], perm=order), [shape[i] for i in order])

    def reshape(self):
        t, shape = self.choose()
        dims, rest = [], size(shape)
        for _ in range(self.r.randint(0, 4)):
            dims.append(self.r.choice([d for d in range(1, min(rest, 12) + 1) if rest % d == 0]))
            rest //= dims[-1]
        dims.append(rest)
        self.r.shuffle(dims)
        if len(shape) == 4 and self.r.random() < 0.4:
            n, c, h, w = shape
            dims = self.r.choice(([n, c, h * w], [n, c * h, w, 1], [n * c, 1, h, w], [n, h, c, w]))
        wanted = list(dims)
        if self.r.random() < 0.3:
            wanted[self.r.randrange(len(wanted))] = -1
        self.add(self.op("Reshape", [t, self.ints(wanted)]), dims)

    def reshape_by_shape(self):
        """A target that is computed from the shape, as exporters write it."""
        found = self.choose(least=2)
        if found is not None:
            t, shape = found
            first = self.op("Slice", [self.op("Shape", [t]), self.ints([0]), self.ints([1]), self.ints([0])])
            target = self.op("Concat", [first, self.ints([-1])], axis=0)
            self.add(self.op("Reshape", [t, target]), (shape[0], size(shape[1:])))

    def change_rank(self):
        t, shape = self.choose()
        kind = self.r.choice(("Flatten", "Unsqueeze", "Squeeze"))
        axis = self.r.randint(0, len(shape))
        ones = [i for i, d in enumerate(shape) if d == 1]
        if kind == "Flatten":
            self.add(self.op("Flatten", [t], axis=axis), (size(shape[:axis]), size(shape[axis:])))
        elif kind == "Unsqueeze":
            self.add(self.op("Unsqueeze", [t, self.ints([axis])]), (*shape[:axis], 1, *shape[axis:]))
        elif ones:
            axis = self.r.choice(ones)
            self.add(self.op("Squeeze", [t, self.ints([axis])]), (*shape[:axis], *shape[axis + 1:]))

    def slice(self):
        found = self.choose(least=1)
        if found is None:
            return
        t, shape = found
        axis = self.r.randrange(len(shape))
        length = shape[axis]
        begin = self.r.randint(0, length - 1)
        end = self.r.randint(begin + 1, length)
        step = self.r.choice((1, 1, 2))
        count = -(-(end - begin) // step)
        if end == length and self.r.random() < 0.2:
            end = 2**40
        if self.r.random() < 0.25:
            step = -self.r.choice((1, 2))
            begin, end, count = -1, -(2**31), -(-length // -step)
        y = self.op("Slice", [t, self.ints([begin]), self.ints([end]), self.ints([axis]), self.ints([step])])
        self.add(y, (*shape[:axis], count, *shape[axis + 1:]))

    def concat(self):
        found = self.choose(least=1)
        if found is None:
            return
        shape = found[1]
        axis = self.r.randrange(len(shape)) if self.r.random() < 0.5 else min(1, len(shape) - 1)
        fit = [v for v in self.values if len(v[1]) == len(shape)
               and all(a == b for i, (a, b) in enumerate(zip(v[1], shape)) if i != axis)]
        parts = [found] + [self.r.choice(fit) for _ in range(self.r.randint(0, 3))]
        if self.r.random() < 0.2:
            parts.append((self.weight(*shape), shape))
        self.r.shuffle(parts)
        total = sum(part[1][axis] for part in parts)
        y = self.op("Concat", [part[0] for part in parts], axis=axis - self.r.choice((0, 0, len(shape))))
        self.add(y, (*shape[:axis], total, *shape[axis + 1:]))

    def split(self):
        found = self.choose(least=1)
        if found is None:
            return
        t, shape = found
        axis = self.r.randrange(len(shape))
        if shape[axis] < 2:
            return
        sizes = [self.r.randint(1, shape[axis] - 1)]
        sizes.append(shape[axis] - sizes[0])
        for part, length in zip(self.op("Split", [t, self.ints(sizes)], 2, axis=axis), sizes):
            self.add(part, (*shape[:axis], length, *shape[axis + 1:]))

    def gather(self):
        found = self.choose(least=1)
        if found is None:
            return
        t, shape = found
        axis = self.r.randrange(len(shape))
        if self.r.random() < 0.3:
            index = self.generator.integers(0, shape[axis], shape)
            self.add(self.op("GatherElements", [t, self.ints(index)], axis=axis), shape)
            return
        dims = self.r.choice(((), (2,), (1,), (2, 2)))
        index = self.generator.integers(-shape[axis], shape[axis], dims)
        self.add(self.op("Gather", [t, self.ints(index)], axis=axis), (*shape[:axis], *dims, *shape[axis + 1:]))

    def repeat(self):
        t, shape = self.choose()
        if shape and self.r.random() < 0.5:
            times = [self.r.choice((1, 1, 2)) for _ in shape]
            self.add(self.op("Tile", [t, self.ints(times)]), [a * b for a, b in zip(shape, times)])
            return
        target = [d if d > 1 else self.r.choice((1, 3)) for d in shape]
        if self.r.random() < 0.2:
            target.insert(0, 2)
        if size(target) < LARGEST:
            self.add(self.op("Expand", [t, self.ints(target)]), target)

    def pad(self):
        found = self.choose(least=1)
        if found is None:
            return
        t, shape = found
        mode = self.r.choice(("constant", "constant", "reflect", "edge"))
        most = [min(2, d - 1) if mode == "reflect" else 2 for d in shape]
        begin, end = ([self.r.randint(0, m) if self.r.random() < 0.5 else 0 for m in most] for _ in range(2))
        if mode == "constant" and self.r.random() < 0.2:
            begin = [-1 if d > 2 else b for d, b in zip(shape, begin)]
        inputs = [t, self.ints(begin + end)]
        if mode == "constant" and self.r.random() < 0.4:
            inputs.append(self.const(0.5))
        self.add(self.op("Pad", inputs, mode=mode), [d + b + e for d, b, e in zip(shape, begin, end)])

    def rearrange(self):
        """Operators that move whole blocks, or that blank part of a tensor."""
        found = self.choose(least=2)
        if found is None:
            return
        t, shape = found
        kind = self.r.choice(("DepthToSpace", "SpaceToDepth", "ScatterND", "Trilu"))
        if kind == "DepthToSpace" and len(shape) == 4 and shape[1] % 4 == 0:
            n, c, h, w = shape
            y = self.op(kind, [t], blocksize=2, mode=self.r.choice(("DCR", "CRD")))
            self.add(y, (n, c // 4, h * 2, w * 2))
        elif kind == "SpaceToDepth" and len(shape) == 4 and shape[2] % 2 == 0 and shape[3] % 2 == 0:
            n, c, h, w = shape
            self.add(self.op(kind, [t], blocksize=2), (n, c * 4, h // 2, w // 2))
        elif kind == "ScatterND":
            self.add(self.op(kind, [t, self.ints([[0]]), self.weight(1, *shape[1:])]), shape)
        elif kind == "Trilu" and self.opset >= 14:
            self.add(self.op(kind, [t, self.ints(self.r.randint(-1, 1))], upper=self.r.randint(0, 1)), shape)

    def resize(self):
        found = self.choose(4)
        if found is None:
            return
        t, shape = found
        scales = [self.r.choice((1, 2, 0.5, 1.5)) for _ in range(2)]
        out = [int(d * s) for d, s in zip(shape[2:], scales)]
        mode = self.r.choice(("nearest", "linear", "cubic"))
        forms = ["half_pixel", "asymmetric"]
        # The others of nearest put positions on ties up to rounding, where neighbours are chosen by chance; with
        # align_corners ONNX Runtime rounds sizes that the specification does not.
        if mode != "nearest":
            forms.append("pytorch_half_pixel")
        if mode == "linear" and all(o == d * s for o, d, s in zip(out, shape[2:], scales)):
            forms.append("align_corners")
        attributes = {"mode": mode, "coordinate_transformation_mode": self.r.choice(forms)}
        if mode == "nearest":
            attributes["nearest_mode"] = self.r.choice(("floor", "round_prefer_floor", "ceil"))
        if min(out) < 1:
            return
        by_size = ["", self.ints([*shape[:2], *out])]
        inputs = [t, "", *(by_size if self.r.random() < 0.5 else [self.const([1, 1, *scales])])]
        self.add(self.op("Resize", inputs, **attributes), (*shape[:2], *out))

    # ---- reductions ----

    def pool(self):
        found = self.choose(self.r.choice((4, 4, 4, 3, 5)))
        if found is None:
            return
        t, (batch, channels, *space) = found
        r = self.r
        kernel = [r.choice((1, 2, 3)) for _ in space]
        strides = [r.choice((1, 2)) for _ in space]
        pads = [r.randint(0, k // 2) for k in kernel]
        ceil = r.random() < 0.25
        spare = [x + 2 * p - k for x, p, k in zip(space, pads, kernel)]
        out = [(-(-x // s) if ceil else x // s) + 1 for x, s in zip(spare, strides)]
        if min(spare) < 0:
            return
        if ceil and any((o - 1) * s >= x + p for o, s, x, p in zip(out, strides, space, pads)):
            return  # whether a window counts that begins behind the data is not agreed on
        if min(out) < 1:
            return
        kinds = ("MaxPool", "AveragePool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool")
        kind = r.choice(kinds[:5] if ceil else kinds)
        if kind.startswith("Global"):
            self.add(self.op(kind, [t], rounding=size(space)), (batch, channels, *[1] * len(space)))
            return
        attributes = {"p": 2} if kind == "LpPool" else {"ceil_mode": int(ceil)}
        if kind == "AveragePool":
            attributes["count_include_pad"] = 0 if ceil else r.randint(0, 1)
        y = self.op(kind, [t], kernel_shape=kernel, strides=strides, pads=pads * 2, **attributes)
        self.add(y, (batch, channels, *out))

    def reduce(self):
        found = self.choose(least=1)
        if found is None:
            return
        t, shape = found
        kind = self.r.choice(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceL1",
                              "ReduceSumSquare", "ReduceLogSumExp"))
        axes = sorted(self.r.sample(range(len(shape)), self.r.randint(1, len(shape))))
        keep = self.r.randint(0, 1)
        given = [a - self.r.choice((0, len(shape))) for a in axes]
        terms = size([shape[a] for a in axes]) + FUNCTION_ROUNDING
        if kind == "ReduceSum" or self.opset >= 18:
            y = self.op(kind, [t, self.ints(given)], rounding=terms, keepdims=keep)
        else:
            y = self.op(kind, [t], rounding=terms, axes=given, keepdims=keep)
        if kind in ("ReduceSum", "ReduceL1", "ReduceSumSquare"):
            y = self.op("Tanh", [y])
        self.add(y, [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes])

    def cumulate(self):
        found = self.choose(least=1)
        if found is not None:
            t, shape = found
            axis = self.r.randrange(len(shape))
            y = self.op("CumSum", [t, self.ints(axis)], rounding=shape[axis], exclusive=self.r.randint(0, 1),
                        reverse=self.r.randint(0, 1))
            self.add(y, shape)

    def divide_by_count(self):
        """A factor that is computed from the shape."""
        found = self.choose(least=1)
        if found is not None:
            t, shape = found
            dims = self.op("Cast", [self.op("Shape", [t])], to=TensorProto.FLOAT)
            factor = self.op("Div", [self.const(1.0), self.op("ReduceSum", [dims], keepdims=0)])
            self.add(self.op("Mul", [t, factor]), shape)

    def norm(self):
        found = self.choose(least=2)
        if found is None:
            return
        t, shape = found
        r = self.r
        kind = r.choice(("Softmax", "LogSoftmax", "LayerNormalization", "InstanceNormalization", "LRN", "batch"))
        if kind in ("Softmax", "LogSoftmax"):
            axis = r.randrange(-len(shape), len(shape))
            self.add(self.op(kind, [t], rounding=shape[axis] + FUNCTION_ROUNDING, axis=axis), shape)
        elif kind == "LayerNormalization" and self.opset >= 17:
            axis = r.randrange(len(shape))
            parameters = [self.weight(*shape[axis:]) for _ in range(r.choice((1, 2, 2)))]
            terms = 2 * size(shape[axis:]) + FUNCTION_ROUNDING
            self.add(self.op(kind, [t, *parameters], rounding=terms, axis=axis), shape)
        elif kind == "InstanceNormalization" and size(shape[2:]) > 1:
            terms = 2 * size(shape[2:]) + FUNCTION_ROUNDING
            parameters = [self.weight(shape[1]), self.weight(shape[1])]
            self.add(self.op(kind, [t, *parameters], rounding=terms, epsilon=1e-2), shape)
        elif kind == "LRN" and len(shape) == 4:
            self.add(self.op(kind, [t], size=r.choice((1, 3, 5))), shape)
        elif kind == "batch":
            self.add(self.batch_norm(t, shape), shape)

    # ---- the whole ----

    def grow(self):
        steps = [self.conv] * 6 + [self.unary] * 3 + [self.binary] * 4 + [self.concat, self.matmul] * 2
        steps += [self.conv_transpose, self.pool, self.transpose, self.reshape, self.slice, self.split, self.reduce]
        steps += [self.norm, self.r.choice((self.where, self.sum, self.cumulate, self.divide_by_count))]
        steps += [self.r.choice((self.gather, self.pad, self.resize, self.repeat, self.rearrange)),
                  self.r.choice((self.change_rank, self.reshape_by_shape))]
        for _ in range(self.r.choice(STEPS)):
            self.r.choice(steps)()

    def finish(self):
        """The model, of what its outputs need."""
        made = [v for v in self.values if v[0] not in self.feeds]
        if not made:
            self.unary()
            made = self.values[-1:]
        outputs = dict([made[-1]] + self.r.sample(made, min(len(made), self.r.choice((0, 1, 2, 4)))))
        nodes, needed = random_models.live_nodes(self.nodes, outputs)
        graph = helper.make_graph(
            nodes, "random", [i for i in self.inputs if i.name in needed],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            [i for i in self.inits if i.name in needed])
        self.feeds = {name: array for name, array in self.feeds.items() if name in needed}
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def tolerance(self, model):
        """Of an output's error, relative to the output, in the Euclidean norm.

        A sum of n terms is off by at most n roundings, whatever its order. The roundings of all nodes add up, as long
        as no node makes errors larger. Few graphs do: a normalization of equal numbers blows their last bits up.
        """
        return UNIT_ROUNDOFF * sum(self.rounding.get(node.output[0], 0) for node in model.graph.node)


def make(seed, samples_of_one=False):
    """(model, inputs by name, tolerance). samples_of_one: one input, whose first dim is one sample."""
    graph = Graph(seed, samples_of_one)
    graph.grow()
    model = graph.finish()
    return model, graph.feeds, graph.tolerance(model)
