# SPDX-License-Identifier: Apache-2.0
"""How near quantized networks come to the float ones, and to those that NNCF quantizes.

Calibrates on every second photograph, then ONNX Runtime runs the float and the quantized network on the others:
signal-to-noise ratio of each output in dB, and how often the largest output is the same. With --nncf also NNCF's own
result, calibrated on the same arrays without bias correction; fails where Tare is more than 0.3 dB below it.

    snr_table.py [--nncf] [--quick] [--only TEXT] [--preset performance] [--cache FOLDER] [--json FILE]
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx

import networks
import preprocess
import program

MARGIN_DB = 0.3
# What --quick runs, and the least it accepts: measured values less 1.5 dB, because runtimes round differently.
QUICK = {
    "imagenet/mobilenet_v1_0.25_128_deq": 18.8,
    "imagenet/mobilenet_v2_1.0_224_tf": 10.8,
    "imagenet/squeezenet1.1_zoo": 28.6,
}
CLASSIFIERS = ("imagenet/", "cifar/", "vww/", "mnist/", "ocr/ch_ppocr")


def outputs(model, arrays):
    """One list of arrays per output, a sample each; models may have batch 1 built in."""
    runner = networks.session(model)
    name = runner.get_inputs()[0].name
    rows = [runner.run(None, {name: arrays[i : i + 1]}) for i in range(len(arrays))]
    return {value.name: [row[k] for row in rows] for k, value in enumerate(runner.get_outputs())}


def compare(reference, actual):
    """Per output: SNR over all samples in dB, and the share of samples with the same largest element."""
    table = {}
    for name, expected in reference.items():
        signal = sum(float(np.sum(np.square(a, dtype=np.float64))) for a in expected)
        noise = sum(
            float(np.sum(np.square(a.astype(np.float64) - b.astype(np.float64))))
            for a, b in zip(expected, actual[name], strict=True)
        )
        snr = 10 * np.log10(signal / noise) if noise > 0 else float("inf")
        same = np.mean([np.argmax(a) == np.argmax(b) for a, b in zip(expected, actual[name])])
        table[name] = {"snr_db": float(snr), "top1": float(same)}
    return table


def by_tare(model, arrays, out, preset):
    with tempfile.TemporaryDirectory(prefix="tare-") as folder:
        data = pathlib.Path(folder) / "data.npy"
        np.save(data, arrays)
        command = [program.PROGRAM, "quantize", model, "--data", data, "-o", out, "--preset", preset, "-q"]
        subprocess.run([str(part) for part in command], check=True, timeout=1800)


def by_nncf(model, arrays, out, preset):
    """Raises whatever NNCF raises where it cannot do the model."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters

    loaded = onnx.load(str(model))
    name = networks.session(model).get_inputs()[0].name
    items = [{name: arrays[i : i + 1]} for i in range(len(arrays))]
    result = nncf.quantize(
        loaded,
        nncf.Dataset(items),
        preset=nncf.QuantizationPreset(preset),
        subset_size=len(items),
        advanced_parameters=AdvancedQuantizationParameters(disable_bias_correction=True),
    )
    onnx.save(result, str(out))


def cached(folder, make, model, arrays, preset):
    """The quantized model, made at most once for the same model, arrays and preset."""
    digest = hashlib.sha256(model.read_bytes())
    digest.update(arrays.tobytes())
    digest.update(preset.encode())
    path = folder / f"{model.stem}.{digest.hexdigest()[:16]}.onnx"
    if not path.exists():
        part = path.with_suffix(".part")
        make(model, arrays, part, preset)
        part.rename(path)
    return path


def measure(path, arguments, cache):
    """All rows of one network: output name -> figures."""
    photographs = networks.photographs()
    description = networks.preprocess_of(path)
    calibration = preprocess.load_all(photographs[::2], description)
    validation = preprocess.load_all(photographs[1::2], description)
    reference = outputs(path, validation)
    with tempfile.TemporaryDirectory(prefix="tare-") as folder:
        out = pathlib.Path(folder) / "int8.onnx"
        by_tare(path, calibration, out, arguments.preset)
        onnx.checker.check_model(str(out))
        rows = {name: {"tare": figures} for name, figures in compare(reference, outputs(out, validation)).items()}
    if arguments.nncf:
        try:
            theirs = compare(reference, outputs(cached(cache, by_nncf, path, calibration, arguments.preset), validation))
        except Exception as error:  # the reason is part of the table
            print(f"{networks.short(path)}: NNCF: {type(error).__name__}: {str(error).splitlines()[:1]}")
            theirs = {}
        for name, figures in theirs.items():
            rows[name]["nncf"] = figures
    return rows


def failures(model, rows, arguments):
    """What is wrong with these rows, as lines."""
    found = []
    for name, row in rows.items():
        ours = row["tare"]["snr_db"]
        if "nncf" in row and not ours >= row["nncf"]["snr_db"] - MARGIN_DB:
            found.append(f"{model}: {name}: {ours:.2f} dB is below NNCF's {row['nncf']['snr_db']:.2f} dB")
        if arguments.quick and not ours >= QUICK[model]:
            found.append(f"{model}: {name}: {ours:.2f} dB is below {QUICK[model]:.2f} dB")
    return found


def print_rows(model, rows):
    for name, row in rows.items():
        cells = [f"{model:42} {name[:24]:24}"]
        for tool in ("tare", "nncf"):
            if tool in row:
                top1 = f"{100 * row[tool]['top1']:4.0f} %" if model.startswith(CLASSIFIERS) else "      "
                cells.append(f"{tool} {row[tool]['snr_db']:6.2f} dB {top1}")
        print("  ".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nncf", action="store_true", help="quantize with NNCF too (bench/requirements.txt)")
    parser.add_argument("--quick", action="store_true", help="three classifiers, with fixed limits")
    parser.add_argument("--only", default="", help="only networks whose name holds this text")
    parser.add_argument("--preset", default="performance", choices=("performance", "mixed"))
    parser.add_argument("--cache", type=pathlib.Path, help="folder that keeps NNCF's models between runs")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    arguments = parser.parse_args()
    if not program.MODELS.is_dir():
        print("skipped: the networks beside the checkout (../shared) are not there")
        sys.exit(program.EXIT_SKIPPED)
    table, wrong = {}, []
    with tempfile.TemporaryDirectory(prefix="tare-") as folder:
        cache = arguments.cache or pathlib.Path(folder)
        cache.mkdir(parents=True, exist_ok=True)
        for path in networks.real():
            model = networks.short(path)
            if networks.preprocess_of(path) is None or arguments.only not in model:
                continue
            if arguments.quick and model not in QUICK:
                continue
            try:
                table[model] = measure(path, arguments, cache)
            except subprocess.CalledProcessError as error:
                wrong.append(f"{model}: tare exits with {error.returncode}")
                continue
            print_rows(model, table[model])
            wrong += failures(model, table[model], arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1) + "\n")
    if not table and not wrong:
        sys.exit("no network was measured")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
