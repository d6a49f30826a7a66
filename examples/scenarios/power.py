#!/usr/bin/env python3
"""The power fails: processes are killed in the middle of writing (kill -9, which no program can catch). What was acknowledged
is there, what was not is either whole or not there at all, and nothing needs repair. Then a backup, and its restore.

A killed process is not quite a failed power supply: what the kernel holds in memory survives here. That commits are on the
disk before they are acknowledged is tested with injected faults (tests/fault)."""
import signal
import subprocess
import threading
import time

from _scenario import HASHWOOD, Server, jsonl, say, sh

ROUNDS, MANY = 3, 60000


def vector(i):
    return [(i * k) % 97 / 97 for k in (1, 2, 3, 5)]


def write_until_killed(server, first, acknowledged):
    """Batches of ten, one after the other; each is noted once the server said it is done."""
    at = first
    try:
        while True:
            points = [{"id": i, "vector": vector(i), "payload": {"batch": at}} for i in range(at, at + 10)]
            status, _ = server.request("PUT", "/collections/c/points?wait=true", {"points": points})
            if status != 200:
                return
            acknowledged.append(at)
            at += 10
    except OSError:
        return  # the server is gone


def count():
    return int(subprocess.run(["hashwood", "count", "big.hw", "c", "-q"], capture_output=True, text=True).stdout or 0)


def kill_an_import():
    """Kills it once the first points are there, and tells how many there are."""
    job = subprocess.Popen([HASHWOOD, "import", "big.hw", "c", "many.jsonl", "--quiet"])
    while count() == 0 and job.poll() is None:
        time.sleep(0.005)
    job.kill()
    job.wait()
    return count()


say("A server takes batches of ten points, each a transaction, and is killed in the middle; three times")
acknowledged, first = [], 0
with Server("c.hw") as server:
    server.ask("PUT", "/collections/c", {"vectors": {"size": 4, "distance": "Euclid"}})
for n in range(ROUNDS):
    with Server("c.hw") as server:
        before = len(acknowledged)
        writer = threading.Thread(target=write_until_killed, args=(server, first, acknowledged))
        writer.start()
        while len(acknowledged) < before + 20:
            time.sleep(0.002)
        server.process.send_signal(signal.SIGKILL)
        writer.join()
        print(f"kill -9, round {n + 1}: more than 20 batches acknowledged since the last")
    first = acknowledged[-1] + 20  # the one that was under way may be there or not

say("What is there now?")
with Server("c.hw") as server:
    lost = partly = 0
    for at in range(0, first, 10):
        ids = list(range(at, at + 10))
        _, answer = server.request("POST", "/collections/c/points", {"ids": ids, "with_payload": True, "with_vector": True})
        points = answer["result"]
        lost += at in acknowledged and len(points) != 10
        partly += len(points) not in (0, 10)
        assert all(abs(a - b) < 1e-6 for p in points for a, b in zip(p["vector"], vector(p["id"])))
    print(f"acknowledged batches that are missing: {lost}")
    print(f"batches of which only a part is there: {partly}")
sh("hashwood check c.hw")

say("A bulk import is killed as well, and simply run again")
jsonl("many.jsonl", [{"id": i, "vector": vector(i * 7) * 4} for i in range(MANY)])
sh("hashwood create big.hw c --dim 16 --metric l2")
print("$ hashwood import big.hw c many.jsonl &\n$ kill -9 $!")
there = kill_an_import()
for _ in range(20):  # on a busy machine the import may be done before the kill
    if 0 < there < MANY:
        break
    subprocess.run("hashwood drop big.hw c && hashwood create big.hw c --dim 16 --metric l2", shell=True, capture_output=True)
    there = kill_an_import()
print("some of the points are there" if 0 < there < MANY else f"points there: {there}")
sh("hashwood check big.hw")
sh("hashwood import big.hw c many.jsonl --quiet && hashwood count big.hw c && hashwood check big.hw")

say("A backup, a mistake, and the database of before the mistake")
sh("hashwood backup big.hw big.backup --quiet && hashwood delete big.hw c --filter '{}' && hashwood count big.hw c")
sh("hashwood restore big.backup again.hw --quiet && hashwood count again.hw c && hashwood check again.hw")

say("A backup that was damaged is found out, and makes no database")
sh("""python3 -c 'f = open("big.backup", "r+b"); f.seek(100000); b = f.read(1); f.seek(100000); f.write(bytes([b[0] ^ 1]))'""")
sh("hashwood restore big.backup third.hw; test -e third.hw || echo there is no third.hw")
