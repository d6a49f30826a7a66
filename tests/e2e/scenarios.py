"""Each scenario's output is the text kept beside it, and docs/scenarios.md shows exactly that text.

    tests/e2e/scenarios.py --update [NAME ...]     runs them and rewrites the texts and the document
"""
import difflib
import glob
import os
import re
import subprocess
import sys

import _packages
from _cli import HASHWOOD, SOURCE, check, main

FOLDER = os.path.join(SOURCE, "examples", "scenarios")
PAGE = os.path.join(SOURCE, "docs", "scenarios.md")
SKIPPED = 77
BLOCK = r"<!-- %s\.txt -->\n```text\n(.*?)```\n"


def names():
    found = (os.path.basename(path)[:-3] for path in glob.glob(os.path.join(FOLDER, "*.py")))
    return sorted(name for name in found if not name.startswith("_"))


def kept(name):
    with open(os.path.join(FOLDER, name + ".txt"), encoding="utf-8") as f:
        return f.read()


def page():
    with open(PAGE, encoding="utf-8") as f:
        return f.read()


def output(name):
    """What a scenario prints; None where a package is missing."""
    if name == "in_duckdb":
        _packages.python("duckdb", needed=False)
    env = dict(os.environ, HASHWOOD=HASHWOOD, PYTHONPATH=os.pathsep.join(sys.path), PYTHONDONTWRITEBYTECODE="1")
    p = subprocess.run([sys.executable, os.path.join(FOLDER, name + ".py")], env=env, text=True, timeout=600,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode == SKIPPED:
        print(p.stdout.strip())
        return None
    check(p.returncode == 0, f"{name} ended with {p.returncode}\n{p.stdout[-2000:]}{p.stderr[-2000:]}")
    return p.stdout


def is_alike(found, expected):
    """The same text; counts of a search's work, which the maths library's last bits may move, within a factor of two."""
    if found == expected:
        return True
    a, b = re.findall(r"\d+", found), re.findall(r"\d+", expected)
    return (re.match("funnel: |leaves: |  signatures read: ", expected) and re.sub(r"\d+", "n", found) == re.sub(r"\d+", "n", expected)
            and all(int(x) <= 2 * int(y) and int(y) <= 2 * int(x) for x, y in zip(a, b)))


def runs_as_kept(name):
    found = output(name)
    if found is None:
        return
    now, then = found.splitlines(), kept(name).splitlines()
    check(len(now) == len(then) and all(map(is_alike, now, then)), "\n".join(difflib.unified_diff(
        then, now, f"examples/scenarios/{name}.txt", "now", lineterm="", n=1)))


def test_the_document_shows_what_the_scenarios_print():
    for name in names():
        shown = re.findall(BLOCK % name, page(), re.S)
        check(len(shown) == 1 and shown[0] == kept(name), f"docs/scenarios.md does not show {name}.txt as it is; run with --update")
        check(f"](../examples/scenarios/{name}.py)" in page(), f"docs/scenarios.md has no link to {name}.py")


def update(wanted):
    text = page()
    for name in wanted or names():
        found = output(name)
        if found is None:
            continue
        with open(os.path.join(FOLDER, name + ".txt"), "w", encoding="utf-8") as f:
            f.write(found)
        block = f"<!-- {name}.txt -->\n```text\n{found}```\n"
        text, count = re.subn(BLOCK % name, lambda _: block, text, flags=re.S)
        check(count == 1, f"docs/scenarios.md needs a line <!-- {name}.txt --> with a block ```text below")
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(text)


for scenario in names():
    globals()["test_" + scenario] = lambda name=scenario: runs_as_kept(name)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--update"]:
        update(sys.argv[2:])
    else:
        main(globals())
