#!/usr/bin/env bash
# hashwood beside its peers: builds what bench/bench.py needs under build/bench/bin, then runs it.
# faiss comes from Debian's source package, compiled for this very processor: the packaged library
# is for any x86-64 and its fast scan then runs emulated, twenty times slower.
#
#   bench/run.sh [options of bench.py]        for instance: --work A --parts curves
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/build/bench
mkdir -p "$out/bin"

faiss_source() {
    [ -d "$out/faiss" ] && return
    local apt=(-q -o "Dir::Etc::SourceList=$out/source.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::lists=$out/lists")
    mkdir -p "$out/lists/partial" "$out/download"
    # the archive and suite that the packages come from, with sources instead
    awk '/^URIs:/ {u = $2} /^Suites:/ {print "deb-src", u, $2, "main"; exit}
         /^deb / {print "deb-src", $2, $3, "main"; exit}' \
        /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null >"$out/source.list"
    apt-get "${apt[@]}" update
    (cd "$out/download" && apt-get "${apt[@]}" source --download-only faiss)
    mkdir "$out/faiss.part"
    tar -xf "$out"/download/faiss_*.orig.tar.* -C "$out/faiss.part" --strip-components=1
    mv "$out/faiss.part" "$out/faiss"
}

faiss_library() {
    [ -f "$out/faiss/build/faiss/libfaiss_avx2.a" ] && return
    echo "compiling faiss for this processor (some minutes)"
    cmake -S "$out/faiss" -B "$out/faiss/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_CXX_FLAGS="-O3 -march=native" -DFAISS_OPT_LEVEL=avx2 -DFAISS_ENABLE_GPU=OFF \
        -DFAISS_ENABLE_PYTHON=OFF -DBUILD_TESTING=OFF -DBUILD_SHARED_LIBS=OFF >/dev/null
    ninja -C "$out/faiss/build" faiss_avx2 >/dev/null
}

newer() { # made file, its sources: whether none of them, nor what all depend on, is younger
    local made=$1 source
    for source in "${@:2}" bench/run.sh include/hashwood/hashwood.h; do
        [ "$made" -nt "$source" ] || return 1
    done
}

faiss_source
faiss_library
# The library is that of the build folder around $out/bin, wherever it is moved to.
common=(-O3 -march=native -Iinclude -Lbuild -lhashwood "-Wl,-rpath,\$ORIGIN/../..")
if ! newer "$out/bin/peers" bench/peers.cpp; then
    echo "compiling bench/peers.cpp"
    g++ -std=c++17 -fopenmp -Wno-ignored-attributes "-I$out/faiss" bench/peers.cpp \
        "$out/faiss/build/faiss/libfaiss_avx2.a" "${common[@]}" -lopenblas -llapack \
        -o "$out/bin/peers"
fi
if ! newer "$out/bin/uses" bench/uses.c bench/common.h; then
    gcc -std=c11 -D_GNU_SOURCE bench/uses.c "${common[@]}" -lpthread -lm -o "$out/bin/uses"
fi
if ! newer "$out/bin/make_data" bench/make_data.c; then
    cmake -S . -B "$out/cmake" -G Ninja -DCMAKE_BUILD_TYPE=Release -DHASHWOOD_BENCH=ON >/dev/null
    ninja -C "$out/cmake" make_data >/dev/null
    cp "$out/cmake/bench/make_data" "$out/bin/make_data"
fi
# Debian's Python, which the packages of deps.sh are for
exec /usr/bin/python3 bench/bench.py "$@"
