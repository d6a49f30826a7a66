"""Models for tests of `hashwood embed`, and the runtime they need."""
import glob
import json
import os
import subprocess
import sys

import _packages
from _cli import SOURCE, Failure, run

_packages.python("onnxruntime", "onnx", "numpy", "pillow")
import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402

LIBRARY = glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so*"))[0]
ENV = {"HASHWOOD_ONNXRUNTIME": LIBRARY}


def tool(name, *args, python=sys.executable):
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if "packages" in p))
    p = subprocess.run([python, os.path.join(SOURCE, "tools", name), *args], env=env, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if p.returncode:
        raise Failure(p.stdout)


def stored(db, *names):
    """Vectors by path."""
    run("export", db, "c", f"{db}.jsonl")
    with open(f"{db}.jsonl") as f:
        return {row["payload"]["path"]: np.array(row["vector"], np.float32) for row in map(json.loads, f)}
