"""A pre-trained network beats descriptors without one on real pictures: the stamps of Tux Paint."""
import os

import _packages

STAMPS = "/usr/share/tuxpaint/stamps"
if not os.path.isdir(STAMPS):
    _packages.skip("the package tuxpaint-stamps-default is not installed")

from _cli import check, main, run  # noqa: E402
from _models import ENV, np, stored, tool  # noqa: E402


def precision_at_1(by_path):
    """Share of pictures whose nearest other one lies in the same top folder."""
    paths = sorted(p for p in by_path if not p.endswith(("_mirror.png", "_flip.png")) and "/symbols/" not in p)
    rows = np.stack([by_path[p] for p in paths])
    labels = np.array([p[len(STAMPS) + 1:].split("/")[0] for p in paths])
    likeness = rows @ rows.T
    np.fill_diagonal(likeness, -9)
    return float((labels[likeness.argmax(1)] == labels).mean())


def test_a_pretrained_network_beats_pixels_on_stamps():
    folder = _packages.node("nsfwjs@4.4.0", "--legacy-peer-deps", "--omit=peer")
    tool("convert_tfjs.py", os.path.join(folder, "node_modules/nsfwjs/dist/models/mobilenet_v2_mid"), "mobilenet.onnx")
    found = {}
    for name, option in (("pixels", ["--features", "pixels"]), ("network", ["--model", "mobilenet.onnx"])):
        run("embed", f"{name}.hw", "c", STAMPS, *option, "--create", "--no-build", "--thumbnail", "0", env=ENV, timeout=900)
        found[name] = precision_at_1(stored(f"{name}.hw"))
    print(f"precision@1: {found}")
    check(found["network"] > found["pixels"] + 0.15, str(found))


if __name__ == "__main__":
    main(globals())
