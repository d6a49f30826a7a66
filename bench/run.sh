#!/usr/bin/env bash
# Recall, speed and size on Fashion-MNIST (60,000 x 784, l2), measured through the public API on a
# database that was closed and opened again. Options are passed on to `hashwood bench`.
set -euo pipefail
cd "$(dirname "$0")/.."

pictures=/usr/share/datasets/fashion-mnist
[ -f "$pictures/train-images-idx3-ubyte.gz" ] || tools/deps.sh demo
exec build/hashwood bench --metric l2 --recall 0.90,0.95,0.98,0.99 \
    --base "$pictures/train-images-idx3-ubyte.gz" \
    --queries "$pictures/t10k-images-idx3-ubyte.gz" "$@"
