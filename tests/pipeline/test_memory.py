# SPDX-License-Identifier: Apache-2.0
"""What a run takes in memory stays below its plan, whatever kinds of images meet."""

import json
import os
import shutil
import subprocess
import sys
import unittest

import numpy as np
from PIL import Image

import networks
import program

THREADS = 8
# Runs a command and says what it took at most, in KiB. A process inherits the peak of the one that starts it, which
# must not be this one, then.
WATCHER = [
    sys.executable, "-I", "-S", "-c",
    "import os, sys; _, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0); "
    "print(usage.ru_maxrss); sys.exit(os.waitstatus_to_exitcode(status))",
]  # fmt: skip
# For the stacks of more threads, and what libraries keep for each of them.
SLACK_BYTES = 4e6


def picture(width, height, mode="RGB"):
    """A gradient with some noise, which no format stores as nothing."""
    random = np.random.default_rng(width)
    channels = len(mode)
    slope = np.linspace(0, 200, width)[None, :, None] + random.integers(0, 40, (height, 1, channels))
    return Image.fromarray(np.broadcast_to(slope, (height, width, channels)).astype(np.uint8), mode)


@unittest.skipIf(os.environ.get("TARE_SLOW"), "sanitizers take memory of their own")
class Peak(program.Case):
    def setUp(self):
        super().setUp()
        self.model = networks.save(networks.build(), self.folder / "model.onnx")
        self.data = self.folder / "data"
        self.data.mkdir()

    def measure(self, data, threads):
        """Peak resident bytes of a calibration, and what it planned."""
        report = self.folder / "report.json"
        command = [program.PROGRAM, "calibrate", self.model, "--data", data, "-p", "unit", "-o", self.folder / "state"]
        command += ["--threads", threads, "--collect", "ranges", "--json", report, "-q"]
        said = subprocess.run([*WATCHER, *map(str, command)], capture_output=True, text=True, check=True).stdout
        return int(said) * 1024, json.loads(report.read_text())["memory_plan"]["total_bytes"]

    def check(self):
        """The program itself is what a run on one small image takes beyond its plan."""
        picture(16, 16).save(self.folder / "one.bmp")
        peak, plan = self.measure(self.folder / "one.bmp", 1)
        program_bytes = peak - plan
        peak, plan = self.measure(self.data, THREADS)
        self.assertLess(peak - program_bytes, plan + SLACK_BYTES)
        return plan

    def save(self, count, name, image, **options):
        """The same picture under several names."""
        first = self.data / f"0-{name}"
        image.save(first, **options)
        for i in range(1, count):
            shutil.copy(first, self.data / f"{i}-{name}")

    def test_rare_large_images(self):
        """Eight large ones first, which would all be decoded at a time, and many small ones."""
        self.save(THREADS, "A.png", picture(2200, 1560, "RGBA"), compress_level=1)
        self.save(300, "b.png", picture(880, 650, "RGBA"), compress_level=1)
        for i in range(THREADS):
            (self.data / f"{i}-A.png").rename(self.data / f"{i:05}.png")
        plan = self.check()
        # 7 bytes a pixel: not as if all of the large ones were there.
        self.assertLess(plan, THREADS * 7 * 2200 * 1560)

    def test_kinds(self):
        """What the decoders take on their own is part of the plan."""
        options = {
            "progressive.jpg": ("RGB", {"progressive": True, "quality": 95, "subsampling": 0}),
            "cmyk.jpg": ("CMYK", {"progressive": True, "quality": 95}),
            "alpha.webp": ("RGBA", {"quality": 50, "method": 0}),
            "lossless.webp": ("RGB", {"lossless": True, "method": 0}),
            "alpha.png": ("RGBA", {"compress_level": 1}),
            "plain.bmp": ("RGB", {}),
        }
        for kind, (mode, how) in options.items():
            with self.subTest(kind=kind):
                self.save(THREADS, kind, picture(1200, 900, mode), **how)
                self.check()
                for path in self.data.iterdir():
                    path.unlink()


if __name__ == "__main__":
    program.main()
