"""tools/demo.sh runs to its end, unattended, on a small stand-in for the pictures."""

import gzip
import random
import struct
import subprocess

from _cli import *


def pictures(path, count, seed):
    rng = random.Random(seed)
    pixels = bytearray()
    for _ in range(count):
        base = rng.randrange(10) * 20
        pixels += bytes(base + rng.randrange(50) for _ in range(784))
    write(path, gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">III", count, 28, 28) + bytes(pixels), 1))


def test_demo():
    pictures("train-images-idx3-ubyte.gz", 3000, 1)
    pictures("t10k-images-idx3-ubyte.gz", 30, 2)
    labels = bytes(i % 10 for i in range(3000))
    write("train-labels-idx1-ubyte.gz", gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 3000) + labels))
    env = dict(os.environ, FASHION_MNIST=os.getcwd(), DEMO_FOLDER=os.path.join(os.getcwd(), "demo"),
               HASHWOOD=HASHWOOD)
    p = subprocess.run(["bash", os.path.join(SOURCE, "tools/demo.sh")], env=env, capture_output=True, text=True,
                       stdin=subprocess.DEVNULL)
    same(p.returncode, 0, p.stdout[-2000:] + p.stderr)
    for expected in ("Ankle boot", "My favourite boot", "Sandal", "plan:", "\nflat ", "\nhybrid ", "stays in"):
        check(expected in p.stdout, f"{expected!r} is missing in the output:\n{p.stdout}")
    same(p.stdout.count("My favourite boot"), 2, "the update is shown, and seen by the next search:")
    same(js("count", "demo/fashion.hw", "fashion"), {"count": 2999})
    run("check", "demo/fashion.hw")


if __name__ == "__main__":
    main(globals())
