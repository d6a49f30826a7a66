"""An import killed with SIGKILL leaves whole batches, and the same command run again completes it."""

import os
import random
import signal
import subprocess
import time

from _cli import *

ROWS = 30000
DIM = 32


def test_import_killed_again_and_again():
    rng = random.Random(7)
    write("x.npy", npy(vectors(ROWS, DIM)))
    command = [HASHWOOD, "import", "a.hw", "c", "x.npy", "--create", "--metric", "l2"]
    done = kills = 0
    for _ in range(12):
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.01, 0.5))
        p.send_signal(signal.SIGKILL)
        kills += p.wait() == -signal.SIGKILL
        if not os.path.exists("a.hw/data.mdb"):
            continue
        p = subprocess.run([HASHWOOD, "count", "a.hw", "c", "-q"], capture_output=True, text=True)
        if p.returncode != 0:  # killed before the collection was created
            continue
        count = int(p.stdout)
        check(count >= done, f"{count} rows after {done} were committed")
        done = count
        run("check", "a.hw")
    check(kills > 0, "every run ended before it could be killed")
    report = js(*command[1:])
    same(report["imported"] + report["present"], ROWS)
    check(report["present"] >= done)
    same(js("count", "a.hw", "c"), {"count": ROWS})
    run("check", "a.hw")
    again = js(*command[1:])
    same((again["imported"], again["present"]), (0, ROWS))


def test_ctrl_c_stops_between_batches_and_says_how_to_go_on():
    write("x.npy", npy(vectors(ROWS, DIM)))
    command = [HASHWOOD, "import", "a.hw", "c", "x.npy", "--create", "--metric", "l2"]
    for seconds in (0.05, 0.02, 0.01):
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        time.sleep(seconds)
        p.send_signal(signal.SIGINT)
        text = p.stderr.read()
        if p.wait() == 1:
            check("interrupted" in text or "cancel" in text, text)
    report = js(*command[1:])
    same(report["imported"] + report["present"], ROWS)
    run("check", "a.hw")


if __name__ == "__main__":
    main(globals())
