# SPDX-License-Identifier: Apache-2.0
"""Draw the pictures of the example: one of eight shapes on a busy background.

usage: draw.py OUT [--count 64] [--first 0]

Writes OUT/images/NNN_name.png and OUT/labels.csv (file, class index, class name).
Every picture is a pure function of its number: all random numbers come from a counter-based generator, so a picture
can be drawn again alone, in any order, on any machine. Training uses other numbers than the 64 shipped pictures.
Needs numpy and pillow.
"""
import argparse
import pathlib

import numpy as np
from PIL import Image

NAMES = ("disc", "ring", "crescent", "triangle", "square", "pentagon", "star", "cross")
SIDE = 48  # of a picture in pixels; the network sees it resized (preprocess.json)
HELD_OUT = 0  # the shipped pictures are numbers HELD_OUT .. HELD_OUT + 63
VALIDATION = 1 << 20
TRAINING = 1 << 30

# What a random number is used for. A slot keeps its number, so that adding one changes no other.
SLOTS = ("angle", "radius", "x", "y", "aspect", "hue", "value", "contrast", "sign", "tint", "slope_angle", "slope",
         "wave_angle", "wave_length", "wave_phase", "wave", "fill_angle", "fill_length", "fill", "noise", "blob_x",
         "blob_y", "blob_radius", "blob", "line_angle", "line_offset", "line_width", "line")
TAU = 2 * np.pi
PIXEL_SLOT = 64  # noise of pixel i, channel c uses slot PIXEL_SLOT + 3 * i + c


def uniform(number, slot):
    """Uniform float64 in [0, 1) for each (number, slot) pair; SplitMix64's finaliser applied to both in turn."""

    def mix(z):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    golden = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        key = mix((np.asarray(number, np.uint64) + np.uint64(1)) * golden)
        bits = mix(key + np.asarray(slot, np.uint64) * golden)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def polygon(sides):
    def distance(u, v):
        normals = 2 * np.pi * (np.arange(sides) + 0.5) / sides
        return np.max([u * np.cos(a) + v * np.sin(a) for a in normals], axis=0) - np.cos(np.pi / sides)

    return distance


def ring(u, v):
    return np.abs(np.hypot(u, v) - 0.72) - 0.24


def crescent(u, v):
    return np.maximum(np.hypot(u, v) - 0.95, 0.75 - np.hypot(u - 0.5, v))


def star(u, v):
    """Five points: fold the plane into one wedge, where the outline is a single straight line."""
    radius, wedge = np.hypot(u, v), np.pi / 5
    angle = np.abs((np.arctan2(v, u) + wedge) % (2 * wedge) - wedge)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    inner = 0.45
    dx, dy = inner * np.cos(wedge) - 1.05, inner * np.sin(wedge)
    return ((x - 1.05) * dy - y * dx) / np.hypot(dx, dy)


def cross(u, v):
    u, v = np.abs(u), np.abs(v)
    return np.minimum(np.maximum(u - 0.95, v - 0.3), np.maximum(u - 0.3, v - 0.95))


# Signed distance to the outline, negative inside, in units of the shape's radius.
SHAPES = dict(disc=lambda u, v: np.hypot(u, v) - 0.88, ring=ring, crescent=crescent, triangle=polygon(3),
              square=polygon(4), pentagon=polygon(5), star=star, cross=cross)


def colour(hue, saturation, value):
    """RGB from hue, saturation and value, all in 0..1, with a trailing axis of 3."""
    position = (hue[..., None] * 6 + np.array([0.0, 4.0, 2.0])) % 6
    ramp = np.clip(np.abs(position - 3) - 1, 0, 1)
    return value[..., None] * (1 - saturation[..., None] * (1 - ramp))


def stripes(x, y, angle, length, phase):
    return np.sin(2 * np.pi * ((x * np.cos(angle) + y * np.sin(angle)) / length + phase))


def coverage(distance):
    """How much of a pixel is inside, from the distance of its centre in pixels: antialiasing."""
    return np.clip(0.5 - distance, 0, 1)


def draw(numbers):
    """uint8 pictures [n, SIDE, SIDE, 3] and class indices [n]; the class is the number modulo 8."""
    numbers = np.asarray(numbers, np.int64)
    r = {name: uniform(numbers, slot)[:, None, None] for slot, name in enumerate(SLOTS)}
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)[:, None]

    radius = 8.5 + 10.5 * r["radius"]
    cx, cy = (0.8 * radius + r[axis] * (SIDE - 1.6 * radius) for axis in ("x", "y"))
    angle = 2 * np.pi * r["angle"]
    u = ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)) / radius
    v = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) / radius
    v = v * (1 + 0.25 * (r["aspect"] - 0.5))
    classes = numbers % len(NAMES)
    inside = np.empty(u.shape)
    for index, name in enumerate(NAMES):
        mine = classes == index
        inside[mine] = coverage(SHAPES[name](u[mine], v[mine]) * radius[mine])

    # Paper: a tinted slope of light, waves, one blob and one line that are no shape.
    value = 0.3 + 0.4 * r["value"]
    slope = ((x - 24) * np.cos(TAU * r["slope_angle"]) + (y - 24) * np.sin(TAU * r["slope_angle"])) / 24
    wave = stripes(x, y, TAU * r["wave_angle"], 4 + 12 * r["wave_length"], r["wave_phase"])
    paper = value + 0.12 * r["slope"] * slope + 0.08 * r["wave"] * wave
    blob = coverage(np.hypot(x - SIDE * r["blob_x"], y - SIDE * r["blob_y"]) - (1 + 2.5 * r["blob_radius"]))
    across = (x - 24) * np.cos(TAU * r["line_angle"]) + (y - 24) * np.sin(TAU * r["line_angle"])
    line = coverage(np.abs(across - 30 * (r["line_offset"] - 0.5)) - (0.3 + 0.8 * r["line_width"]))
    paper = paper + 0.5 * (r["blob"] - 0.5) * blob + 0.5 * (r["line"] - 0.5) * line

    # Ink: lighter or darker than the paper by a margin that is sometimes small, with its own faint stripes.
    margin = (0.2 + 0.3 * r["contrast"]) * np.where(r["sign"] < 0.5, -1, 1)
    fill = stripes(x, y, TAU * r["fill_angle"], 3 + 6 * r["fill_length"], 0)
    ink = value + margin + 0.1 * r["fill"] * fill
    light = paper + inside * (ink - paper)

    tint = colour((r["hue"] + inside * (r["tint"] - 0.5)) % 1, 0.45 * np.ones_like(light), np.clip(light, 0, 1))
    pixel = PIXEL_SLOT + np.arange(SIDE * SIDE * 3).reshape(SIDE, SIDE, 3)
    noise = uniform(numbers[:, None, None, None], pixel) - 0.5
    shade = tint + 0.22 * r["noise"][..., None] * noise
    return np.clip(np.rint(shade * 255), 0, 255).astype(np.uint8), classes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--first", type=int, default=HELD_OUT)
    options = parser.parse_args()
    (options.out / "images").mkdir(parents=True, exist_ok=True)
    pictures, classes = draw(np.arange(options.first, options.first + options.count))
    rows = ["file,class,name"]
    for index, (picture, which) in enumerate(zip(pictures, classes)):
        name = f"{index:03d}_{NAMES[which]}.png"
        Image.fromarray(picture).save(options.out / "images" / name, optimize=True)
        rows.append(f"{name},{which},{NAMES[which]}")
    (options.out / "labels.csv").write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
