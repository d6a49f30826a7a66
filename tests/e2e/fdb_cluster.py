"""Several processes write and read one database in FoundationDB at once, while they are killed and the cluster is
disturbed. Afterwards the database is sound, holds what the acknowledged calls left, and every answer that
was given was right for some moment between its question and its end (_history.py).

Over the stand-in, whose cluster several processes share through a file, always; over a real cluster when
HASHWOOD_TEST_FDB names its file:

    HASHWOOD_TEST_FDB            the cluster file;  HASHWOOD_FDB_LIBRARY: libfdb_c.so, where it is not installed
    HASHWOOD_TEST_FDB_SECONDS    how long each of the tests goes on (8)
    HASHWOOD_TEST_FDB_DISTURB    a command that is run every ten seconds, say to restart a server process;
                                 {n} in it is 0, 1, 2 ...
"""

import json
import os
import random
import shlex
import signal
import subprocess
import time

from _cli import *
from _history import History

SECONDS = float(os.environ.get("HASHWOOD_TEST_FDB_SECONDS", 8))
BUILD = os.environ["HASHWOOD_BUILD"]
CONFIG = {"dim": 2, "metric": "l2", "index": {"kind": "hybrid", "flat_below": 40, "leaf_size": 16}}


class Crowd:
    """Worker processes that are replaced when they are killed."""

    def __init__(self, database, count, env):
        self.database, self.env, self.random = database, env, random.Random(count)
        self.until = time.monotonic() + SECONDS
        self.number, self.killed, self.exits = 0, 0, []
        self.workers = [self.start() for _ in range(count)]

    def start(self):
        left = max(1, round(self.until - time.monotonic()))
        self.number += 1
        return subprocess.Popen([os.path.join(BUILD, "tests", "fdb_worker"), self.database, str(self.number), "1",
                                 str(left), f"log.{self.number}"], env=self.env, stderr=open("errors", "a"))

    def run(self, kill_every, disturb):
        next_kill, next_blow, blows = time.monotonic() + kill_every, time.monotonic() + 5, 0
        while time.monotonic() < self.until:
            time.sleep(0.05)
            if kill_every and time.monotonic() > next_kill and self.number < 250:
                at = self.random.randrange(len(self.workers))
                self.workers[at].send_signal(signal.SIGKILL)
                self.workers[at].wait()
                self.workers[at] = self.start()
                self.killed += 1
                next_kill = time.monotonic() + kill_every * self.random.uniform(0.5, 1.5)
            if disturb and time.monotonic() > next_blow:
                subprocess.run(shlex.split(disturb.replace("{n}", str(blows))), stdout=subprocess.DEVNULL)
                blows += 1
                next_blow = time.monotonic() + 10
        for worker in self.workers:
            same(worker.wait(timeout=120), 0, open("errors").read())
        return blows


def crowd(database, env, count, kill_every, disturb=None):
    run("create", database, "things", "--config", json.dumps(CONFIG), env=env)
    workers = Crowd(database, count, env)
    blows = workers.run(kill_every, disturb)
    history = History({n: open(f"log.{n}").read() for n in range(1, workers.number + 1)
                       if os.path.exists(f"log.{n}")})
    found = {}
    for point in js("scroll", database, "things", "--limit", 10000, "--with", "vector", env=env)["points"]:
        check(point["id"] not in found, f"point {point['id']} is there twice")
        found[point["id"]] = int(point["vector"][0])
    history.check_reads()
    history.check_final(found)
    same(js("count", database, "things", env=env), {"count": len(found)})
    run("check", database, env=env)
    print(f"         {count} processes, {workers.killed} killed, {blows} disturbances: "
          + ", ".join(f"{n} {what}" for what, n in sorted(history.outcomes.items())))
    check(not history.problems, "\n".join(history.problems[:10]))
    for asked in ("get", "search", "count"):
        same(history.outcomes[asked + " conflict"], 0, asked)
    check(history.outcomes["upsert ok"] > 20, "hardly anything was written")


def on_standin(faults):
    write("fdb.cluster", b"standin_log:x@127.0.0.1:1\n")
    env = dict(os.environ, HASHWOOD_FDB_LIBRARY=os.path.join(BUILD, "tests", "libfdb_c_standin.so"),
               HASHWOOD_STANDIN_FAULTS=faults, HASHWOOD_STANDIN_SEED=str(seed()))
    return "fdb:" + os.path.abspath("fdb.cluster"), env


def judged(log, found):
    history = History({1: log})
    history.check_reads()
    history.check_final(found)
    return history.problems


def test_false_histories_are_found():
    """The judge itself: each of these differs from a sound history in one thing."""
    log = ("B 0 10 upsert 1 2\nE 0 20 ok\nB 1 30 upsert 2\nE 1 40 ok\nB 2 50 get 1 2 3\n"
           "E 2 60 ok 1=65536:1 2=65537:2\nB 3 70 count\nE 3 80 ok 2\nB 4 90 delete 1\n")
    same(judged(log, {1: 65536, 2: 65537}), [])
    same(judged(log, {2: 65537}), [])  # the delete was never answered
    for lost in ({1: 65536}, {1: 65536, 2: 65536}, {1: 65536, 2: 65537, 3: 1}):
        check(judged(log, lost), f"{lost} was not found out")
    for right, wrong in (("2=65537:2", "2=65536:2"), ("2=65537:2", ""), ("2=65537:2", "2=65537:1"),
                         ("80 ok 2", "80 ok 3"), ("1=65536:1 2", "1=65536:1 3=65537:3 2"),
                         ("E 3 80 ok 2", "E 3 80 i/o error")):
        check(judged(log.replace(right, wrong), {1: 65536, 2: 65537}), f"{wrong} was not found out")


def test_two_processes_over_the_standin():
    crowd(*on_standin(""), 2, 1)


def test_eight_processes_and_faults_over_the_standin():
    crowd(*on_standin("conflict=.02,unknown=.03,timeout=.02,old=.01,behind=.01,throttle=.01,short=.1"), 8, 1)


def on_cluster(count):
    cluster = os.environ.get("HASHWOOD_TEST_FDB")
    if not cluster:
        print("         skipped: HASHWOOD_TEST_FDB names no cluster")
        return
    prefix = f"test-crowd-{os.getpid()}-{count}"
    crowd(f"fdb:{cluster}?prefix={prefix}", dict(os.environ), count, 2,
          os.environ.get("HASHWOOD_TEST_FDB_DISTURB"))


def test_two_processes_over_a_cluster():
    on_cluster(2)


def test_eight_processes_over_a_cluster():
    on_cluster(8)


main(globals())
