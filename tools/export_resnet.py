#!/usr/bin/env python3
"""Exports a PyTorch image model as ONNX, for `hashwood embed --model`.

    tools/export_resnet.py resnet18 resnet18.onnx                         pre-trained weights, downloaded
    tools/export_resnet.py resnet50 mine.onnx --weights checkpoint.pth    weights of your own
    tools/export_resnet.py resnet18 test.onnx --weights random            to try things out

MODEL is any name torchvision knows, or timm where it is installed. The classifier is taken off: what comes out
are the pooled features. Normalisation, the order of channels and the scaling to length 1 are part of the
graph, so the input is a picture as NHWC floats from 0 to 1 and nothing can be forgotten outside. Writes
OUT.onnx.json as well, the card that says how pictures are fitted: the shorter side to 256/224 of the size, then
the middle, as these models are trained and tested.
"""
import argparse
import json
import pathlib
import sys

import torch

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which all of them are trained with
HEADS = ("fc", "classifier", "head", "heads")


class Embedder(torch.nn.Module):
    """Picture, NHWC from 0 to 1 -> features of length 1."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))

    def forward(self, pictures):
        x = (pictures.permute(0, 3, 1, 2) - self.mean) / self.deviation
        features = self.backbone(x).flatten(1)
        return features / features.norm(dim=1, keepdim=True).clamp_min(1e-12)


def backbone_of(name, weights):
    """The model without its classifier."""
    try:
        import timm
    except ImportError:
        timm = None
    import torchvision.models as known
    pretrained = weights is None
    if hasattr(known, name):
        model = getattr(known, name)(weights="DEFAULT" if pretrained else None)
    elif timm and name in timm.list_models():
        model = timm.create_model(name, pretrained=pretrained, num_classes=0)
    else:
        sys.exit(f"neither torchvision nor timm has a model called {name}")
    if weights not in (None, "random"):
        state = torch.load(weights, map_location="cpu")
        model.load_state_dict(state.get("state_dict", state), strict=False)
    for head in HEADS:
        if hasattr(model, head):
            setattr(model, head, torch.nn.Identity())
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--weights", metavar="FILE", help="a state dict, or `random`; default: pre-trained ones")
    parser.add_argument("--size", type=int, default=224, help="pixels a side (default 224)")
    parser.add_argument("--seed", type=int, default=1, help="for random weights")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    embedder = Embedder(backbone_of(args.model, args.weights)).eval()
    example = torch.rand(2, args.size, args.size, 3)
    with torch.no_grad():
        dim = embedder(example).shape[1]
    torch.onnx.export(embedder, example, str(args.out), opset_version=13, input_names=["input"],
                      output_names=["embedding"], dynamic_axes={"input": {0: "batch"}, "embedding": {0: "batch"}})
    card = {"about": f"{args.model}, pooled features", "media": "image", "layout": "NHWC", "fit": "crop",
            "crop_scale": round(256 / 224, 4)}
    pathlib.Path(f"{args.out}.json").write_text(json.dumps(card, indent=2) + "\n")
    print(f"{args.out}: {args.size} x {args.size} pixels in, {dim} floats out")


if __name__ == "__main__":
    main()
