"""Runs the built command as a user would, in a folder of its own. HASHWOOD names the command."""

import json
import math
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import traceback

HASHWOOD = os.path.abspath(os.environ.get("HASHWOOD", "build/hashwood"))
SOURCE = os.environ.get("HASHWOOD_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))


class Failure(Exception):
    pass


def seed():
    """What random tests start from, printed: 1, so that a run repeats, unless HASHWOOD_SEED is a number or "random"."""
    given = os.environ.get("HASHWOOD_SEED") or "1"
    chosen = random.randrange(10**9) if given == "random" else int(given)
    print("seed", chosen)
    return chosen


def run(*args, code=0, stdin=None, env=None, timeout=300):
    """Runs `hashwood args` and checks the exit code (None: any); gives the process with stdout and stderr."""
    full_env = dict(os.environ, **(env or {}))
    p = subprocess.run([HASHWOOD, *map(str, args)], input=stdin, text=True, timeout=timeout,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=full_env)
    if code is not None and p.returncode != code:
        raise Failure(f"hashwood {' '.join(map(str, args))}\nexit code {p.returncode}, expected "
                      f"{code}\n{p.stdout}{p.stderr}")
    return p


def out(*args, **kwargs):
    return run(*args, **kwargs).stdout


def js(*args, **kwargs):
    """The JSON that a command prints with --json."""
    return json.loads(out(*args, "--json", **kwargs))


def fails(*args, code=1, says=(), **kwargs):
    """Expects failure with one clear line that contains each of `says`."""
    p = run(*args, code=code, **kwargs)
    for text in [says] if isinstance(says, str) else says:
        check(text in p.stderr, f"hashwood {' '.join(map(str, args))}\nsaid: {p.stderr}expected: {text}")
    check(p.stderr.startswith("hashwood: "), f"unexpected message: {p.stderr}")
    return p


def check(condition, message="check failed"):
    if not condition:
        raise Failure(message)


def same(found, expected, what=""):
    check(found == expected, f"{what} found {found!r}, expected {expected!r}")


def wait_until(holds, what, seconds=60):
    """Waits for holds() to be true. The machine may be slow: nothing is concluded from the time that passes."""
    end = time.monotonic() + seconds
    while not holds():
        check(time.monotonic() < end, f"{what}: not within {seconds} s")
        time.sleep(0.02)


def write(path, data):
    with open(path, "wb" if isinstance(data, bytes) else "w") as f:
        f.write(data)
    return path


def write_jsonl(path, rows):
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def vectors(count, dim, seed=1):
    """Repeatable vectors of exactly representable floats."""
    rng = random.Random(seed)
    return [[rng.randint(-512, 512) / 64 for _ in range(dim)] for _ in range(count)]


def npy(rows):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }\n" % (len(rows), len(rows[0]))
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
            b"".join(struct.pack("<%df" % len(r), *r) for r in rows))


def fvecs(rows):
    return b"".join(struct.pack("<I%df" % len(r), len(r), *r) for r in rows)


def ivecs(rows):
    return b"".join(struct.pack("<I%di" % len(r), len(r), *r) for r in rows)


def idx(rows):
    return (bytes([0, 0, 8, 2]) + struct.pack(">II", len(rows), len(rows[0])) +
            b"".join(bytes(r) for r in rows))


def nearest(rows, query, k):
    """Row numbers of the k nearest by l2, ties by number."""
    return sorted(range(len(rows)), key=lambda i: (math.dist(rows[i], query), i))[:k]


def main(namespace):
    """Runs every function test_* of a script in a fresh folder each; exit code 1 if any failed."""
    names = [n for n in namespace if n.startswith("test_")]
    only = sys.argv[1:]
    failed = 0
    for name in names:
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory(prefix="hashwood-e2e-") as folder:
            before = os.getcwd()
            os.chdir(folder)
            try:
                namespace[name]()
                print("ok     ", name)
            except Exception as e:  # any failure of one test must not hide the others
                failed += 1
                print("FAILED ", name)
                print("   ", str(e) if isinstance(e, Failure) else traceback.format_exc())
            finally:
                os.chdir(before)
    sys.exit(1 if failed else 0)
