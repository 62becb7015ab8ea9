# SPDX-License-Identifier: Apache-2.0
"""Is the calibration state the same file however the work was split? And what do checkpoints cost?

Calibrates networks on all photographs beside the checkout: in one piece, for several batches (which the CPU takes as
one) and numbers of threads, every second image before the others, the images one by one from the last to the first,
killed at random moments and resumed, and as three shards merged in every order. Every state must have the bytes of the
first one.

    state_splits.py [--models a,b] [--kills 5] [--seed 1] [--device cpu] [--json FILE]

Exits 1 when a state differs or checkpoints cost too much.
"""

import argparse
import hashlib
import itertools
import json
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import quantize_vs_nncf as common

MODELS = "imagenet/mobilenet_v2_1.0_224_tf,detection/yolox_nano"
BATCHES = (1, 3, 16)
MOST_COST = 0.02


class Splits:
    """One network, and the state that all others must equal."""

    def __init__(self, model, folder, device):
        path = common.SHARED / "models" / f"{model}.onnx"
        self.command = [common.PROGRAM, "calibrate", path, "-p", path.with_suffix(".preprocess.json")]
        self.command += ["--device", device, "-q"]
        self.data = common.SHARED / "images"
        self.model = model
        self.folder = folder
        self.results = []

    def start(self, state, *options):
        command = map(str, [*self.command, "--data", self.data, "-o", state, *options])
        return subprocess.Popen(list(command), stderr=subprocess.PIPE, text=True)

    def run(self, name, *options):
        """Calibrates to the end; the state's path and the seconds that it took."""
        state = self.folder / f"{name}.tare"
        begin = time.perf_counter()
        process = self.start(state, *options)
        _, errors = process.communicate()
        if process.returncode != 0:
            sys.exit(f"{self.model}, {name}: {errors}")
        return state, time.perf_counter() - begin

    def merge(self, name, states):
        state = self.folder / f"{name}.tare"
        subprocess.run([common.PROGRAM, "merge", *states, "-o", state, "-q"], check=True)
        return state

    def compare(self, what, state):
        digest = hashlib.sha256(state.read_bytes()).hexdigest()
        first = self.results[0]["sha256"] if self.results else digest
        self.results.append({"what": what, "sha256": digest, "same": digest == first})
        verdict = "same bytes" if digest == first else "DIFFERENT"
        print(f"{self.model}: {what}: {digest[:16]} {verdict}", flush=True)

    def reverse(self):
        """One image after the other, from the last to the first: each run finds one more and adds it."""
        images = sorted(path for path in self.data.rglob("*") if path.suffix in (".jpg", ".bmp"))
        growing, state = self.folder / "growing", None
        whole, self.data = self.data, growing
        for image in reversed(images):
            link = growing / image.relative_to(whole)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(image.resolve())
            state, _ = self.run("reversed", "--resume")
        self.data = whole
        self.compare(f"{len(images)} images from the last to the first", state)

    def kill(self, count, seconds, chance):
        """Kills `count` runs, each of which goes on from the checkpoint before, then lets one finish."""
        state = self.folder / "killed.tare"
        moments = []
        while len(moments) < count:
            process = self.start(state, "--resume", "--checkpoint-every", "100ms")
            moment = chance.uniform(0.1, 0.9) * seconds / count
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            if process.returncode == -signal.SIGKILL:
                moments.append(moment)
        self.run("killed", "--resume")
        texts = ", ".join(f"{moment:.2f}" for moment in moments)
        self.compare(f"killed {count} times, after {texts} s each, and resumed", state)


def measure_checkpoints(splits, runs=3):
    """The share of the time that a checkpoint every 30 seconds, the default, costs: that of one checkpoint a second
    divided by 30."""
    never = statistics.median(splits.run("never", "--checkpoint-every", 0)[1] for _ in range(runs))
    often = statistics.median(splits.run("often", "--checkpoint-every", "1s")[1] for _ in range(runs))
    cost = max(often / never - 1.0, 0.0) / 30.0
    print(f"{splits.model}: {never:.2f} s without checkpoints, {often:.2f} s with one a second: {100 * cost:.2f} % by default")
    return {"never_seconds": never, "often_seconds": often, "cost": cost}


def check_model(model, arguments):
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="tare-") as name:
        splits = Splits(model, pathlib.Path(name), arguments.device)
        whole, seconds = splits.run("whole")
        splits.compare(f"one piece, {seconds:.1f} s, {whole.stat().st_size} bytes", whole)
        for threads in (1, 2):
            splits.compare(f"{threads} threads", splits.run("threads", "--threads", threads)[0])
        for batch in BATCHES:
            splits.compare(f"batches of {batch}", splits.run("batch", "--batch", batch)[0])
        splits.run("half", "--shard", "2/2")
        splits.compare("every second image first, then the others", splits.run("half", "--resume")[0])
        splits.reverse()
        splits.kill(arguments.kills, seconds, chance)
        shards = [splits.run(f"shard{i}", "--shard", f"{i}/3")[0] for i in (1, 2, 3)]
        for order in itertools.permutations(range(3)):
            merged = splits.merge("merged", [shards[i] for i in order])
            splits.compare(f"shards {' '.join(str(i + 1) for i in order)} merged", merged)
        return {"states": splits.results, "checkpoints": measure_checkpoints(splits)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=pathlib.Path, help="write what was found here")
    arguments = parser.parse_args()
    found = {model: check_model(model, arguments) for model in arguments.models.split(",")}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    good = all(state["same"] for model in found.values() for state in model["states"])
    cheap = all(model["checkpoints"]["cost"] <= MOST_COST for model in found.values())
    sys.exit(not (good and cheap))


if __name__ == "__main__":
    main()
