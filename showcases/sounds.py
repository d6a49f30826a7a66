#!/usr/bin/env python3
"""Sounds that resemble each other: another snare like this one, from another kit.

Question  Given a sound, which of a folder's sound like it? Of another drum kit only? And who speaks?
Data      Drum samples of 13 kits (Debian package hydrogen-drumkits), samples of many instruments (sonic-pi-samples),
          letters spoken in 20 languages by as many speakers (klettres-data). No model: the descriptor logmel of
          `hashwood embed`, 120 numbers a sound.
Steps     a folder of links sorted by kind, a JSON note beside each; embed; search by a file, with filters; the nearest of
          every stored sound in one command.
Measured  precision@1 and @5 by kind of sound, and beside what other descriptors reached on the same packages; the same
          when the sound's own kit does not count, which is the harder and the more useful question; which kinds are
          taken for which.
"""
import json
import os
import re

from _answers import Answers, chance
from _pictures import Tile, font, save
from _show import Show, equals, main, must, np
from PIL import Image, ImageDraw

DRUMS = "/usr/share/hydrogen/data/drumkits"
SAMPLES = "/usr/share/sonic-pi/samples"
LETTERS = "/usr/share/klettres"
KINDS = [  # the first that a name has counts
    ("kick", r"kick|bass_?drum|\bbd|_bd|bd\d|_k_\d"), ("rim", r"rim|stick|click"), ("snare", r"snare|\bsn|_sn|\bsd|sd_\d"),
    ("hat", r"hat|\bhh|chh|ohh|_hh"), ("tom", r"tom|\bt\d_"), ("crash", r"crash(?!ride)|\bcra_|splash|china"), ("ride", r"ride"),
    ("cowbell", r"cow"), ("clap", r"clap"), ("tambourine", r"tamb"), ("conga", r"conga|djembe|bongo"), ("block", r"block")]
FEATURES = ("--features", "logmel")
# Precision@1 that plain log-mel statistics (mean and deviation of 32 bands) reached on the same packages, and a
# pre-trained speech network (openWakeWord's, 96 numbers); both by a script outside of hashwood.
OTHERS = {"drums": (0.77, 0.71), "samples": (0.49, 0.40), "letters": (0.84, 0.71)}


def sounds_in(folder):
    return sorted(os.path.join(at, f) for at, _, files in os.walk(folder) for f in files if f.lower().endswith((".flac", ".wav", ".aiff", ".ogg")))


def kind_of(path):
    name = os.path.basename(path).lower()
    return next((kind for kind, pattern in KINDS if re.search(pattern, name)), None)


def link(folder, label, path, note):
    """folder/label/file, a link to the sound, and a note beside it whose keys join the payload."""
    os.makedirs(os.path.join(folder, label), exist_ok=True)
    name = "-".join([*note.values(), os.path.basename(path)]).replace(" ", "_")
    os.symlink(path, os.path.join(folder, label, name))
    with open(os.path.join(folder, label, os.path.splitext(name)[0] + ".json"), "w") as f:
        json.dump(note, f)


def sorted_by_kind(show, folder):
    """Drum samples that say in their name what they are, in folders of their kinds."""
    kits = sorted(os.listdir(DRUMS))
    for kit in ("ForzeeStereo", "ElectricEmpireKit", "VariBreaks") if show.small else kits:
        for path in sounds_in(os.path.join(DRUMS, kit)):
            if kind_of(path):
                link(folder, kind_of(path), path, {"kit": kit})


def tile(p, score=None, kind=None):
    second = f"{score:.3f} {p['labels'][0]}" if score is not None else p["labels"][0]
    return Tile(p["image"], p.get("kit", p["name"])[:16] + "\n" + second, None if kind is None else p["labels"][0] == kind)


def search_by_file(show, folder):
    show.step("Search by a file: what sounds like this snare, and what of another kit does")
    rows, kinds = [], ("kick", "snare", "hat", "tom", "crash", "tambourine") if not show.small else ("snare", "hat")
    for n, kind in enumerate(kinds):
        files = sorted(f for f in os.listdir(os.path.join(folder, kind)) if not f.endswith(".json"))
        path = os.path.join(folder, kind, files[len(files) // 2])
        kit = files[len(files) // 2].split("-")[0]
        if n == 1:
            show.hashwood("embed", show.db, "drums", *FEATURES, "--search", path, "-k", 4)
        others = must(must_not=[equals("kit", kit.replace("_", " "))] + [equals("kit", kit)])
        own = show.hashwood("embed", show.db, "drums", *FEATURES, "--search", path, "-k", 4, json=True, tell=False)
        far = show.hashwood("embed", show.db, "drums", *FEATURES, "--search", path, "-k", 4, "--filter", others, json=True, tell=n == 1)
        query = own[0]["payload"]
        rows.append((kind, tile(query), [tile(h["payload"], h["score"], kind) for h in own[1:] + far]))
    show.contact_sheet("neighbours.png", rows, size=112, title="A sound, the three nearest, and the four nearest of other kits")


def confusion(show, a, near):
    """How often the nearest sound of another kit is of which kind, as a picture."""
    kinds = [k for k, _ in KINDS if ((a.labels == k) & (near >= 0)).any()]
    cell, left, top = 44, 96, 70
    sheet = Image.new("RGB", (left + cell * len(kinds) + 12, top + cell * len(kinds) + 12), "white")
    draw, face, strong = ImageDraw.Draw(sheet), font(12), font(14, True)
    draw.text((10, 8), "Rows: the query. Columns: its nearest sound of another kit, in percent.", font=face, fill="#24292f")
    for i, row in enumerate(kinds):
        mine = near[(a.labels == row) & (near >= 0)]
        draw.text((left - 8 - draw.textlength(row, font=face), top + i * cell + 15), row, font=face, fill="#24292f")
        draw.text((left + i * cell + 2, top - 20 - 14 * (i % 2)), row, font=font(11), fill="#24292f")
        for j, column in enumerate(kinds):
            share = float((a.labels[mine] == column).mean())
            hue = (47, 129, 247) if i == j else (207, 34, 46)
            colour = tuple(round(255 + (c - 255) * share) for c in hue)
            at = (left + j * cell, top + i * cell)
            draw.rectangle((*at, at[0] + cell - 2, at[1] + cell - 2), fill=colour, outline="#d0d7de")
            if share >= 0.005:
                words = f"{100 * share:.0f}"
                draw.text((at[0] + (cell - draw.textlength(words, font=strong)) / 2, at[1] + 13), words, font=strong,
                          fill="white" if share > 0.6 else "#24292f")
    show._picture("confusion.png", lambda path: save(sheet, path, 200_000))


def drums(show):
    show.step("Sort the drum samples that say in their name what they are: links in folders, notes beside them")
    folder = show.file("drums")
    sorted_by_kind(show, show.data(DRUMS, "hydrogen-drumkits") and folder)
    first = sorted(os.listdir(os.path.join(folder, "snare")))[:2]
    show.say("   " + "\n   ".join(os.path.join(folder, "snare", name) for name in first))
    show.hashwood("embed", show.db, "drums", folder, *FEATURES, "--create", "--payload-index", "labels:keyword",
                  "--payload-index", "kit:keyword", "--thumbnail", 112)
    search_by_file(show, folder)
    show.step("Every sound's neighbours in one command: are they of its kind?")
    a = Answers(show, "drums", lambda p: p["labels"][0])
    one, kits = a.precision(), len({p["kit"] for p in a.payloads})
    show.figure("drums", a.count, f"drum samples, {len(set(a.labels))} kinds, {kits} kits")
    show.figure("drums_1", one, "drums: precision@1, the nearest sound is of the same kind")
    show.figure("drums_5", a.precision(5), "drums: precision@5")
    near = a.nearest_of_others("kit")
    asked = near >= 0
    right = a.labels[near] == a.labels
    show.figure("drums_other_kit", float(right[asked].mean()), "drums: precision@1 when sounds of the same kit do not count")
    show.figure("drums_chance", chance(a.labels), "drums: precision@1 by chance")
    rows = [(k, {"all kits": float((a.labels[a.order[a.labels == k, 0]] == k).mean()),
                 "other kits only": float(right[asked & (a.labels == k)].mean())}) for k, _ in KINDS if (asked & (a.labels == k)).any()]
    show.bars("kinds.svg", sorted(rows, key=lambda r: -r[1]["other kits only"]), most=1, form="{:.2f}",
              title="Is the nearest drum of the same kind?")
    confusion(show, a, near)
    return one


def samples(show):
    show.step("Samples of all instruments: the word before the first _ says what family")
    show.hashwood("embed", show.db, "samples", show.data(SAMPLES, "sonic-pi-samples"), *FEATURES, "--create")
    a = Answers(show, "samples", lambda p: p["name"].split("_")[0])
    one = a.precision()
    show.figure("samples_1", one, f"instruments ({a.count} samples, {len(set(a.labels))} families): precision@1")
    return one


def letters(show):
    show.step("Spoken letters: does the nearest one come from the same speaker?")
    show.data(LETTERS, "klettres-data")
    some = sorted(d for d in os.listdir(LETTERS) if os.path.isdir(os.path.join(LETTERS, d, "alpha")))
    for language in some[:6] if show.small else some:
        for path in sounds_in(os.path.join(LETTERS, language, "alpha")):
            link(show.file("letters"), language, path, {"letter": os.path.basename(path).split("-")[0].split(".")[0]})
    show.hashwood("embed", show.db, "letters", show.file("letters"), *FEATURES, "--create", "--payload-index", "labels:keyword")
    a = Answers(show, "letters", lambda p: p["labels"][0])
    one = a.precision()
    show.figure("letters_1", one, f"letters ({a.count}, {len(set(a.labels))} speakers): precision@1, the same speaker")
    return one


def showcase():
    show = Show("sounds", "Sounds that resemble each other")
    ours = {"drums": drums(show), "samples": samples(show), "letters": letters(show)}
    names = {"drums": "drums, by kind", "samples": "instruments, by family", "letters": "letters, by speaker"}
    show.step("Beside other descriptors")
    show.bars("others.svg", [(names[k], {"hashwood's logmel": ours[k], "plain log-mel statistics": OTHERS[k][0],
                                         "a speech network": OTHERS[k][1]}) for k in ours],
              most=1, form="{:.2f}", title="Precision@1 on three packages of sounds")
    for key, (plain, _) in OTHERS.items():
        show.figure(key + "_gain", ours[key] - plain, f"{key}: above plain log-mel statistics by")
    show.finish("drums", [f"{show.command} embed {show.db} drums --features logmel --search YOUR.wav"])


main(showcase)
