"""What C computes of a picture is what PyTorch computes."""
import json
import os
import subprocess
import sys

import _packages

PYTHONS = [p for p in (sys.executable, "/usr/bin/python3") if os.path.exists(p) and subprocess.run(
    [p, "-c", "import torch, torchvision"], stderr=subprocess.DEVNULL).returncode == 0]
if not PYTHONS:
    _packages.skip("torch and torchvision are not installed (Debian: python3-torch, python3-torchvision)")

from _cli import SOURCE, check, js, main, run, same  # noqa: E402
from _models import ENV, np, onnxruntime, stored, tool  # noqa: E402
from embed import pictures  # noqa: E402


def reference(model, path):
    """What Python's own ONNX Runtime gives for a picture, fitted by PIL as the card says: the shorter side to
    256, the middle 224."""
    from PIL import Image
    image = Image.open(path).convert("RGB")
    by = 224 * 256 / 224 / min(image.size)
    image = image.resize([round(side * by) for side in image.size], Image.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    crop = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)[None] / 255
    return model.run(None, {"input": crop})[0][0]


def test_vectors_are_those_of_pytorch():
    """resnet18 with random weights, as no weights come in packages: what is compared is the way of a picture through
    export, decoding, fitting and the network."""
    tool("export_resnet.py", "resnet18", "resnet.onnx", "--weights", "random", python=PYTHONS[0])
    pictures()
    run("embed", "r.hw", "c", "pics", "--model", "resnet.onnx", "--create", env=ENV)
    vectors = stored("r.hw")
    same(len(vectors), 24)
    model = onnxruntime.InferenceSession("resnet.onnx", providers=["CPUExecutionProvider"])
    for path, v in vectors.items():
        likeness = float(v @ reference(model, path))
        check(likeness > 0.999, f"{path}: cosine {likeness}")
    code = ("import json, sys, numpy, torch; sys.argv = ['x']; sys.path.insert(0, %r)\n"
            "import export_resnet as e; torch.manual_seed(1)\n"
            "m = e.Embedder(e.backbone_of('resnet18', 'random')).eval()\n"
            "x = torch.linspace(0, 1, 224 * 224 * 3).view(1, 224, 224, 3)\n"
            "print(json.dumps(m(x).detach().numpy()[0].tolist()))" % os.path.join(SOURCE, "tools"))
    torchs = np.array(json.loads(subprocess.run([PYTHONS[0], "-c", code], stdout=subprocess.PIPE, check=True).stdout), np.float32)
    ramp = np.linspace(0, 1, 224 * 224 * 3, dtype=np.float32).reshape(1, 224, 224, 3)
    check(float(torchs @ model.run(None, {"input": ramp})[0][0]) > 0.999, "the exported network is PyTorch's")
    hits = js("embed", "r.hw", "c", "--model", "resnet.onnx", "--search", "pics/red/stripes1.png", "-k", "1", env=ENV)
    check(hits[0]["score"] > 0.999)


if __name__ == "__main__":
    main(globals())
