"""The showcases run to their end in their small form, and what they measure is as good as it should be."""
import json
import os
import subprocess
import sys

import _packages

_packages.python("numpy", "pillow")
PYTHON_PATH = sys.path[0]

from _cli import HASHWOOD, SOURCE, check, main, same  # noqa: E402

SKIPPED = []


def figures(name, pictures):
    """Runs one and gives its figures; None when it says that a package is missing."""
    env = dict(os.environ, HASHWOOD=HASHWOOD, SHOWCASE_SMALL="1", SHOWCASE_FOLDER=os.getcwd(), PYTHONPATH=PYTHON_PATH,
               SHOWCASE_PACKAGES=os.path.join(os.path.abspath(_packages.BUILD), "showcases", "_packages"))
    p = subprocess.run([sys.executable, os.path.join(SOURCE, "showcases", name + ".py")], env=env, text=True, timeout=900,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode == 77:
        print(f"skipped: {name}: {p.stdout.strip().splitlines()[-1]}")
        SKIPPED.append(name)
        return None
    same(p.returncode, 0, p.stdout[-4000:])
    check(f"serve {os.getcwd()}" in p.stdout.replace("'", ""), "it says how to go on")
    with open(os.path.join(name, "figures.json")) as f:
        report = json.load(f)
    same((report["name"], report["small"]), (name, True))
    for picture in pictures:
        check(picture in report["pictures"] and 500 < os.path.getsize(os.path.join(name, picture)) <= 250_000, picture)
    found = {f["key"]: f["value"] for f in report["figures"]}
    same(len(found), len(report["figures"]), "keys of figures are unique")
    return found


def at_least(found, **lowest):
    for key, value in lowest.items():
        check(found[key] >= value, f"{key} is {found[key]}, expected at least {value}")


def test_fashion():
    found = figures("fashion", ["neighbours.png", "filters.png", "groups.png", "recommend.png", "kinds.svg"])
    if found:
        at_least(found, products=6000, precision_1=0.75, precision_10=0.7, vote_10=0.77, recall=0.92, recall_price=0.9)
        same(found["sandals"], 10)
        check(found["shirts_best"] > found["shirts_one"] + 0.08, "likes and dislikes find more shirts than one example")


def test_words():
    found = figures("words", ["neighbours.svg", "analogies.svg"])
    if found:
        at_least(found, words=20000, **{"analogies_0.99": 0.6, "recall_stored_0.95": 0.9, "recall_unseen_0.99": 0.95},
                 wordsim=0.5, simlex=0.25)
        same(found["queen"], "queen")


def test_films():
    found = figures("films", ["recall.svg", "strangers.svg", "map.svg"])
    if found:
        same((found["ratings"], found["films"]), (100004, 9066))
        at_least(found, liked_recall=0.11, liked_ndcg=0.1, user_recall=0.11)
        check(found["liked_recall"] > 1.5 * found["popularity_recall"], "recommending beats popularity")
        check(found["stranger_all"] > 1.5 * found["stranger_0"], "strangers profit too")
        check(found["stranger_10"] > found["stranger_1"], "the more is known the better")


def test_stamps():
    found = figures("stamps", ["neighbours.jpg", "filters.jpg", "captions.jpg", "sounds.jpg", "precision.svg"])
    if found:
        at_least(found, pictures=100, network_1=0.75, gain=0.1, sounds=5)
        at_least(found, caption_en=8, caption_de=5, caption_es=8, caption_ru=8)


def test_sounds():
    found = figures("sounds", ["neighbours.png", "confusion.png", "kinds.svg", "others.svg"])
    if found:
        at_least(found, drums=100, drums_1=0.85, samples_1=0.49, letters_1=0.84)
        check(found["drums_other_kit"] > 2 * found["drums_chance"], "kinds are found in other kits, too")


def test_duplicates():
    found = figures("duplicates", ["groups.jpg", "recall.svg"])
    if found:
        at_least(found, pixels_smaller=0.8, pixels_jpeg=0.8, pixels_webp=0.8, network_webp=0.8, pixels_precision=0.8)
        check(found["both_recall"] > found["pixels_recall"], "the network finds copies that pixels do not")
        check(found["network_mirrored"] > found["pixels_mirrored"], "the network knows mirrored pictures")


if __name__ == "__main__":
    try:
        main(globals())
    except SystemExit as e:
        ran = sys.argv[1:] or [n for n in globals() if n.startswith("test_")]
        sys.exit(77 if not e.code and len(SKIPPED) == len(ran) else e.code)
