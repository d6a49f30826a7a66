"""An import killed with SIGKILL leaves whole batches, and the same command run again completes it."""

import os
import random
import signal
import subprocess
import time

from _cli import *

ROWS = 30000
DIM = 32


def import_into(where):
    return [HASHWOOD, "import", where, "c", "x.npy", "--create", "--metric", "l2"]


def test_import_killed_again_and_again():
    rng = random.Random(7)
    write("x.npy", npy(vectors(ROWS, DIM)))
    command = import_into("a.hw")
    begin = time.monotonic()
    run(*import_into("whole.hw")[1:])
    whole_s = time.monotonic() - begin
    done = kills = 0
    for _ in range(12):
        p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, whole_s))
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
    check(done > 0, "every run was killed before it had committed anything")
    report = js(*command[1:])
    same(report["imported"] + report["present"], ROWS)
    check(report["present"] >= done)
    same(js("count", "a.hw", "c"), {"count": ROWS})
    run("check", "a.hw")
    again = js(*command[1:])
    same((again["imported"], again["present"]), (0, ROWS))


def interrupted(command, where):
    """Runs it with Ctrl-C as soon as the database is there; whether it was stopped by that."""
    p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    wait_until(lambda: os.path.exists(f"{where}/data.mdb"), "the database is there")
    p.send_signal(signal.SIGINT)
    text = p.stderr.read()
    check(p.wait() in (0, 1), text)
    check(p.returncode == 0 or "interrupted" in text or "cancel" in text, text)
    return p.returncode == 1


def test_ctrl_c_stops_between_batches_and_says_how_to_go_on():
    write("x.npy", npy(vectors(ROWS, DIM)))
    tries = 0
    while not interrupted(command := import_into(f"{tries}.hw"), f"{tries}.hw"):
        tries += 1
        check(tries < 20, "every run ended before Ctrl-C came")
    report = js(*command[1:])
    same(report["imported"] + report["present"], ROWS)
    run("check", f"{tries}.hw")


if __name__ == "__main__":
    main(globals())
