# SPDX-License-Identifier: Apache-2.0
"""Calibration states: the same bytes however the work was split, states that merge, and files that are wrong.

`test_state.py --long` kills and damages many times instead of a few.
"""

import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
import unittest

import numpy as np

import networks
import program

LONG = "--long" in sys.argv
REAL = "imagenet/mobilenet_v2_1.0_224_tf"
# Of the photographs, every so many are used where a real network is calibrated many times.
EVERY = 1 if LONG else 12 if os.environ.get("TARE_SLOW") else 4


def header_of(path):
    """The header of a safetensors file and where its data begin."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), 8 + length


def checksum_of(content):
    """The checksum as docs/state-format.md defines it."""
    mask = (1 << 64) - 1
    place = content.index(b'"checksum":"') + len(b'"checksum":"')
    content = content[:place] + b"0" * 16 + content[place + 16 :]

    def mix(value, word):
        value = (value ^ word) * 0xD1342543DE82EF95 & mask
        return value ^ value >> 32

    value = 0
    for start in range(0, len(content) + 1, 65536):
        block = content[start : start + 65536]
        value = mix(value + 0x9E3779B97F4A7C15 & mask, len(block))
        for at in range(0, len(block) // 8 * 8 + 1, 8):
            value = mix(value, int.from_bytes(block[at : at + 8], "little"))
        value = mix(value, value >> 29)
    return f"{value:016x}"


def exact(limbs):
    """The value of an exact sum."""
    number = sum(int(limb) << 64 * i for i, limb in enumerate(limbs))
    return (number - (1 << 320) if number >> 319 else number) / 2.0**149


def counts_of(data):
    """The counts that the bytes of a code histogram stand for: numbers in LEB128, behind a 0 how many more follow."""
    counts, number, shift, zeros = [], 0, 0, False
    for byte in data.tolist():
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            if zeros:
                counts.extend([0] * number)
            else:
                counts.append(number)
            zeros = number == 0 and not zeros
            number = shift = 0
    return np.array(counts, np.uint64)


def codes_of(magnitudes, top):
    """The codes of docs/state-format.md."""
    below = top - (magnitudes >> 23).astype(np.int64)
    number = (0x800000 | (magnitudes & 0x7FFFFF)) >> (8 + np.clip(below, 0, 7)).astype(np.uint32)
    return np.where(below > 7, magnitudes >> 16, (top - 7) * 128 - 256 + number.astype(np.int64))


class Small(program.Case):
    """A small network on arrays."""

    def setUp(self):
        super().setUp()
        self.model = networks.save(networks.build(), self.folder / "model.onnx")
        self.data = networks.samples(12)
        np.save(self.folder / "data.npy", self.data)

    def calibrate(self, name, *options, data="data.npy"):
        path = self.folder / name
        self.expect_done("calibrate", self.model, "--data", self.folder / data, "-o", path, "-q", *options)
        return path

    def merge(self, name, *paths):
        self.expect_done("merge", *paths, "-o", self.folder / name, "-q")
        return self.folder / name

    def quantize(self, name, *options):
        self.expect_done("quantize", self.model, "-o", self.folder / name, "-q", *options)
        return (self.folder / name).read_bytes()

    def test_splits_give_the_same_bytes(self):
        whole = self.calibrate("whole.tare").read_bytes()
        self.assertEqual(self.calibrate("one.tare", "--threads", 1).read_bytes(), whole)
        self.assertEqual(self.calibrate("five.tare", "--threads", 5).read_bytes(), whole)
        shards = [self.calibrate(f"s{i}.tare", "--shard", f"{i}/3") for i in (1, 2, 3)]
        for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
            self.assertEqual(self.merge("m.tare", *(shards[i] for i in order)).read_bytes(), whole)
        part = self.calibrate("part.tare", "--samples", 5)
        self.assertNotEqual(part.read_bytes(), whole)
        self.assertEqual(self.calibrate("part.tare", "--resume").read_bytes(), whole)
        self.assertEqual(self.calibrate("part.tare", "--resume").read_bytes(), whole)

    def test_a_state_quantizes_like_data(self):
        state = self.calibrate("s.tare")
        for options in ((), ("--preset", "mixed"), ("--method", "percentile=99"), ("--method=mse",), ("--method=auto",),
                        ("--method=nncf-mean-quantile",)):
            with self.subTest(options=options):
                direct = self.quantize("direct.onnx", "--data", self.folder / "data.npy", *options)
                self.assertEqual(self.quantize("later.onnx", "--state", state, *options), direct)

    def read(self, path):
        """All tensors of a state, read without our code, and where the data begin."""
        header, start = header_of(path)
        content = path.read_bytes()[start:]
        types = {"U64": np.uint64, "I64": np.int64, "U32": np.uint32, "F32": np.float32, "U8": np.uint8}
        tensors = {}
        end = 0
        for name, entry in header.items():
            if name != "__metadata__":
                self.assertEqual(entry["data_offsets"][0], end, "a gap between tensors")
                end = entry["data_offsets"][1]
                array = np.frombuffer(content[entry["data_offsets"][0] : end], types[entry["dtype"]])
                tensors[name] = array.reshape(entry["shape"])
        self.assertEqual(end, len(content))
        return tensors

    def test_numpy_sees_the_same_sums(self):
        """Sums of channels and windows, against sums of the samples in double precision."""
        tensors = self.read(self.calibrate("s.tare"))
        names = tensors["tensor.name"].tobytes().split(b"\0")[:-1]
        row = names.index(b"input")
        first = tensors["tensor.channels"][:row].sum()
        self.assertEqual((tensors["tensor.channels"][row], tensors["tensor.axis"][row]), (3, 1))
        sums = [exact(limbs) for limbs in tensors["channel_sum"][first : first + 3]]
        data = self.data.astype(np.float64)
        np.testing.assert_allclose(sums, data.sum(axis=(0, 2, 3)), atol=1e-6 * np.abs(data).sum())
        lows = tensors["channel_min"][first : first + 3]
        np.testing.assert_array_equal(lows, self.data.min(axis=(0, 2, 3)))

        self.assertEqual(tensors["window.tensor"].tolist(), [row])
        window = [3, 3, 1, 1, 1, 1, 1, 1, networks.SIDE, networks.SIDE]
        self.assertEqual(tensors["window.shape"].tolist(), [window])
        padded = np.pad(data, ((0, 0), (0, 0), (1, 1), (1, 1))).sum(axis=0)
        side = networks.SIDE
        taps = [[padded[:, y : y + side, x : x + side].sum(axis=(1, 2)) for x in range(3)] for y in range(3)]
        found = np.array([exact(limbs) for limbs in tensors["window_sum"]]).reshape(3, 3, 3)
        np.testing.assert_allclose(found, taps, atol=1e-6 * np.abs(data).sum())

        # The head reads a matrix: its channels are the last axis.
        row = names.index(b"flat.out")
        self.assertEqual((tensors["tensor.channels"][row], tensors["tensor.axis"][row]), (8, 1))

    def test_numpy_sees_the_same_statistics(self):
        """The tensors as the page docs/state-format.md describes them, read without our code."""
        tensors = self.read(self.calibrate("s.tare"))
        header = header_of(self.folder / "s.tare")[0]
        whole = (self.folder / "s.tare").read_bytes()
        self.assertEqual(checksum_of(whole), header["__metadata__"]["checksum"])
        names = tensors["tensor.name"].tobytes().split(b"\0")[:-1]
        row = names.index(b"input")
        order = [int(name.split(b"[")[-1].rstrip(b"]")) for name in tensors["sample.name"].tobytes().split(b"\0")[:-1]]
        data = self.data[order]
        np.testing.assert_array_equal(tensors["sample.min"][row], data.min(axis=(1, 2, 3)))
        np.testing.assert_array_equal(tensors["sample.max"][row], data.max(axis=(1, 2, 3)))
        self.assertTrue((np.diff(tensors["sample.id"].astype(object)) > 0).all())
        self.assertEqual(tensors["counts"][row].tolist(), [data.size, int((data == 0).sum()), 0, 0, 0])
        spans = tensors["codes.span"]
        lengths = np.where(spans[:, 0::2] <= spans[:, 1::2], spans[:, 1::2] - spans[:, 0::2] + 1, 0).astype(int)
        counts = counts_of(tensors["codes"])
        self.assertEqual(len(counts), lengths.sum())
        at = lengths[:row].sum()
        bits = data.view(np.uint32)[data != 0]
        top = int((bits & 0x7FFFFFFF).max() >> 23)
        self.assertEqual(tensors["codes.top"][row], top)
        for sign in range(2):
            first, last = spans[row, 2 * sign], spans[row, 2 * sign + 1]
            codes = codes_of(bits[bits >> 31 == sign] & 0x7FFFFFFF, top)
            np.testing.assert_array_equal(counts[at : at + lengths[row, sign]], np.bincount(codes)[first:])
            self.assertEqual((codes.min(), codes.max()), (first, last))
            at += lengths[row, sign]

    def test_numpy_sees_the_same_quantiles(self):
        for name, options, p in (("s.tare", (), 1e-4), ("q.tare", ("--quantile", 0.03), 0.03)):
            tensors = self.read(self.calibrate(name, *options))
            self.assertEqual(float(header_of(self.folder / name)[0]["__metadata__"]["quantile"]), p)
            row = tensors["tensor.name"].tobytes().split(b"\0").index(b"input")
            order = [
                int(name.split(b"[")[-1].rstrip(b"]")) for name in tensors["sample.name"].tobytes().split(b"\0")[:-1]
            ]
            samples = self.data[order].reshape(len(order), -1).astype(np.float64)
            np.testing.assert_allclose(tensors["sample.low"][row], np.quantile(samples, p, axis=1), rtol=1e-6)
            np.testing.assert_allclose(tensors["sample.high"][row], np.quantile(samples, 1 - p, axis=1), rtol=1e-6)

    def test_what_is_collected_can_be_chosen(self):
        """Each choice leaves its tensors and no others, and serves the methods that it says."""
        tensors = {
            "codes": {"codes", "codes.span", "codes.top"},
            "quantiles": {"sample.low", "sample.high"},
            "magnitudes": {"sample.magnitude_low", "sample.magnitude_high"},
            "means": {"sample.mean"},
            "sums": {"channel_sum"},
            "windows": {"window.tensor", "window.shape", "window_sum"},
        }
        if os.environ.get("TARE_CUDA_PLUGIN"):
            base = ("calibrate", self.model, "--data", self.folder / "data.npy", "-o", self.folder / "s.tare")
            self.expect_error(1, ["on the CPU only"], *base, "--collect", "means", "--device", "cuda")
            del tensors["magnitudes"], tensors["means"]
        ranges = set(self.read(self.calibrate("ranges.tare", "--collect", "ranges")))
        for word, names in tensors.items():
            with self.subTest(word=word):
                state = self.calibrate(f"{word}.tare", "--collect", word)
                self.assertEqual(set(self.read(state)) - ranges, names)
        if "means" in tensors:
            state = self.calibrate("all.tare", "--collect", "all,means,magnitudes", "--quantile", 0.01)
            method = "nncf=min:mean/mean,max:abs_quantile/median,p:0.01"
            direct = self.quantize("direct.onnx", "--data", self.folder / "data.npy", "--method", method)
            self.assertEqual(self.quantize("later.onnx", "--state", state, "--method", method), direct)
        state = self.calibrate("s.tare")
        arguments = ("quantize", self.model, "--state", state, "-o", self.folder / "out.onnx", "--method")
        self.expect_done(*arguments, "nncf-mean-quantile", "-q")
        self.expect_error(1, ["s.tare", "p = 0.0001", "p = 0.01"], *arguments, "nncf-mean-quantile=0.01")
        self.expect_error(1, ["s.tare", "'ranges means'"], *arguments, "nncf=max:mean/max")
        base = ("calibrate", self.model, "--data", self.folder / "data.npy", "-o", self.folder / "other.tare")
        self.expect_error(1, ["'sum'", "windows"], *base, "--collect", "codes,sum")
        self.expect_error(2, ["--quantile", "0.7"], *base, "--quantile", "0.7")
        self.assertFalse((self.folder / "other.tare").exists())

    def test_safetensors_opens_it(self):
        try:
            from safetensors.numpy import load_file
        except ImportError:
            self.skipTest("the Python package safetensors is not there")
        tensors = load_file(self.calibrate("s.tare"))
        self.assertEqual(tensors["sample.id"].shape, (12,))
        self.assertEqual(tensors["sample.min"].shape, (len(tensors["tensor.channels"]), 12))

    def test_threads_choose_the_same(self):
        state = self.calibrate("a.tare")
        for method in ("mse", "auto", "entropy", "percentile=99"):
            arguments = ("q.onnx", "--state", state, "--method", method, "--threads")
            self.assertEqual(self.quantize(*arguments, 1), self.quantize(*arguments, 7), method)
        # No tensor has such a range; the first one is named.
        swapped = "nncf=min:max/max,max:min/min"
        arguments = ("quantize", self.model, "--state", state, "-o", self.folder / "q.onnx", "--method")
        errors = {
            self.expect_error(1, ["in order"], *arguments, swapped, "--preset", "mixed", "--threads", threads).stderr
            for threads in (1, 2, 7)
        }
        self.assertEqual(len(errors), 1, errors)

    def test_a_method_that_leaves_nothing(self):
        """Values that are not zero are too few for the percentile: said, and by which tensor."""
        self.data[:] = 0
        self.data[0, 0, 0, 0] = 1000
        np.save(self.folder / "data.npy", self.data)
        state = self.calibrate("a.tare")
        arguments = ("quantize", self.model, "--state", state, "-o", self.folder / "q.onnx", "-q")
        result = self.expect_done(*arguments, "--method", "percentile=50", "--preset", "performance")
        self.assertRegex(result.stderr, "warning: method 'percentile=50' makes everything zero in tensor 'input', .* 0 to 1000")
        self.assertEqual(self.expect_done(*arguments, "--method", "extremes").stderr, "")

    def test_describe(self):
        state = self.calibrate("s.tare")
        report = json.loads(self.expect_done("state", state, "--json", "-").stdout)
        self.assertEqual(len(report["samples"]), 12)
        self.assertEqual(report["inputs"][0]["shape"], "[1x3x16x16]")
        self.assertIn("input", [tensor["name"] for tensor in report["tensors"]])
        self.assertIn("samples: 12\n", self.expect_done("state", state).stdout)
        ranges = self.calibrate("r.tare", "--collect", "ranges")
        self.assertLess(ranges.stat().st_size, state.stat().st_size)
        self.assertFalse(json.loads(self.expect_done("state", ranges, "--json", "-").stdout)["codes"])

    def test_duplicates(self):
        first = self.calibrate("a.tare", "--samples", 5)
        second = self.calibrate("b.tare", "--samples", 7)
        out = self.folder / "out.tare"
        self.expect_error(1, ["b.tare", "sample '", "and 4 more"], "merge", first, second, "-o", out)
        self.expect_done("merge", first, second, "-o", out, "--allow-duplicates", "-q")
        report = json.loads(self.expect_done("state", out, "--json", "-").stdout)
        self.assertEqual(len(report["samples"]), 12)
        content = out.read_bytes()
        self.expect_done("merge", second, first, "-o", out, "--allow-duplicates", "-q")
        self.assertEqual(out.read_bytes(), content)

    def test_states_that_do_not_go_together(self):
        other = networks.save(networks.build(initializers=networks.weights(7)), self.folder / "other.onnx")
        state = self.calibrate("a.tare", "--shard", "1/2")
        theirs = self.folder / "b.tare"
        out = self.folder / "out.tare"
        data = self.folder / "data.npy"
        self.expect_done("calibrate", other, "--data", data, "--shard", "2/2", "-o", theirs, "-q")
        self.expect_error(1, ["b.tare", "model"], "merge", state, theirs, "-o", out)
        self.expect_error(1, ["a.tare", "model"], "quantize", other, "--state", state, "-o", out)
        arguments = ("calibrate", other, "--data", data, "-o", state, "--resume")
        self.expect_error(1, ["a.tare", "model"], *arguments)

        ranges = self.calibrate("r.tare", "--shard", "2/2", "--collect", "ranges")
        self.expect_error(1, ["r.tare", "'ranges'", "codes sums windows quantiles"], "merge", state, ranges, "-o", out)
        arguments = ("quantize", self.model, "--state", ranges, "--method", "mse", "-o", out)
        self.expect_error(1, ["r.tare", "'ranges codes'", "mse"], *arguments)

        images = self.folder / "images.npy"
        np.save(images, np.zeros((2, 16, 16, 3), np.uint8))
        for preset in ("unit", "raw"):
            self.calibrate(f"{preset}.tare", "--preprocess", preset, data="images.npy")
        paths = (self.folder / "unit.tare", self.folder / "raw.tare")
        self.expect_error(1, ["raw.tare", "preprocessing"], "merge", *paths, "-o", out)
        self.expect_error(1, ["raw.tare", "preprocessing"], "merge", state, paths[1], "-o", out)

    def test_other_data_than_before(self):
        self.calibrate("a.tare")
        np.save(self.folder / "data.npy", self.data + 1)
        arguments = ("calibrate", self.model, "--data", self.folder / "data.npy", "-o", self.folder / "a.tare")
        self.expect_error(1, ["a.tare' has sample '", "not among the 12"], *arguments, "--resume")

    def test_damage(self):
        state = self.calibrate("s.tare", "--samples", 3)
        content = state.read_bytes()
        out = self.folder / "bad.tare"
        chance = random.Random(3)
        places = [8 * i for i in range(8)] + [8 * 8 + 8 * i for i in range(60)]
        places += [chance.randrange(8 * len(content)) for _ in range(2000 if LONG else 60)]
        for bit in places:
            damaged = bytearray(content)
            damaged[bit // 8] ^= 1 << bit % 8
            out.write_bytes(damaged)
            with self.subTest(bit=bit):
                self.expect_error(1, ["bad.tare"], "state", out)
        for length in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
            out.write_bytes(content[:length])
            with self.subTest(length=length):
                self.expect_error(1, ["bad.tare"], "state", out)
        out.write_bytes(content + b"\0")
        self.expect_error(1, ["damaged"], "state", out)
        self.expect_error(1, ["no calibration state"], "state", self.model)
        self.expect_error(1, ["no calibration state"], "state", self.folder / "data.npy")
        self.expect_error(1, ["missing.tare"], "state", self.folder / "missing.tare")
        self.expect_error(1, ["version"], "state", self.with_header(out, content, b'"version":"3"', b'"version":"2"'))
        self.expect_error(1, ["format"], "state", self.with_header(out, content, b"tare-state", b"bare-state"))

    def with_header(self, path, content, old, new):
        self.assertEqual(content.count(old), 1)
        path.write_bytes(content.replace(old, new))
        return path

    def test_mistakes(self):
        state = self.calibrate("s.tare")
        data = self.folder / "data.npy"
        out = self.folder / "out.tare"
        base = ("calibrate", self.model, "--data", data, "-o", out)
        for words, arguments in (
            (["--shard", "4/3"], (*base, "--shard", "4/3")),
            (["--shard", "0/3"], (*base, "--shard", "0/3")),
            (["--checkpoint-every", "soon"], (*base, "--checkpoint-every", "soon")),
            (["no calibration state is given"], ("merge", "-o", out)),
            (["--output"], ("merge", state)),
            (["exactly one"], ("quantize", self.model, "-o", out)),
            (["exactly one"], ("quantize", self.model, "-o", out, "--data", data, "--state", state)),
            (["--samples"], ("quantize", self.model, "-o", out, "--state", state, "--samples", 3)),
            (["the state itself"], ("quantize", self.model, "-o", state, "--state", state)),
            (["unexpected"], ("state", state, state)),
        ):
            with self.subTest(words=words):
                self.expect_error(2, words, *arguments)
        arguments = ("quantize", self.model, "-o", out, "--state", state, "--method")
        self.expect_error(1, ["'best'", "percentile"], *arguments, "best")
        self.expect_error(1, ["13 shards of 12"], *base, "--shard", "13/13")

    def test_a_checkpoint_is_not_overwritten(self):
        (self.folder / "s.tare.partial").write_bytes(b"precious")
        base = ("calibrate", self.model, "--data", self.folder / "data.npy", "-o", self.folder / "s.tare")
        self.expect_error(1, ["s.tare.partial", "unfinished"], *base)
        self.expect_error(1, ["s.tare.partial", "no calibration state"], *base, "--resume")

    def test_a_state_that_cannot_be_written(self):
        """A limit on the size of files stands in for a full disk."""
        data = self.folder / "data.npy"
        path = self.folder / "s.tare"
        path.write_bytes(b"old")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        arguments = [program.PROGRAM, "calibrate", self.model, "--data", data, "-o", path, "-q"]
        before = set(self.folder.iterdir())
        result = subprocess.run(
            list(map(str, arguments)), preexec_fn=limit, capture_output=True, text=True, check=False
        )
        self.check_error(result, 1, ["s.tare", "write"])
        self.assertEqual(path.read_bytes(), b"old")
        self.assertEqual(set(self.folder.iterdir()), before)

    def test_a_folder_that_is_read_only(self):
        """What an earlier run left stays as it is, and the error says what cannot be written. Root may write to every
        folder, so that the program is run as somebody else then."""
        locked = self.folder / "locked"
        locked.mkdir()
        partial = locked / "s.tare.partial"
        shutil.copy(self.calibrate("part.tare", "--samples", 5), partial)
        before = partial.read_bytes()
        self.folder.chmod(0o755)
        locked.chmod(0o555)
        self.addCleanup(locked.chmod, 0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        base = [program.PROGRAM, "calibrate", self.model, "--data", self.folder / "data.npy", "-q"]
        for options in (("--resume",), ("--resume", "--checkpoint-every", "1ms")):
            with self.subTest(options=options):
                command = list(map(str, [*base, "-o", locked / "s.tare", *options]))
                try:
                    result = subprocess.run(command, capture_output=True, text=True, check=False, **nobody)
                except PermissionError:
                    self.skipTest("nobody else may run this program")
                self.check_error(result, 1, ["locked/s.tare", "permission denied"])
                self.assertEqual([path.name for path in locked.iterdir()], [partial.name])
                self.assertEqual(partial.read_bytes(), before)


class Kills(program.Case):
    """A real network on photographs, killed at random moments."""

    def setUp(self):
        super().setUp()
        program.need_shared()
        self.model = program.MODELS / f"{REAL}.onnx"
        self.data = self.folder / "photographs"
        self.data.mkdir()
        for path in networks.photographs()[::EVERY]:
            shutil.copy(path, self.data)

    def arguments(self, name, *options):
        base = ("calibrate", self.model, "--data", self.data, "-p", networks.preprocess_of(self.model))
        return [program.PROGRAM, *map(str, (*base, "-o", self.folder / name, "-q", *options))]

    def run_to_end(self, name, *options):
        start = time.monotonic()
        result = subprocess.run(self.arguments(name, *options), capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return time.monotonic() - start

    def test_kill_and_resume(self):
        seconds = self.run_to_end("whole.tare")
        whole = (self.folder / "whole.tare").read_bytes()
        chance = random.Random(5)
        partial = self.folder / "killed.tare.partial"
        kills, resumed = 0, 0
        while kills < (200 if LONG else 5):
            options = ("--checkpoint-every", "0" if kills % 7 == 6 else f"{chance.randrange(1, 200)}ms")
            process = subprocess.Popen(self.arguments("killed.tare", "--resume", *options), stderr=subprocess.PIPE)
            time.sleep(chance.uniform(0.0, max(0.2, seconds)))
            process.send_signal(signal.SIGKILL if kills % 2 == 0 else signal.SIGTERM)
            code = process.wait(timeout=60)
            process.stderr.close()
            self.assertIn(code, (0, -signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM))
            kills += 1
            for path in (partial, self.folder / "killed.tare"):
                if path.exists():
                    self.expect_done("state", path, "-q")  # never a broken file
                    resumed += 1
            if (self.folder / "killed.tare").exists():
                self.assertEqual((self.folder / "killed.tare").read_bytes(), whole)
                (self.folder / "killed.tare").unlink()
        self.run_to_end("killed.tare", "--resume")
        self.assertEqual((self.folder / "killed.tare").read_bytes(), whole)
        self.assertFalse(partial.exists())
        self.assertGreater(resumed, 0)

    def test_splits(self):
        self.run_to_end("whole.tare", "--threads", 2)
        whole = (self.folder / "whole.tare").read_bytes()
        self.run_to_end("one.tare", "--threads", 1)
        self.assertEqual((self.folder / "one.tare").read_bytes(), whole)
        paths = []
        for shard in (1, 2, 3):
            self.run_to_end(f"s{shard}.tare", "--shard", f"{shard}/3", "--threads", shard)
            paths.append(self.folder / f"s{shard}.tare")
        for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
            self.expect_done("merge", *(paths[i] for i in order), "-o", self.folder / "m.tare", "-q")
            self.assertEqual((self.folder / "m.tare").read_bytes(), whole)
        # The last third first, then the others: another order of the images.
        self.run_to_end("s3.tare", "--resume", "--threads", 2)
        self.assertEqual((self.folder / "s3.tare").read_bytes(), whole)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--long"]
    program.main()
