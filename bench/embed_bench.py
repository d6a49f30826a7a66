#!/usr/bin/env python3
"""How fast files become points: `hashwood embed --timings` on pictures made here, on one thread and on all.

    bench/embed_bench.py [HASHWOOD] [--rounds 3] [--folder DIR] [--model FILE.onnx] [--photos 96]

Makes a folder of photos (12 megapixel JPEGs of noise over gradients) and one of small PNGs, or takes --folder; needs Pillow
to make them. Runs with one thread and with two are interleaved, so that what else the machine does falls on both. Printed
for each embedder: files a second of processor time (one core's worth) and on the clock, the share of each step, how many
processors were busy, and the speed of two threads over one. Processor time is what to compare where the machine is shared;
--first runs before all else on it (chrt, needs root), without which the clock says nothing there.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

STEPS = ("read", "decode", "fit", "model", "preview", "write")


def make_pictures(folder, photos, small):
    from PIL import Image, ImageFilter

    rng = random.Random(11)
    os.makedirs(f"{folder}/photos"), os.makedirs(f"{folder}/small")
    for i in range(photos):
        coarse = Image.effect_noise((500, 375), 90).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
        tint = Image.new("RGB", (4000, 3000), tuple(rng.randrange(256) for _ in range(3)))
        Image.blend(coarse, tint, 0.5).save(f"{folder}/photos/{i}.jpg", quality=85)
    for i in range(small):
        side = rng.randrange(160, 400)
        noise = Image.effect_noise((side, side), 60).filter(ImageFilter.GaussianBlur(2)).convert("RGB")
        tint = Image.new("RGB", (side, side), tuple(rng.randrange(256) for _ in range(3)))
        Image.blend(noise, tint, 0.6).save(f"{folder}/small/{i}.png")


FIRST = []


def run(hashwood, folder, embedder, threads, where):
    shutil.rmtree(where, ignore_errors=True)
    p = subprocess.run([*FIRST, hashwood, "embed", where, "c", folder, *embedder, "--create", "--no-build", "--timings", "--json",
                        "--threads", str(threads)], stdout=subprocess.PIPE, text=True)
    if p.returncode not in (0, 1):
        sys.exit(p.returncode)
    return json.loads(p.stdout)


def median(reports, value):
    return statistics.median(value(r) for r in reports)


def measure(hashwood, folder, embedder, rounds, where):
    found = {1: [], 2: []}
    for _ in range(rounds):
        for threads in found:
            found[threads].append(run(hashwood, folder, embedder, threads, where))
    one, two = found[1], found[2]
    total = median(one, lambda r: sum(r["ms"].values()))
    shares = "  ".join(f"{s} {100 * median(one, lambda r: r['ms'][s]) / total:.0f} %" for s in STEPS)
    print(f"{os.path.basename(folder):8} {os.path.basename(embedder[1]):18} "
          f"{median(one, lambda r: r['written'] / r['cpu_seconds']):8.1f} a second of a core   {shares}")
    print(f"{'':27} on the clock {median(one, lambda r: r['written'] / r['seconds']):.1f} and "
          f"{median(two, lambda r: r['written'] / r['seconds']):.1f} a second with 1 and 2 threads "
          f"(x {statistics.median(a['seconds'] / b['seconds'] for a, b in zip(one, two)):.2f}); processors busy "
          f"{median(one, lambda r: r['cpu_seconds'] / r['seconds']):.2f} and "
          f"{median(two, lambda r: r['cpu_seconds'] / r['seconds']):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hashwood", nargs="?", default="build/hashwood")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", action="append", help="pictures to take instead; repeatable")
    parser.add_argument("--photos", type=int, default=96)
    parser.add_argument("--small", type=int, default=1500)
    parser.add_argument("--model", help="an ONNX model to measure as well (HASHWOOD_ONNXRUNTIME names the runtime)")
    parser.add_argument("--first", action="store_true", help="run before all else on the machine")
    args = parser.parse_args()
    if args.first:
        FIRST.extend(["chrt", "-f", "10"])
    embedders = [["--features", "colour-histogram"], ["--features", "pixels"]] + ([["--model", args.model]] if args.model else [])
    with tempfile.TemporaryDirectory(prefix="hashwood-embed-") as work:
        folders = args.folder
        if not folders:
            make_pictures(work, args.photos, args.small)
            folders = [f"{work}/photos", f"{work}/small"]
        for folder in folders:
            for embedder in embedders:
                measure(os.path.abspath(args.hashwood), folder, embedder, args.rounds, f"{work}/a.hw")


main()
