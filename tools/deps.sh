#!/usr/bin/env bash
# Installs the Debian packages that a task needs and that are missing; says so first. Does nothing,
# fast, when all are there. deps.sh build|demo|page|check|bench|fuzz|showcase-NAME ...
set -euo pipefail

packages_of() {
    case $1 in
    build)
        echo cmake ninja-build gcc g++ libc6-dev pkg-config python3 libcmocka-dev \
            liblmdb-dev libopenblas-dev liblapacke-dev libroaring-dev libxxhash-dev libzstd-dev \
            libsimdjson-dev zlib1g-dev libedit-dev libhdf5-dev \
            libmicrohttpd-dev libyaml-dev libgnutls28-dev \
            libjpeg62-turbo-dev libpng-dev libwebp-dev libexif-dev libsndfile1-dev \
            libsamplerate0-dev libkissfft-dev ;;
    demo) echo dataset-fashion-mnist ;;
    page) echo chromium ;; # its tests, which want node and npm as well
    check) echo clang-format clang-tidy cppcheck python3 git ;;
    bench)
        echo libhnswlib-dev libfaiss-dev libopenblas-dev python3-numpy python3-scipy \
            python3-matplotlib python3-h5py npm ;;
    showcase-*)
        echo python3-numpy python3-pil fonts-dejavu-core
        case ${1#showcase-} in
        fashion) echo dataset-fashion-mnist ;;
        words) echo npm python3-pip ;;
        stamps | duplicates) echo tuxpaint-stamps-default python3-pip npm ;;
        sounds) echo hydrogen-drumkits sonic-pi-samples klettres-data ;;
        films) echo r-base-core r-cran-dslabs ;;
        *) echo "deps.sh: no such showcase: $1" >&2 && exit 2 ;;
        esac ;;
    fuzz) echo clang libclang-rt-14-dev ;;
    *) echo "deps.sh: unknown task: $1" >&2 && exit 2 ;;
    esac
}

wanted=()
for task in "${@:-build}"; do
    packages=$(packages_of "$task")
    # shellcheck disable=SC2206 # one word each
    wanted+=($packages)
done

if ! command -v dpkg-query >/dev/null; then
    echo "This is not Debian; please install what these packages hold: ${wanted[*]}" >&2
    exit 0
fi

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null |
    awk '$2 == "installed" {print $1}')
# A node that did not come from Debian brings npm along and conflicts with Debian's package of that name; what
# counts for such packages is the command.
provided() {
    case $1 in
    npm) command -v npm ;;
    nodejs) command -v node || command -v nodejs ;;
    python3-pip) python3 -m pip --version ;;
    *) false ;;
    esac >/dev/null 2>&1
}

missing=()
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || provided "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Debian packages to be installed: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Please install them as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=900)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"
