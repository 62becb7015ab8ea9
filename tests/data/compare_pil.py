# SPDX-License-Identifier: Apache-2.0
"""Compares Tare's preprocessing with Pillow and NumPy, on photographs and on generated images.

usage: compare_pil.py PREPROCESS_DUMP SHARED_FOLDER

Every tensor is computed twice: by the C program, and here with Pillow's decoder and resize and NumPy's float32. Pixels
may differ by at most 1 of 255 before the normalisation; the numbers of exact and of near matches are printed.
"""
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from PIL import Image, ImageOps, __version__ as pillow_version
except ImportError as missing:
    print(f"skipped: this Python has no module {missing.name} (configure with -DTARE_PYTHON=...)")
    sys.exit(77)

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def area_matrix(size_in, size_out):
    """The exact share of every source cell in every result cell."""
    matrix = np.zeros((size_out, size_in))
    for i in range(size_out):
        begin, end = i * size_in, (i + 1) * size_in
        for x in range(begin // size_out, -(-end // size_out)):
            matrix[i, x] = (min((x + 1) * size_out, end) - max(x * size_out, begin)) / size_in
    return matrix


def linear_matrix(size_in, size_out):
    """OpenCV's linear interpolation with area coordinates, for enlarging."""
    matrix = np.zeros((size_out, size_in))
    growth = size_out / size_in
    for i in range(size_out):
        source = math.floor(i / growth)
        share = i + 1 - (source + 1) * growth
        share = 0.0 if share <= 0 else share - math.floor(share)
        if source >= size_in - 1:
            source, share = size_in - 1, 0.0
        matrix[i, source] += 1 - share
        if share:
            matrix[i, source + 1] += share
    return matrix


def resize(image, width, height, name):
    if (width, height) == image.size:
        return np.asarray(image)
    if name != "area":
        return np.asarray(image.resize((width, height), FILTERS[name]))
    shrinks = width <= image.width and height <= image.height
    make = area_matrix if shrinks else linear_matrix
    pixels = np.asarray(image, dtype=np.float64)
    pixels = np.tensordot(make(image.height, height), pixels, axes=(1, 0))
    pixels = np.moveaxis(np.tensordot(make(image.width, width), pixels, axes=(1, 1)), 0, 1)
    halves = image.size == (2 * width, 2 * height)  # OpenCV rounds these up, all others to even
    pixels = np.floor(pixels + 0.5) if halves else np.rint(pixels)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def load_pixels(path, description):
    image = Image.open(path)
    if description.get("exif_orientation"):
        image = ImageOps.exif_transpose(image)
    image = image.convert("RGB")
    if description["color"] == "GRAY":
        return image.convert("L")
    if description["color"] == "Y":
        return image.convert("YCbCr").getchannel(0)
    return image


def expected_pixels(path, description):
    """uint8 [H, W, C] in the order of color."""
    image = load_pixels(path, description)
    width, height = image.size
    rule = description.get("resize")
    if rule is None:
        pixels = np.asarray(image)
    elif rule["mode"] == "exact":
        size = rule["size"] if isinstance(rule["size"], list) else [rule["size"]] * 2
        pixels = resize(image, size[1], size[0], rule["filter"])
    elif rule["mode"] == "short_side":
        short = rule["size"]
        if width <= height:
            pixels = resize(image, short, int(short * height / width), rule["filter"])
        else:
            pixels = resize(image, int(short * width / height), short, rule["filter"])
    else:
        box = rule["size"] if isinstance(rule["size"], list) else [rule["size"]] * 2
        ratio = min(box[0] / height, box[1] / width)
        inner = max(int(width * ratio), 1), max(int(height * ratio), 1)
        small = resize(image, inner[0], inner[1], rule["filter"])
        channels = 3 if small.ndim == 3 else 1
        pad = rule["pad"] if isinstance(rule["pad"], list) else [rule["pad"]] * channels
        pad = pad[::-1] if description["color"] == "BGR" else pad
        pixels = np.empty((box[0], box[1], channels), np.uint8)
        pixels[:] = pad
        left = top = 0
        if rule["align"] == "center":
            left, top = (box[1] - inner[0]) // 2, (box[0] - inner[1]) // 2
        pixels[top : top + inner[1], left : left + inner[0]] = small.reshape(inner[1], inner[0], channels)
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if "center_crop" in description:
        height, width = description["center_crop"]
        top = int(round((pixels.shape[0] - height) / 2.0))
        left = int(round((pixels.shape[1] - width) / 2.0))
        pixels = pixels[top : top + height, left : left + width]
    return pixels[..., ::-1] if description["color"] == "BGR" else pixels


def per_channel(value, channels):
    if isinstance(value, list):
        return np.array(value[:channels], np.float32)
    return np.full(channels, value, np.float32)


def normalise(pixels, description):
    channels = pixels.shape[2]
    scale = np.float32(description.get("scale", 1.0))
    mean = per_channel(description.get("mean", 0.0), channels)
    std = per_channel(description.get("std", 1.0), channels)
    values = (pixels.astype(np.float32) * scale - mean) / std
    return values if description.get("layout", "NCHW") == "NHWC" else values.transpose(2, 0, 1)


def denormalise(values, description):
    values = values[0] if description.get("layout", "NCHW") == "NHWC" else values[0].transpose(1, 2, 0)
    channels = values.shape[2]
    scale = float(description.get("scale", 1.0))
    mean = per_channel(description.get("mean", 0.0), channels).astype(np.float64)
    std = per_channel(description.get("std", 1.0), channels).astype(np.float64)
    return (values.astype(np.float64) * std + mean) / scale


class Comparison:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.exact = self.near = self.failures = 0

    def fail(self, text):
        self.failures += 1
        print("FAILED:", text)

    def check(self, path, tensor, description, what):
        pixels = expected_pixels(path, description)
        expected = normalise(pixels, description)[None]
        name = f"{what}: {os.path.basename(path)}"
        if tensor.shape != expected.shape or tensor.dtype != np.float32:
            return self.fail(f"{name}: shape {tensor.shape} {tensor.dtype}, expected {expected.shape} float32")
        if np.array_equal(tensor, expected):
            self.exact += 1
            return None
        difference = np.abs(denormalise(tensor, description) - pixels)
        self.near += 1
        print(f"  {name}: {np.mean(difference > 0.01):.4%} of the pixels differ, at most by {difference.max():.3f}")
        if difference.max() > 1.001:
            self.fail(f"{name}: pixels differ by up to {difference.max():.3f}")
        return None

    def run(self, description, paths, what):
        """description: a dictionary, or the path of a JSON file."""
        if isinstance(description, str):
            source, description = description, json.load(open(description, encoding="utf-8"))
        else:
            source = os.path.join(self.folder, "description.json")
            json.dump(description, open(source, "w", encoding="utf-8"))
        outputs = [os.path.join(self.folder, f"out{i}.npy") for i in range(len(paths))]
        listing = "".join(f"{p}\t{o}\n" for p, o in zip(paths, outputs))
        done = subprocess.run([self.program, source], input=listing, capture_output=True, text=True, check=False)
        if done.returncode != 0 or done.stdout:
            self.fail(f"{what}: exit {done.returncode} {done.stdout}{done.stderr}")
            return
        for path, output in zip(paths, outputs):
            self.check(path, np.load(output), description, what)
            os.unlink(output)


def bmp_file(width, height, bits, rows, palette=b"", compression=0, header=40, masks=b"", top_down=False):
    colors = len(palette) // (3 if header == 12 else 4)
    tail = masks if header == 40 else b""
    offset = 14 + header + len(tail) + len(palette)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, -height if top_down else height, 1, bits, compression,
                           len(rows), 2835, 2835, colors, 0)
        info += masks.ljust(header - 40, b"\0") if header > 40 else b""
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + tail + palette + rows


def padded_rows(rows):
    return b"".join(row + b"\0" * (-len(row) % 4) for row in rows)


def rle8(indices):
    """Runs and literals mixed, with an end mark."""
    out = b""
    for row in indices:
        for x in range(0, len(row), 6):
            part = bytes(row[x : x + 6])
            if len(part) >= 3 and x % 12 == 0:
                out += bytes([0, len(part)]) + part + b"\0" * (len(part) % 2)
            else:
                out += b"".join(bytes([1, value]) for value in part)
        out += b"\0\0"
    return out + b"\0\1"


def make_bmps(folder, rng):
    paths = []

    def add(name, data):
        paths.append(os.path.join(folder, name))
        open(paths[-1], "wb").write(data)

    width, height = 37, 23
    palette = rng.integers(0, 256, (256, 4), np.uint8)
    eight = rng.integers(0, 256, (height, width), np.uint8)
    four, one = eight % 16, eight % 2
    nibbles = [bytes((int(a) << 4) | int(b) for a, b in zip(row[::2], np.append(row, 0)[1::2])) for row in four]
    bits = [np.packbits(row).tobytes() for row in one]
    sixteen = rng.integers(0, 65536, (height, width), np.uint16)
    wide = rng.integers(0, 256, (height, width, 4), np.uint8)
    add("b1.bmp", bmp_file(width, height, 1, padded_rows(bits), palette[:2].tobytes()))
    add("b4.bmp", bmp_file(width, height, 4, padded_rows(nibbles), palette[:16].tobytes()))
    add("b8.bmp", bmp_file(width, height, 8, padded_rows([r.tobytes() for r in eight]), palette.tobytes()))
    add("b8short.bmp", bmp_file(width, height, 8, padded_rows([r.tobytes() for r in eight]), palette[:100].tobytes()))
    add("b8top.bmp", bmp_file(width, height, 8, padded_rows([r.tobytes() for r in eight]), palette.tobytes(),
                              top_down=True))
    core = palette[:, :3].tobytes()
    add("b8core.bmp", bmp_file(width, height, 8, padded_rows([r.tobytes() for r in eight]), core, header=12))
    add("b16.bmp", bmp_file(width, height, 16, padded_rows([r.tobytes() for r in sixteen])))
    for name, masks in (("565", (0xF800, 0x7E0, 0x1F)), ("555", (0x7C00, 0x3E0, 0x1F))):
        add(f"b16f{name}.bmp", bmp_file(width, height, 16, padded_rows([r.tobytes() for r in sixteen]),
                                        compression=3, masks=struct.pack("<III", *masks)))
    add("b24.bmp", bmp_file(width, height, 24, padded_rows([r[:, :3].tobytes() for r in wide])))
    add("b24top.bmp", bmp_file(width, height, 24, padded_rows([r[:, :3].tobytes() for r in wide]), top_down=True))
    add("b32.bmp", bmp_file(width, height, 32, wide.tobytes()))
    add("b32f.bmp", bmp_file(width, height, 32, wide.tobytes(), compression=3,
                             masks=struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)))
    add("b32v4.bmp", bmp_file(width, height, 32, wide.tobytes(), compression=3, header=108,
                              masks=struct.pack("<IIII", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)))
    add("rle8.bmp", bmp_file(width, height, 8, rle8(eight), palette.tobytes(), compression=1))
    runs = b"".join(b"".join(bytes([min(7, width - x), 0x3A]) for x in range(0, width, 7)) + b"\0\0"
                    for _ in range(height))
    add("rle4.bmp", bmp_file(width, height, 4, runs + b"\0\1", palette[:16].tobytes(), compression=2))
    return paths


def make_images(folder, photograph):
    """Every kind of file that Pillow can write and Tare reads, from one photograph."""
    rng = np.random.default_rng(7)
    photo = Image.open(photograph).convert("RGB").resize((211, 157), Image.Resampling.LANCZOS)
    alpha = Image.fromarray(rng.integers(0, 256, (157, 211), np.uint8))
    rgba = photo.copy()
    rgba.putalpha(alpha)
    gray = photo.convert("L")
    deep = Image.fromarray((np.arange(157 * 211, dtype=np.uint32) * 2 % 65536).reshape(157, 211).astype(np.uint16))
    upright = Image.Exif()
    paths = []

    def add(name, image, **options):
        paths.append(os.path.join(folder, name))
        image.save(paths[-1], **options)

    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        add(f"s{sampling.replace(':', '')}.jpg", photo, quality=83, subsampling=sampling)
    add("progressive.jpg", photo, quality=90, progressive=True)
    add("gray.jpg", gray, quality=90)
    add("cmyk.jpg", photo.convert("CMYK"), quality=95)
    add("wrong_suffix.png", photo, format="JPEG")
    add("rgb.png", photo)
    add("gray.png", gray)
    add("one.png", photo.convert("1"))
    add("rgba.png", rgba)
    add("la.png", rgba.convert("LA"))
    add("gray16.png", deep)
    add("palette.png", photo.quantize(200))
    add("palette4.png", photo.quantize(9), bits=4)
    add("palette2.png", photo.quantize(3), bits=2)
    add("transparent.png", photo.quantize(50), transparency=3)
    add("transparent_bytes.png", photo.quantize(50), transparency=bytes(range(50)))
    add("transparent_gray.png", gray, transparency=77)
    add("lossy.webp", photo, quality=80)
    add("lossless.webp", photo, lossless=True)
    add("alpha.webp", rgba, quality=80)
    add("alpha_lossless.webp", rgba, lossless=True, exact=True)
    add("animated.webp", photo, save_all=True, append_images=[photo.rotate(90)], lossless=True)
    for orientation in range(1, 9):
        upright[0x0112] = orientation
        add(f"exif{orientation}.jpg", photo, quality=90, exif=upright)
        add(f"exif{orientation}.png", photo, exif=upright)
        add(f"exif{orientation}.webp", photo, lossless=True, exif=upright)
    return paths + make_pngs(folder, rng) + make_bmps(folder, rng)


def png_chunk(kind, data):
    import zlib

    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_pngs(folder, rng):
    """Depths that Pillow does not write: 16-bit colour, gray of 2 and 4 bits, a palette that is too short."""
    import zlib

    paths = []
    width, height = 45, 31
    forms = {"rgb16": (16, 2, 6), "rgba16": (16, 6, 8), "la16": (16, 4, 4), "gray2": (2, 0, 0.25),
             "gray4": (4, 0, 0.5), "gray1": (1, 0, 0.125), "short_palette": (8, 3, 1)}
    for name, (depth, color, pixel_bytes) in forms.items():
        row_bytes = math.ceil(width * pixel_bytes)
        rows = b"".join(b"\0" + rng.integers(0, 256, row_bytes, np.uint8).tobytes() for _ in range(height))
        palette = png_chunk(b"PLTE", rng.integers(0, 256, 300, np.uint8).tobytes()) if color == 3 else b""
        data = (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
                + palette + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b""))
        paths.append(os.path.join(folder, name + ".png"))
        open(paths[-1], "wb").write(data)
    return paths


def find(folder, suffixes):
    found = []
    for root, _, names in os.walk(folder):
        found += [os.path.join(root, name) for name in names if name.endswith(suffixes)]
    return sorted(found)


def rule(mode, size, name, **more):
    return {"color": "RGB", "resize": {"mode": mode, "size": size, "filter": name, **more}}


def compare_random_sizes(comparison, made):
    """The order of the two passes depends on the sizes, so many pairs of sizes are tried."""
    rng = np.random.default_rng(11)
    names = list(FILTERS)
    for i in range(80):
        size = [int(value) for value in rng.integers(1, 320, 2)]
        some = [made[int(k)] for k in rng.integers(0, len(made), 3)]
        comparison.run(rule("exact", size, names[i % len(names)]), some, f"random size {size}")


def compare_all(comparison, shared, made):
    photos = find(os.path.join(shared, "images"), (".jpg", ".bmp"))
    few = photos[::9]
    plain = {"color": "RGB"}
    comparison.run(plain, made, "decode")
    comparison.run(dict(plain, exif_orientation=True), [p for p in made if "exif" in p], "orientation")
    comparison.run({"color": "GRAY"}, made, "gray")
    comparison.run({"color": "Y"}, made, "luma")
    comparison.run(plain, photos, "decode photographs")
    for file in find(os.path.join(shared, "models"), (".preprocess.json",)):
        comparison.run(file, few, os.path.basename(file))
    for name in list(FILTERS) + ["area"]:
        comparison.run(rule("exact", [224, 224], name), few, f"{name} down")
        comparison.run(rule("exact", [240, 320], name), few, f"{name} half")
        comparison.run(rule("exact", [700, 1100], name), few[:4], f"{name} up")
        comparison.run(rule("exact", [7, 900], name), few[:4], f"{name} extreme")
        comparison.run(rule("exact", [900, 3], name), few[:4], f"{name} extreme")
        comparison.run(dict(rule("short_side", 100, name), center_crop=[90, 77]), few, f"{name} crop")
        comparison.run(dict(rule("exact", 64, name), color="GRAY", layout="NHWC"), few, f"{name} gray")
    compare_random_sizes(comparison, made)
    comparison.run(rule("letterbox", [96, 200], "bicubic", align="center", pad=[1, 2, 3]), photos[::5], "centred box")
    comparison.run(dict(rule("letterbox", 133, "bilinear", align="center", pad=[1, 2, 3]), color="BGR"), photos[::5],
                   "centred box, BGR")
    comparison.run({"color": "RGB", "center_crop": [11, 20]}, made, "crop only")
    comparison.run(dict(rule("short_side", 31, "bilinear"), scale=1 / 255, mean=[0.485, 0.456, 0.406],
                        std=[0.229, 0.224, 0.225]), photos, "short side")


def main():
    program, shared = sys.argv[1], sys.argv[2]
    photographs = find(os.path.join(shared, "images"), (".jpg",))
    if not photographs:
        print(f"skipped: there are no photographs in {shared}/images")
        return 77
    photograph = photographs[0]
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(program, folder)
        made_folder = os.path.join(folder, "made")
        os.mkdir(made_folder)
        compare_all(comparison, shared, make_images(made_folder, photograph))
    print(f"Pillow {pillow_version}: {comparison.exact} tensors equal to the bit, {comparison.near} within 1/255, "
          f"{comparison.failures} failures")
    return 1 if comparison.failures or comparison.exact == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
