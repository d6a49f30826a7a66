#!/usr/bin/env python3
"""Pictures of the same kind of thing: with and without a network, by captions in many languages, with the sound to it.

Question  Given a picture of a bird, which others show birds? What does a pre-trained network know that pixels do not? Which
          pictures are called flor, or цветок? And what does it sound like?
Data      The stamps of Tux Paint (Debian package tuxpaint-stamps-default): pictures in folders by kind, captions in some
          seventy languages, sounds. The network is MobileNetV2 (_network.py).
Steps     a folder of links, with a note beside each picture that names its sound; embed it three times: pixels, colours,
          network; search by pictures, with filters on folders and on captions; embed the sounds and find a picture by one.
Measured  precision@1 and @5 against the folders the pictures lie in, for each of the three; CPU time of a picture.
"""
import json
import os
import resource

from _answers import Answers, chance
from _network import network
from _pictures import Tile
from _show import Show, equals, main, must, np

STAMPS = "/usr/share/tuxpaint/stamps"
QUERIES = ["food/fruit/mango.", "vehicles/auto/sedan", "animals/birds/crow.", "hobbies/music/", "animals/mammals/dogs/", "clothes/hats/"]
FLOWER = [("caption", "flower"), ("captions.de", "Blume"), ("captions.es", "flor"), ("captions.ru", "цветок"), ("captions.el", "λουλούδι")]


def is_stamp(name, folder):
    """Mirrored copies would find each other; letters and signs are not pictures of things."""
    return name.endswith(".png") and not name.endswith(("_mirror.png", "_flip.png")) and not folder.startswith("symbols")


def link_all(show):
    """A folder of links to pictures and captions; notes name the sounds that lie beside them."""
    to = show.file("stamps")
    pictures = sounds = 0
    for at, _, names in sorted(os.walk(show.data(STAMPS, "tuxpaint-stamps-default"))):
        folder = os.path.relpath(at, STAMPS)
        for name in sorted(n for n in names if is_stamp(n, folder)):
            if show.small and not folder.startswith(("animals/birds", "food/fruit", "vehicles/auto", "plants/flowers")):
                continue
            stem = name[:-4]
            os.makedirs(os.path.join(to, folder), exist_ok=True)
            for side in (name, stem + ".txt"):
                if side in names:
                    os.symlink(os.path.join(at, side), os.path.join(to, folder, side))
            sound = next((os.path.join(at, stem + end) for end in (".ogg", ".wav") if stem + end in names), None)
            spoken = {n[len(stem) + 6:-4] or "en": os.path.join(at, n) for n in names
                      if n.startswith(stem + "_desc") and n.endswith(".ogg")}
            note = {k: v for k, v in (("sound", sound), ("spoken", spoken)) if v}
            with open(os.path.join(to, folder, stem + ".json"), "w") as f:
                json.dump(note, f)
            pictures, sounds = pictures + 1, sounds + bool(sound)
    return to, pictures, sounds


def shown(p, score=None, kind=None):
    caption = p.get("caption", p["name"])
    return Tile(p["image"], caption.removeprefix("A ").removeprefix("An ").rstrip(".")[:40] + (f"\n{score:.3f}" if score is not None else ""),
                None if kind is None else p["labels"][0] == kind)


def embed(show, pictures, ways):
    options = ["--create", "--payload-index", "labels:keyword"]
    for key, _ in FLOWER:
        options += ["--payload-index", key + ":text"]
    for name, how in ways.items():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        show.hashwood("embed", show.db, name, pictures, *how, *options)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        yield name, seconds


def precision(show, ways, cpu, count):
    show.step("Every picture's neighbours: do they lie in the same folder?")
    answers = {name: Answers(show, name, lambda p: p["labels"][0]) for name in ways}
    rows = []
    for name, a in answers.items():
        fine = np.array(["/".join(p["labels"][:2]) for p in a.payloads])
        rows.append((name, {"precision@1": a.precision(), "precision@5": a.precision(5)}))
        show.figure(name + "_1", a.precision(), f"{name}: precision@1, the nearest picture lies in the same of {len(set(a.labels))} folders")
        show.figure(name + "_5", a.precision(5), f"{name}: precision@5")
        show.figure(name + "_1_fine", a.precision(1, fine), f"{name}: precision@1, folders of two levels ({len(set(fine))})")
        show.figure(name + "_ms", 1000 * cpu[name] / count, f"{name}: milliseconds of CPU time a picture, all told")
    show.figure("chance", chance(answers["pixels"].labels), "precision@1 by chance")
    show.figure("gain", rows[-1][1]["precision@1"] - rows[0][1]["precision@1"], "precision@1: the network above pixels by")
    show.bars("precision.svg", rows, most=1, form="{:.2f}", title="Do the nearest pictures lie in the same folder?")
    return answers


def neighbours(show, answers):
    rows = []
    for query in QUERIES[:3] if show.small else QUERIES:
        for name, a in answers.items():
            row = next((i for i, p in enumerate(a.payloads) if "/stamps/" + query in p["path"]), None)
            if row is None:
                continue
            p = a.payloads[row]
            rows.append((name, shown(p), [shown(a.payloads[i], s, p["labels"][0]) for i, s in zip(a.order[row][:7], a.scores[row])]))
    half = len(rows) // 2 // 3 * 3
    for file, part in (("neighbours.jpg", rows[:half]), ("more.jpg", rows[half:])):
        if part:
            show.contact_sheet(file, part, size=78, title="Green: the neighbour lies in the query's folder")


def filters(show, pictures, how):
    show.step("The same picture, other folders: filters on labels")
    path = os.path.join(pictures, "food/fruit/mango.png")
    rows = []
    for folder in (None, "animals", "vehicles", "plants", "household") if not show.small else (None, "animals", "vehicles"):
        options = ("--filter", must(equals("labels", folder))) if folder else ()
        found = show.hashwood("embed", show.db, "network", *how, "--search", path, "-k", 8, *options, json=True)
        rows.append((folder or "all", Tile(path, "mango"), [shown(h["payload"], h["score"]) for h in found[0 if folder else 1:][:7]]))
    show.contact_sheet("filters.jpg", rows, size=84, title="What looks most like a mango, in one folder after the other")


def captions(show, pictures, how):
    show.step("Captions in other languages: filters on words, with and without a picture to resemble")
    rows = []
    for key, word in FLOWER:
        language = key.partition(".")[2]
        of = lambda p: p["captions"][language] if language else p["caption"]
        found = show.hashwood("scroll", show.db, "network", "--filter", json.dumps({"must": [{"key": key, "match": {"text": word}}]},
                              ensure_ascii=False), "--limit", 50, json=True)["points"]
        rows.append((f"{language or 'en'}: {word}", None, [Tile(h["payload"]["image"], of(h["payload"])) for h in found[:7]]))
        show.figure("caption_" + (language or "en"), len(found), f"pictures whose caption has the word {word}")
    show.contact_sheet("captions.jpg", [r for r in rows if r[2]], size=98, title="Found by a word of the caption, in five languages")
    path = os.path.join(pictures, "food/fruit/mango.png")
    show.hashwood("embed", show.db, "network", *how, "--search", path, "-k", 3, "--filter",
                  must({"key": "captions.es", "match": {"text": "manzana"}}))


def sounds(show, answers):
    show.step("What it sounds like: the payload names a sound; sounds find each other, too")
    a = answers["network"]
    heard = [p for p in a.payloads if "sound" in p and p["sound"].endswith(".ogg")]
    folder = show.file("sounds")
    for p in heard:
        os.makedirs(os.path.join(folder, *p["labels"]), exist_ok=True)
        stem = os.path.join(folder, *p["labels"], p["name"])
        if not os.path.lexists(stem + ".ogg"):
            os.symlink(p["sound"], stem + ".ogg")
            with open(stem + ".json", "w") as f:
                json.dump({"picture": p["path"], "caption": p["caption"]}, f)
    show.hashwood("embed", show.db, "sounds", folder, "--features", "logmel", "--create", codes=(0, 1))
    spoken = sorted({language for p in a.payloads for language in p.get("spoken", ())})
    show.figure("sounds", len(heard), "pictures with a sound of their own")
    show.figure("spoken", len(spoken), "languages in which captions are spoken")
    rows = []
    for name in ("crow", "horse", "cat", "train", "ambulance", "duck"):
        p = next((p for p in heard if name in p["name"]), None)
        if p is None or len(rows) == 4:
            continue
        found = show.hashwood("embed", show.db, "sounds", "--features", "logmel", "--search", p["sound"], "-k", 6, json=True, tell=not rows)
        hits = [h for h in found if h["payload"]["picture"] != p["path"]]
        by_path = {q["path"]: q for q in a.payloads}
        rows.append(("", Tile(found[0]["payload"]["image"], p["caption"].rstrip(".")), [
            t for h in hits[:4] for t in (Tile(by_path[h["payload"]["picture"]]["image"], h["payload"]["caption"].rstrip(".") + f"\n{h['score']:.3f}"),
                                          Tile(h["payload"]["image"], ""))]))
    show.contact_sheet("sounds.jpg", rows, size=80, title="A sound, and whose sounds resemble it: pictures and spectra")


def showcase():
    show = Show("stamps", "Pictures of the same kind of thing")
    show.step("Links to pictures and captions, notes that name their sounds")
    pictures, count, with_sound = link_all(show)
    show.figure("pictures", count, "pictures")
    show.step("Three ways to turn them into vectors")
    ways = {"pixels": ("--features", "pixels"), "colours": ("--features", "colour-histogram"), "network": network(show)}
    cpu = dict(embed(show, pictures, ways))
    answers = precision(show, ways, cpu, count)
    neighbours(show, answers)
    filters(show, pictures, ways["network"])
    captions(show, pictures, ways["network"])
    sounds(show, answers)
    show.finish("network", [f"{show.command} embed {show.db} pixels --features pixels --search YOUR.jpg"])


main(showcase)
