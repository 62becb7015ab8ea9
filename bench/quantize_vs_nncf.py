# SPDX-License-Identifier: Apache-2.0
"""Wall time and peak memory of `tare quantize` against NNCF, in one run on the same two cores.

Both quantize the same network with the same 300 images, without bias correction. Tare gets image files: its time is
that of the whole process, from start to the written model, decoding included. NNCF gets arrays that were preprocessed
before: its time is that of nncf.quantize() alone; its peak memory is that of the process, which reads one sample at a
time. The runs alternate, so that a busy machine slows both.

    quantize_vs_nncf.py [--runs 3] [--samples 300] [--json FILE]
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

SOURCE = pathlib.Path(os.environ.get("TARE_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[1]))
SHARED = SOURCE.parent / "shared"
PROGRAM = os.environ.get("TARE_PROGRAM", str(SOURCE / "build" / "bin" / "tare"))
MODEL = SHARED / "models" / "imagenet" / "mobilenet_v2_1.0_224_tf.onnx"

LEAST_SPEEDUP = 3.0
MOST_MEMORY = 0.5


def gather_images(folder, count):
    """The photographs under new names, repeated until there are `count`."""
    endings = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
    images = sorted(path for path in (SHARED / "images").rglob("*") if path.suffix.lower() in endings)
    folder.mkdir()
    for index in range(count):
        source = images[index % len(images)]
        shutil.copy(source, folder / f"{index:05}{source.suffix}")


def prepare_child(images, path):
    """What the preparing process does. It is a process of its own because Linux counts the memory of the process that
    starts another one towards the peak of the started one."""
    sys.path.insert(0, str(SOURCE / "tests" / "pipeline"))
    import preprocess

    paths = sorted(pathlib.Path(images).iterdir())
    np.save(path, preprocess.load_all(paths, MODEL.with_suffix(".preprocess.json")))


def measure(command):
    """Runs to the end; returns wall seconds, peak resident bytes and what was printed."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"exit {process.returncode}: {' '.join(map(str, command))}")
    return seconds, usage.ru_maxrss * 1024, printed


def nncf_child(arrays, out):
    """What the NNCF process does; prints the seconds of nncf.quantize()."""
    import nncf
    import onnx
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters

    loaded = onnx.load(str(MODEL))
    initializers = {tensor.name for tensor in loaded.graph.initializer}
    name = next(value.name for value in loaded.graph.input if value.name not in initializers)
    with open(arrays, "rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        first = file.tell()
    size = int(np.prod(shape[1:]))

    def load(index):
        offset = first + index * size * dtype.itemsize
        return {name: np.fromfile(arrays, dtype, size, offset=offset).reshape(1, *shape[1:])}

    start = time.perf_counter()
    result = nncf.quantize(
        loaded,
        nncf.Dataset(range(shape[0]), load),
        subset_size=shape[0],
        advanced_parameters=AdvancedQuantizationParameters(disable_bias_correction=True),
    )
    seconds = time.perf_counter() - start
    onnx.save(result, out)
    print(f"seconds {seconds}")


def compare(folder, arguments, cores):
    """Alternating runs; returns one row of figures each."""
    gather_images(folder / "images", arguments.samples)
    arrays = folder / "arrays.npy"
    child = [sys.executable, __file__, "--child"]
    subprocess.run([*child, "prepare", folder / "images", arrays], check=True)
    ours = [PROGRAM, "quantize", MODEL, "--data", folder / "images", "-o", folder / "tare.onnx", "-q"]
    ours += ["--preprocess", MODEL.with_suffix(".preprocess.json"), "--samples", arguments.samples]
    ours += ["--threads", len(cores)]
    theirs = [*child, "nncf", arrays, folder / "nncf.onnx"]
    rows = []
    for index in range(arguments.runs):
        seconds, memory, _ = measure(ours)
        nncf_whole, nncf_memory, printed = measure(theirs)
        line = next(line for line in printed.splitlines() if line.startswith("seconds "))
        row = {
            "tare_seconds": seconds,
            "tare_bytes": memory,
            "nncf_seconds": float(line.split()[1]),
            "nncf_process_seconds": nncf_whole,
            "nncf_bytes": nncf_memory,
        }
        rows.append(row)
        print(
            f"run {index + 1}: tare {seconds:6.2f} s {memory / 2**20:6.0f} MiB, "
            f"nncf {row['nncf_seconds']:6.2f} s {nncf_memory / 2**20:6.0f} MiB",
            flush=True,
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, source, out = arguments.child
        {"prepare": prepare_child, "nncf": nncf_child}[what](source, out)
        return
    if not MODEL.is_file():
        sys.exit("the networks beside the checkout (../shared) are not there")
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)  # for this process and those it starts
    with tempfile.TemporaryDirectory(prefix="tare-") as folder:
        rows = compare(pathlib.Path(folder), arguments, cores)
    median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    speedup = statistics.median(row["nncf_seconds"] / row["tare_seconds"] for row in rows)
    memory = statistics.median(row["tare_bytes"] / row["nncf_bytes"] for row in rows)
    print(f"\n{MODEL.stem}, {arguments.samples} images, {len(cores)} cores of {platform.machine()}, medians:")
    print(f"  tare quantize {median['tare_seconds']:8.2f} s {median['tare_bytes'] / 2**20:8.0f} MiB")
    print(f"  nncf.quantize {median['nncf_seconds']:8.2f} s {median['nncf_bytes'] / 2**20:8.0f} MiB")
    print(f"  tare is {speedup:.2f} times as fast and takes {memory:.2f} of the memory")
    if arguments.json:
        facts = {"runs": rows, "speedup": speedup, "memory_ratio": memory, "cores": len(cores)}
        facts |= {"samples": arguments.samples, "model": MODEL.stem, "machine": platform.machine()}
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n")
    if speedup < LEAST_SPEEDUP or memory > MOST_MEMORY:
        sys.exit(f"required: at least {LEAST_SPEEDUP} times as fast, at most {MOST_MEMORY} of the memory")


if __name__ == "__main__":
    main()
