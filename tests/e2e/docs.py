"""Man pages and completions are what the option tables say, and are well formed."""

import glob
import os
import shutil
import subprocess

from _cli import *


def test_the_kept_files_are_up_to_date():
    os.makedirs("docs/man")
    os.makedirs("tools/completions")
    run("_docs", ".")
    written = sorted(glob.glob("docs/man/hashwood*.1") + glob.glob("tools/completions/*"))
    check(len(written) > 20)
    for path in written:
        kept = os.path.join(SOURCE, path)
        check(os.path.exists(kept) and open(kept).read() == open(path).read(),
              f"{path} is out of date; run `hashwood _docs .` in the source tree")
    for path in glob.glob(os.path.join(SOURCE, "docs/man/hashwood*.1")):
        check(os.path.relpath(path, SOURCE) in written, f"{path} belongs to no command")


def test_man_pages_are_well_formed():
    if not shutil.which("mandoc"):
        return
    for path in glob.glob(os.path.join(SOURCE, "docs/man/hashwood*.1")):
        p = subprocess.run(["mandoc", "-T", "lint", "-W", "style", path], capture_output=True, text=True)
        lines = [line for line in p.stdout.splitlines() if "referenced manual not found" not in line]
        check(not lines, "\n".join(lines))


def test_completions_parse_and_complete():
    completions = os.path.join(SOURCE, "tools/completions")
    for shell, name in (("bash", "hashwood.bash"), ("zsh", "_hashwood"), ("fish", "hashwood.fish")):
        if shutil.which(shell):
            subprocess.run([shell, "-n", os.path.join(completions, name)], check=True)
    run("create", "a.hw", "pictures", "--dim", 2)
    script = f"""
source {completions}/hashwood.bash
complete_line() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _hashwood; echo "${{COMPREPLY[*]}}"; }}
complete_line hashwood sea
complete_line hashwood search a.hw c --fil
complete_line hashwood create a.hw c --metric co
complete_line {HASHWOOD} search a.hw pic
"""
    p = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    same(p.stdout.split("\n"), ["search", "--file --filter", "cosine", "pictures", ""])


if __name__ == "__main__":
    main(globals())
