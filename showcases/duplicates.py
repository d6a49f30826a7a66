#!/usr/bin/env python3
"""Copies of a picture in a folder: made smaller, cropped, brightened, mirrored, with words on them.

Question  Which pictures of a folder are nearly the same, and which changes does the search see through?
Data      Stamps of Tux Paint (Debian package tuxpaint-stamps-default), and copies of some of them, each changed in one of
          nine ways by this script (Pillow). The network is MobileNetV2 (_network.py).
Steps     make the folder; embed it by pixels and by the network; `hashwood duplicates` at several thresholds; the
          threshold is chosen on one half of the copied pictures and judged on the other.
Measured  for each change the share of copies that share a group with their picture; how many pairs in the groups are
          true; what is missed and what is wrong.
"""
import hashlib
import json
import os
import time

from _network import network
from _pictures import Tile
from _show import Show, main
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

STAMPS = "/usr/share/tuxpaint/stamps"
PRECISION = 0.95  # of the pairs in groups, on the half that chooses the threshold
THRESHOLDS = [0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995]


def cropped(image):
    w, h = image.size
    return image.crop((round(w * 0.06), round(h * 0.06), round(w * 0.94), round(h * 0.94)))


def watermarked(image):
    image = image.copy()
    draw = ImageDraw.Draw(image, "RGBA")
    w, h = image.size
    for y in range(h // 8, h, max(h // 4, 1)):
        draw.rectangle((w // 10, y, w * 9 // 10, y + max(h // 30, 2)), fill=(90, 90, 90, 120))
    return image


# name: (how the picture changes, how it is saved)
CHANGES = {
    "smaller": (lambda i: i.resize((max(i.width // 3, 8), max(i.height // 3, 8)), Image.LANCZOS), ("png", {})),
    "jpeg": (lambda i: i, ("jpg", {"quality": 20})),
    "webp": (lambda i: i, ("webp", {"quality": 40})),
    "brighter": (lambda i: ImageEnhance.Brightness(i).enhance(1.35), ("png", {})),
    "blurred": (lambda i: i.filter(ImageFilter.GaussianBlur(max(i.size) / 100)), ("png", {})),
    "cropped": (cropped, ("png", {})),
    "watermark": (watermarked, ("png", {})),
    "grey": (lambda i: ImageOps.grayscale(i), ("png", {})),
    "mirrored": (ImageOps.mirror, ("png", {})),
}


def stamps(count):
    """Pictures laid on white, every one once."""
    seen, out = set(), []
    for at, _, names in sorted(os.walk(STAMPS)):
        for name in sorted(names):
            if name.endswith(".png") and not name.endswith(("_mirror.png", "_flip.png")) and "/symbols" not in at:
                path = os.path.join(at, name)
                with open(path, "rb") as f:
                    digest = hashlib.sha256(f.read()).digest()
                if digest not in seen:
                    seen.add(digest)
                    out.append(path)
    return out[::max(1, len(out) // count)][:count]


def save(folder, name, image, saving, note):
    ending, options = saving
    os.makedirs(folder, exist_ok=True)
    image.convert("RGB").save(os.path.join(folder, f"{name}.{ending}"), **options)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        json.dump(note, f)


def make_folder(show):
    """Pictures, and for some of them a copy in each way; notes say which is a copy of which, to judge by."""
    show.data(STAMPS, "tuxpaint-stamps-default")
    count, copied = (60, 12) if show.small else (300, 50)
    folder, families = show.file("pictures"), 0
    for n, path in enumerate(stamps(count)):
        image = Image.open(path).convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        paper.thumbnail((480, 480), Image.LANCZOS)
        name = f"{n:03d}-{os.path.basename(path)[:-4]}"
        save(folder, name, paper, ("png", {}), {"of": name, "change": "original"})
        if n % (count // copied) == 0:
            families += 1
            for change, (how, saving) in CHANGES.items():
                save(folder, f"{name}-{change}", how(paper.convert("RGB")), saving, {"of": name, "change": change})
    show.figure("pictures", len([n for n in os.listdir(folder) if not n.endswith(".json")]),
                f"pictures in the folder; {families} of them with {len(CHANGES)} copies each")
    return folder


class Folder:
    """What the notes say of every picture."""

    def __init__(self, show, collection):
        file = show.file("all.jsonl")
        show.hashwood("export", show.db, collection, file, quiet=True, tell=False)
        with open(file) as f:
            rows = [json.loads(line)["payload"] for line in f]
        self.of = {r["path"]: r["of"] for r in rows}
        self.change = {r["path"]: r["change"] for r in rows}
        self.image = {r["path"]: r["image"] for r in rows}
        copied = sorted({r["of"] for r in rows if r["change"] != "original"})
        self.halves = set(copied[::2]), set(copied[1::2])

    def judge(self, groups, half):
        """Precision of the pairs in groups that have a picture of this half, and recall by change."""
        families = self.halves[half]
        true = pairs = 0
        found = {change: 0 for change in CHANGES}
        for group in groups:
            for i, a in enumerate(group):
                for b in group[:i]:
                    if self.of[a] in families or self.of[b] in families:
                        pairs += 1
                        true += self.of[a] == self.of[b]
            originals = {self.of[p] for p in group if self.change[p] == "original"}
            for p in group:
                if self.change[p] != "original" and self.of[p] in families and self.of[p] in originals:
                    found[self.change[p]] += 1
        return (true / pairs if pairs else 1.0), {c: n / len(families) for c, n in found.items()}


def groups_at(show, collection, threshold, tell=False):
    answer = show.hashwood("duplicates", show.db, collection, "--threshold", threshold, json=True, tell=tell)
    return [[p["path"] for p in g] for g in answer["groups"]]


def choose(show, folder, name):
    """The lowest threshold whose pairs are precise enough on one half; judged on the other."""
    rows, chosen = [], None
    for threshold in THRESHOLDS:
        groups = groups_at(show, name, threshold)
        precise, found = folder.judge(groups, 0)
        rows.append([threshold, len(groups), precise, sum(found.values()) / len(found)])
        if chosen is None and precise >= PRECISION:
            chosen = threshold
    show.table(["threshold", "groups", "pairs true", "copies found"], rows)
    return chosen or THRESHOLDS[-1]


def measure(show, name, folder):
    show.step(f"Duplicates by {name}: try thresholds on one half of the copied pictures, judge on the other")
    threshold = choose(show, folder, name)
    began = time.monotonic()
    groups = groups_at(show, name, threshold, tell=True)
    seconds = time.monotonic() - began
    precise, found = folder.judge(groups, 1)
    show.figure(name + "_threshold", threshold, f"{name}: threshold chosen")
    show.figure(name + "_precision", precise, f"{name}: share of pairs in groups that are true")
    show.figure(name + "_recall", sum(found.values()) / len(found), f"{name}: share of copies found")
    show.figure(name + "_ms", 1000 * seconds, f"{name}: milliseconds for all pairs of {len(folder.of)} pictures")
    for change, share in found.items():
        show.figure(f"{name}_{change}", share, f"{name}: {change}")
    return groups, found


def joined(several):
    """Groups of several kinds as one: what shares a group in any of them does."""
    at = {}

    def first(p):
        while at.setdefault(p, p) != p:
            p = at[p]
        return p

    for group in several:
        for p in group[1:]:
            at[first(p)] = first(group[0])
    out = {}
    for p in list(at):
        out.setdefault(first(p), []).append(p)
    return sorted(out.values(), key=len, reverse=True)


def together(show, folder, found):
    show.step("Both together: what either of them joins")
    groups = joined(found["pixels"][0] + found["network"][0])
    precise, shares = folder.judge(groups, 1)
    show.figure("both_precision", precise, "both: share of pairs in groups that are true")
    show.figure("both_recall", sum(shares.values()) / len(shares), "both: share of copies found")
    return groups, shares


def sheets(show, folder, every):
    groups = every["both"][0]

    def tile(path):
        return Tile(folder.image[path], folder.change[path])

    copied = folder.halves[0] | folder.halves[1]
    pure = [g for g in groups if len({folder.of[p] for p in g}) == 1 and len(g) > 4]
    rows = [("", None, [tile(p) for p in sorted(g, key=lambda p: folder.change[p] != "original")][:10]) for g in pure[::max(1, len(pure) // 6)][:6]]
    show.contact_sheet("groups.jpg", rows, size=74, title="Groups found by pixels and network together")
    mixed = sorted(((g, name) for name in ("pixels", "network") for g in every[name][0] if len({folder.of[p] for p in g}) > 1),
                   key=lambda m: len(m[0]))
    wrong = [(name, None, [Tile(folder.image[p], folder.of[p][4:] + "\n" + folder.change[p]) for p in
                         sorted(g, key=lambda p: (folder.change[p] != "original", folder.of[p]))][:9]) for g, name in mixed[:6]]
    if wrong:
        show.contact_sheet("mixed.jpg", wrong, size=80, title="Wrong, or is it?")
    number = {p: i for i, g in enumerate(groups) for p in g}
    original = {folder.of[p]: p for p in folder.of if folder.change[p] == "original"}
    missed = [p for p in folder.of if folder.change[p] != "original" and number.get(p, -1) != number.get(original[folder.of[p]], -2)]
    rows = [(change, None, [t for p in [q for q in missed if folder.change[q] == change][:5] for t in
                            (Tile(folder.image[original[folder.of[p]]], "original"), tile(p))]) for change in CHANGES]
    rows = [r for r in rows if r[2]]
    if rows:
        show.contact_sheet("missed.jpg", rows, size=72, title="Copies that neither finds")
    show.figure("missed", len(missed), f"copies that neither finds, of {len(copied) * len(CHANGES)}, both halves")


def showcase():
    show = Show("duplicates", "Copies of a picture in a folder")
    show.step("A folder of pictures, some of them with copies that were changed")
    pictures = make_folder(show)
    show.step("Embed it by pixels and by a network")
    ways = {"pixels": ("--features", "pixels"), "network": network(show)}
    for name, how in ways.items():
        show.hashwood("embed", show.db, name, pictures, *how, "--create")
    folder = Folder(show, "pixels")
    found = {name: measure(show, name, folder) for name in ways}
    found["both"] = together(show, folder, found)
    show.bars("recall.svg", [(c, {name: shares[c] for name, (_, shares) in found.items()}) for c in CHANGES], most=1,
              form="{:.2f}", title="Share of copies that are found, by change")
    sheets(show, folder, found)
    show.finish("network", [f"{show.command} duplicates {show.db} pixels --threshold 0.98"])


main(showcase)
