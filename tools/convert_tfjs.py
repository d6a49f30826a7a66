#!/usr/bin/env python3
"""Turns a convolutional network in TensorFlow.js' graph format into ONNX, for `hashwood embed --model`.

    npm install --ignore-scripts --legacy-peer-deps --omit=peer nsfwjs@4.4.0
    tools/convert_tfjs.py node_modules/nsfwjs/dist/models/mobilenet_v2_mid mobilenet.onnx

FOLDER holds model.json with its weight files, or both wrapped as JavaScript modules (NAME.min.js with the
weights in base64; needs node), as the npm package `nsfwjs` has them. That package exists to detect adult
content; what is taken here is the general backbone its detector stands on, MobileNetV2 pre-trained on
ImageNet, up to its pooled features: the last layers, which detect, are left out.

Writes OUT.onnx (input: pictures as NHWC floats from 0 to 1; output: features of length 1) and OUT.onnx.json,
the card. Needs python3-onnx and python3-numpy.
"""
import argparse
import base64
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
UNWRAP = """const m = require(require('path').resolve(process.argv[1]));
process.stdout.write(typeof m === 'string' ? m : JSON.stringify(m.default ?? m));"""


def load_module(path):
    """What a wrapped file exports: the model as JSON text, or weights in base64."""
    return subprocess.run(["node", "-e", UNWRAP, str(path)], check=True, stdout=subprocess.PIPE).stdout


def load(folder):
    """The graph's nodes and its weights by name."""
    plain = folder / "model.json"
    model = json.loads(plain.read_bytes() if plain.exists() else load_module(folder / "model.min.js"))
    weights = {}
    for group in model["weightsManifest"]:
        data = b""
        for name in group["paths"]:
            file = folder / name
            data += file.read_bytes() if file.exists() else base64.b64decode(load_module(folder / f"{name}.min.js"))
        at = 0
        for w in group["weights"]:
            weights[w["name"]], at = read_weight(w, data, at)
    return model["modelTopology"]["node"], weights


def read_weight(w, data, at):
    quantised = w.get("quantization")
    kind = np.dtype(quantised["dtype"] if quantised else w["dtype"])
    count = int(np.prod(w["shape"], dtype=np.int64))
    values = np.frombuffer(data, kind, count, at).reshape(w["shape"])
    if quantised:
        values = values.astype(np.float32) * np.float32(quantised["scale"]) + np.float32(quantised["min"])
    return values, at + count * kind.itemsize


class Converter:
    """Goes along the graph's nodes, which come in the order they are computed. Values between them are NCHW."""

    def __init__(self, nodes, weights):
        self.nodes, self.weights = nodes, weights
        self.made, self.constants = [], []
        self.known = {}  # name in the graph -> name in ONNX

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, op, inputs, name, **attributes):
        self.made.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def value(self, name):
        if name in self.known:
            return self.known[name]
        self.known[name] = self.constant(name, self.weights[name].astype(np.float32))
        return self.known[name]

    def convolution(self, node, depthwise):
        name, (x, w, bias) = node["name"], node["input"]
        attributes = node["attr"]
        kernel = self.weights[w]  # HWIO, depthwise HWCM
        groups = kernel.shape[2] if depthwise else 1
        kernel = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2]) if depthwise else kernel.transpose(3, 2, 0, 1)
        same = text(attributes["padding"]["s"]) == "SAME"
        strides = [int(i) for i in attributes["strides"]["list"]["i"]][1:3]
        dilations = [int(i) for i in attributes["dilations"]["list"]["i"]][1:3]
        out = self.add("Conv", [self.value(x), self.constant(w + ":oihw", kernel), self.value(bias)], name + ":conv",
                       auto_pad="SAME_UPPER" if same else "VALID", strides=strides, dilations=dilations, group=groups,
                       kernel_shape=list(kernel.shape[2:]))
        fused = [text(s) for s in attributes["fused_ops"]["list"]["s"]]
        if fused == ["BiasAdd", "Relu6"]:
            low, high = self.constant(name + ":low", np.float32(0)), self.constant(name + ":high", np.float32(6))
            out = self.add("Clip", [out, low, high], name)
        elif fused == ["BiasAdd", "Relu"]:
            out = self.add("Relu", [out], name)
        elif fused != ["BiasAdd"]:
            sys.exit(f"{name}: fused operations {fused} are not known")
        return out

    def convert(self, node):
        """ONNX name of the node's result; None at the pooled features, where we stop."""
        op, name, inputs = node["op"], node["name"], node.get("input", [])
        if op == "Placeholder":
            return self.add("Transpose", ["input"], "input:nchw", perm=[0, 3, 1, 2])
        if op in ("Mul", "Sub", "AddV2"):
            return self.add({"AddV2": "Add"}.get(op, op), [self.value(i) for i in inputs], name)
        if op in ("_FusedConv2D", "FusedDepthwiseConv2dNative"):
            return self.convolution(node, op.startswith("FusedDepthwise"))
        if op in ("AvgPool", "Mean"):
            pooled = self.add("GlobalAveragePool", [self.value(inputs[0])], "pooled")
            flat = self.add("Flatten", [pooled], "features", axis=1)
            self.add("LpNormalization", [flat], "embedding", axis=1, p=2)
            return None
        sys.exit(f"{name}: operation {op} is not known")

    def run(self):
        for node in self.nodes:
            if node["op"] == "Const":
                continue
            made = self.convert(node)
            if made is None:
                return
            self.known[node["name"]] = made
        sys.exit("the graph has no pooled features")


def text(b64):
    return base64.b64decode(b64).decode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    nodes, weights = load(args.folder)
    shape = next(n for n in nodes if n["op"] == "Placeholder")["attr"]["shape"]["shape"]["dim"]
    height, width = int(shape[1]["size"]), int(shape[2]["size"])
    converter = Converter(nodes, weights)
    converter.run()
    features = next(c for c in reversed(converter.constants) if c.name.endswith(":oihw")).dims[0]
    graph = helper.make_graph(converter.made, "backbone",
                              [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", height, width, 3])],
                              [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", features])],
                              converter.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="hashwood")
    model.ir_version = 7
    onnx.checker.check_model(model)
    onnx.save(model, str(args.out))
    card = {"about": "MobileNetV2 backbone, pooled features", "media": "image", "layout": "NHWC", "fit": "letterbox"}
    pathlib.Path(f"{args.out}.json").write_text(json.dumps(card, indent=2) + "\n")
    print(f"{args.out}: {width} x {height} pixels in, {features} floats out")


if __name__ == "__main__":
    main()
