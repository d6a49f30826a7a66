"""The pre-trained network of two showcases, MobileNetV2, and the runtime that runs it.

Both come from packages: the network from npm's `nsfwjs`, the runtime from PyPI's `onnxruntime`. That npm package exists to
detect adult content; what is taken from it is the general backbone its detector stands on, trained on ImageNet.
"""
import glob
import os


def network(show):
    """Downloads what is missing; returns the options that make `hashwood embed` use the network."""
    packages = show.pip("onnxruntime", "onnx", "numpy")
    library = glob.glob(os.path.join(packages, "onnxruntime", "capi", "libonnxruntime.so*"))[0]
    modules = show.npm("nsfwjs@4.4.0", flags=("--legacy-peer-deps", "--omit=peer"))
    model = show.file("mobilenet.onnx")
    show.python("tools/convert_tfjs.py", os.path.join(modules, "nsfwjs/dist/models/mobilenet_v2_mid"), model, packages=packages)
    show.say(f"$ export HASHWOOD_ONNXRUNTIME={library}")
    show.env["HASHWOOD_ONNXRUNTIME"] = library
    return ("--model", model)
