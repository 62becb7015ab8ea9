#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times the networks of networks.py in PyTorch: the outside measure of a bare forward pass.

    torch_networks.py FOLDER [--only resnet50] [--batch 64] [--precision tf32,fp16] [--seconds 3] [--json OUT]

Runs the ONNX files node by node through torch's functions, channels-last, with cudnn.benchmark, and replays the whole
pass as one CUDA graph. Several input sets rotate; times are CUDA events; the median of the repetitions counts. On a
machine without a GPU it runs eagerly on the CPU (--device cpu), which only checks that it computes the right thing.
"""
import argparse
import json
import os
import statistics
import sys

import numpy as np
import onnx
import torch
import torch.nn.functional as F


class Network(torch.nn.Module):
    """An ONNX graph as a module; constants become buffers in the storage type."""

    def __init__(self, path, device, dtype):
        super().__init__()
        model = onnx.load(path)
        self.graph, self.values = model.graph, {}
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.size > 1:
                value = torch.from_numpy(array.copy()).to(device=device, dtype=dtype)
                if value.dim() == 4:
                    value = value.to(memory_format=torch.channels_last)
                self.values[tensor.name] = value
            else:
                self.values[tensor.name] = array
        self.nodes = [(node, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
                      for node in model.graph.node]
        self.last_use = {}
        for i, (node, _) in enumerate(self.nodes):
            for name in node.input:
                self.last_use[name] = i
        self.outputs = [output.name for output in model.graph.output]
        self.functions = {}
        for node, _ in self.nodes:
            self.functions[node.op_type] = getattr(self, "op_" + node.op_type)

    def forward(self, image):
        live = {"image": image}
        for i, (node, attributes) in enumerate(self.nodes):
            operands = [live.get(name, self.values.get(name)) if name else None for name in node.input]
            result = self.functions[node.op_type](attributes, *operands)
            for name, value in zip(node.output, result if isinstance(result, tuple) else (result,)):
                live[name] = value
            for name in node.input:
                if name in live and self.last_use[name] == i and name not in self.outputs:
                    del live[name]
        return [live[name] for name in self.outputs]

    @staticmethod
    def op_Conv(a, x, w, b):
        return F.conv2d(x, w, b, stride=a["strides"], padding=a["pads"][:2], groups=a["group"])

    @staticmethod
    def op_MaxPool(a, x):
        return F.max_pool2d(x, a["kernel_shape"], a["strides"], a["pads"][:2])

    @staticmethod
    def op_GlobalAveragePool(_, x):
        return F.adaptive_avg_pool2d(x, 1)

    @staticmethod
    def op_Relu(_, x):
        return F.relu(x)

    @staticmethod
    def op_Clip(_, x, low, high):
        return torch.clamp(x, float(low), float(high))

    @staticmethod
    def op_Sigmoid(_, x):
        return torch.sigmoid(x)

    @staticmethod
    def op_Gelu(_, x):
        return F.gelu(x)

    @staticmethod
    def op_Add(_, x, y):
        return x + y

    @staticmethod
    def op_Mul(_, x, y):
        return x * (float(y) if isinstance(y, np.ndarray) else y)

    @staticmethod
    def op_MatMul(_, x, y):
        return torch.matmul(x, y)

    @staticmethod
    def op_Softmax(a, x):
        return torch.softmax(x, a["axis"])

    @staticmethod
    def op_LayerNormalization(a, x, w, b):
        return F.layer_norm(x, w.shape, w, b, a["epsilon"])

    @staticmethod
    def op_Transpose(a, x):
        return x.permute(a["perm"])

    @staticmethod
    def op_Reshape(_, x, shape):
        return x.reshape([x.shape[i] if d == 0 else int(d) for i, d in enumerate(shape)])

    @staticmethod
    def op_Flatten(_, x):
        return torch.flatten(x, 1)

    @staticmethod
    def op_Split(a, x):
        return torch.chunk(x, a["num_outputs"], a["axis"])

    @staticmethod
    def op_Concat(a, *parts):
        return torch.cat(parts, a["axis"])

    @staticmethod
    def op_Slice(_, x, starts, ends, axes):
        for start, end, axis in zip(starts, ends, axes):
            x = x.narrow(int(axis), int(start), int(end - start))
        return x

    @staticmethod
    def op_Pad(_, x, pads):
        rank = x.dim()
        flat = []
        for axis in reversed(range(rank)):
            flat += [int(pads[axis]), int(pads[axis + rank])]
        return F.pad(x, flat)

    @staticmethod
    def op_Resize(_, x, roi, scales):
        return F.interpolate(x, scale_factor=[float(s) for s in scales[2:]], mode="nearest")


def images(batch, size, device, dtype, sets=4):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, 3, size, size, generator=generator).to(device=device, dtype=dtype)
            .to(memory_format=torch.channels_last) for _ in range(sets)]


def captured(network, static):
    """Replays one forward pass over the memory of `static`."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(static)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(static)
    return graph


def time_on_gpu(network, inputs, seconds):
    """Median milliseconds of a batch over at least 20 repetitions and `seconds`."""
    static = inputs[0].clone()
    graph = captured(network, static)
    times, spent, i = [], 0.0, 0
    while spent < seconds * 1e3 or len(times) < 20:
        static.copy_(inputs[i % len(inputs)])
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
        spent += times[-1]
        i += 1
    return statistics.median(times), min(times), max(times), len(times)


def measure(path, batch, precision, seconds):
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    dtype = torch.float16 if precision == "fp16" else torch.float32
    network = Network(path, "cuda", dtype).eval()
    size = network.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    inputs = images(batch, size, "cuda", dtype)
    torch.cuda.reset_peak_memory_stats()
    median, low, high, count = time_on_gpu(network, inputs, seconds)
    return {"milliseconds": median, "minimum": low, "maximum": high, "repetitions": count,
            "images_per_second": batch / median * 1e3, "peak_bytes": torch.cuda.max_memory_allocated()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--only")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", default="tf32,fp16", help="of fp32, tf32, fp16; several with commas")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--json")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else \
        sorted(f[:-5] for f in os.listdir(options.folder) if f.endswith(".onnx"))
    results = {"torch": torch.__version__, "batch": options.batch, "networks": {}}
    with torch.inference_mode():
        for name in names:
            path = os.path.join(options.folder, name + ".onnx")
            if options.device == "cpu":
                network = Network(path, "cpu", torch.float32).eval()
                size = network.graph.input[0].type.tensor_type.shape.dim[2].dim_value
                for output, value in zip(network.outputs, network(images(options.batch, size, "cpu", torch.float32)[0])):
                    print(f"{name} {output} {tuple(value.shape)} mean {value.mean():.6g} deviation {value.std():.6g}")
                continue
            results["networks"][name] = {}
            for precision in options.precision.split(","):
                try:
                    result = measure(path, options.batch, precision, options.seconds)
                except torch.cuda.OutOfMemoryError as error:
                    result = {"error": str(error).split("\n")[0]}
                results["networks"][name][precision] = result
                print(name, precision, json.dumps(result), flush=True)
                torch.cuda.empty_cache()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
