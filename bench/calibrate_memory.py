# SPDX-License-Identifier: Apache-2.0
"""Does the peak memory of `tare calibrate` depend on the number of images?

Calibrates one network on the photographs beside the checkout and then on the same photographs under many more names.
What comes on top may be 3 MB and 16 bytes per further image and observed tensor.

    calibrate_memory.py [--times 20] [--threads 2] [--model vww/mlperf_tiny_vww_96] [--json FILE]

Exits 1 when more comes on top.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import quantize_vs_nncf as common

SLACK_BYTES = 3e6
RECORD_BYTES = 16


def peak(model, images, state, threads):
    """Peak resident bytes of one calibration."""
    command = [common.PROGRAM, "calibrate", model, "--data", images, "-p", model.with_suffix(".preprocess.json")]
    _, peak_bytes, _ = common.measure([*command, "-o", state, "--threads", threads, "-q"])
    return peak_bytes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="how often every photograph is listed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="vww/mlperf_tiny_vww_96")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    arguments = parser.parse_args()
    model = common.SHARED / "models" / f"{arguments.model}.onnx"
    count = len([path for path in (common.SHARED / "images").rglob("*") if path.suffix in (".jpg", ".bmp")])
    with tempfile.TemporaryDirectory(prefix="tare-") as name:
        folder = pathlib.Path(name)
        common.gather_images(folder / "few", count)
        common.gather_images(folder / "many", count * arguments.times)
        few = peak(model, folder / "few", folder / "few.tare", arguments.threads)
        many = peak(model, folder / "many", folder / "many.tare", arguments.threads)
        described = subprocess.run(
            [common.PROGRAM, "state", folder / "few.tare", "--json", "-"], check=True, capture_output=True, text=True
        )
    tensors = len(json.loads(described.stdout)["tensors"])
    allowed = SLACK_BYTES + RECORD_BYTES * count * (arguments.times - 1) * tensors
    print(f"{arguments.model}, {arguments.threads} threads: {few / 1e6:.1f} MB with {count} images,", end=" ")
    print(f"{many / 1e6:.1f} MB with {count * arguments.times}; {allowed / 1e6:.1f} MB more are allowed")
    if arguments.json:
        figures = {"few_bytes": few, "many_bytes": many, "allowed_bytes": allowed, "images": count}
        arguments.json.write_text(json.dumps({**vars(arguments), **figures}, default=str, indent=1) + "\n")
    sys.exit(many - few > allowed)


if __name__ == "__main__":
    main()
