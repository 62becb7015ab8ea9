# SPDX-License-Identifier: Apache-2.0
"""From photographs to arrays with PIL and NumPy, by the same description files, without Tare.

Written from the description of the format and not from Tare's source, so that both can be wrong only in different
ways. Nothing here is fast.
"""

import json

import numpy as np
from PIL import Image


def area_weights(before, after):
    """Row i: how much of each input pixel output pixel i covers, as a share."""
    edges = np.arange(after + 1) * (before / after)
    pixels = np.arange(before)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    overlap = np.clip(overlap, 0, None)
    return overlap / overlap.sum(axis=1, keepdims=True)


def resize(image, height, width, name):
    """The image in another size; `area` averages exactly where both sides shrink, else it is bilinear."""
    if name == "area" and height <= image.height and width <= image.width:
        pixels = np.asarray(image, np.float64).reshape(image.height, image.width, -1)
        pixels = np.einsum("ih,hwc->iwc", area_weights(image.height, height), pixels)
        pixels = np.einsum("jw,iwc->ijc", area_weights(image.width, width), pixels)
        return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8).squeeze())
    chosen = "BILINEAR" if name == "area" else name.upper()
    return image.resize((width, height), Image.Resampling[chosen])


def fit(image, how):
    """Resizes as `resize` of the description says."""
    mode, size, name = how["mode"], how["size"], how.get("filter", "bilinear")
    if mode == "exact":
        return resize(image, size[0], size[1], name)
    if mode == "short_side":
        ratio = size / min(image.height, image.width)
        if image.height <= image.width:
            return resize(image, size, int(image.width * ratio), name)
        return resize(image, int(image.height * ratio), size, name)
    if mode != "letterbox":
        raise ValueError(f"resize mode {mode}")
    ratio = min(size[0] / image.height, size[1] / image.width)
    small = resize(image, max(1, int(image.height * ratio)), max(1, int(image.width * ratio)), name)
    canvas = Image.new(image.mode, (size[1], size[0]), (how["pad"],) * len(image.getbands()))
    canvas.paste(small, (0, 0))
    return canvas


def crop(image, size):
    top = round((image.height - size[0]) / 2)
    left = round((image.width - size[1]) / 2)
    return image.crop((left, top, left + size[1], top + size[0]))


def colored(image, color):
    """The image in the colors of the description; of one channel where it is grey. This comes before resizing."""
    image = image.convert("RGB")
    if color == "GRAY":
        return image.convert("L")
    if color == "Y":
        return image.convert("YCbCr").getchannel("Y")
    if color == "BGR":
        return Image.merge("RGB", image.split()[::-1])
    if color == "RGB":
        return image
    raise ValueError(f"color {color}")


def per_channel(values, count):
    """One value per channel; descriptions of grey images may repeat the same value three times."""
    if len(values) != count and len(set(values)) > 1:
        raise ValueError(f"{values} for {count} channels")
    return np.asarray(values[:count], np.float32)


def load(path, description):
    """One photograph as a batch of one."""
    with Image.open(path) as opened:
        image = colored(opened, description["color"])
    if "resize" in description:
        image = fit(image, description["resize"])
    if "center_crop" in description:
        image = crop(image, description["center_crop"])
    pixels = np.asarray(image, np.float32).reshape(image.height, image.width, -1)
    mean, std = (per_channel(description[key], pixels.shape[2]) for key in ("mean", "std"))
    array = (pixels * np.float32(description["scale"]) - mean) / std
    if description["layout"] == "NCHW":
        array = array.transpose(2, 0, 1)
    return np.ascontiguousarray(array[None])


def load_all(paths, description_file):
    """All photographs as one array, samples along the first axis."""
    description = json.loads(description_file.read_text())
    return np.concatenate([load(path, description) for path in paths])
