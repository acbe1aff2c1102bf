#!/bin/sh
# The environment .venv, by uv: `make setup`, or `sh tools/setup.sh` where there is no make.
#
# Installs the versions of requirements.lock and this project, and then writes a stamp. A finished
# set-up is looked at and left alone, an outdated one is brought up to date, and an unfinished or
# damaged one is made anew, out of uv's cache in half a minute.
#
# PYTHON=3.12 takes that Python. MMCV=compiled compiles mmcv with all of its operators,
# MMCV=torchvision takes torchvision's again. Both stay until they are given again, or `make clean`.
set -eu
cd "$(dirname "$0")/.."
unset UV_SYSTEM_PYTHON UV_TARGET UV_PREFIX # they would install elsewhere

NEEDED_GB=9 # measured: 6.1 for .venv, which shares its files with uv's cache, 2.5 while unpacking

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# What was asked for last.
recorded() {
    sed -n "s/^$1: //p" .uv/asked 2>/dev/null || true
}

# uv, if there is none that is new enough: brought here from the package index.
provide_uv() {
    PATH="$PWD/.uv/bin:$PATH"
    needed=$(sed -n 's/^required-version = ">=\(.*\)"/\1/p' pyproject.toml)
    version=$(uv --version 2>/dev/null | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$needed" "$version" | sort -V | head -n 1)" != "$needed" ] || return 0
    python3 -m pip install --quiet --root-user-action=ignore --upgrade --target .uv \
        "uv>=$needed" || fail \
        "there is no uv $needed or newer, and python3 -m pip cannot bring it: see above; check the" \
        "network, or install uv (https://docs.astral.sh/uv) or pip (Debian: apt install python3-pip)"
    hash -r
}

pip() {
    uv pip "$@" --python .venv/bin/python
}

# Every package as name-version, with a word where a file is missing or has another size than the
# wheel's list says.
packages() {
    .venv/bin/python -I - <<'EOF'
import csv
import sysconfig
from os import stat
from pathlib import Path

packages = sysconfig.get_path("purelib")

def is_whole(folder):
    try:
        with open(folder / "RECORD", newline="") as file:
            sizes = [(path, int(size)) for path, _, size in csv.reader(file) if size]
        return all(stat(f"{packages}/{path}").st_size == size for path, size in sizes)
    except OSError:
        return False

for folder in Path(packages).glob("*.dist-info"):
    print(folder.stem if is_whole(folder) else f"{folder.stem} damaged")
EOF
}

# mmcv with all operators, against the newest torch that its C++17 compiles with, in a cache of its
# own: uv knows a build by its version alone and would give it to others.
compile_mmcv() {
    pip install --compile-bytecode 'setuptools<82' wheel ninja psutil packaging \
        torch==2.11.0 torchvision==0.26.0
    echo "compiling mmcv: about 8 minutes on 2 cores, unless it is in the cache"
    built_for=$(
        .venv/bin/python -c 'import sys, torch; from torch import cuda
print(sys.implementation.cache_tag, torch.__version__)
print(cuda.is_available() and cuda.get_device_capability())'
        nvcc --version 2>/dev/null || true
        echo "${FORCE_CUDA:-} ${TORCH_CUDA_ARCH_LIST:-}"
    )
    pip uninstall --quiet onedl-mmcv # since to reinstall it would compile it again
    export CFLAGS="${CFLAGS:-} -g0" MAX_JOBS="${MAX_JOBS:-$(nproc)}"
    pip install --no-deps --no-build-isolation \
        --cache-dir "$(uv cache dir)/mmcv/$(echo "$built_for" | sha256sum | cut -c -16)" \
        "$(grep -o '^onedl-mmcv==[0-9.]*' requirements.lock)"
    .venv/bin/python -c 'from mmcv.ops import get_compiling_cuda_version
print("CUDA that mmcv is compiled for:", get_compiling_cuda_version())'
}

check_disk() {
    free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024 / 1024) }')
    [ -d .venv ] || [ "$free" -ge "$NEEDED_GB" ] || fail \
        "set-up needs $NEEDED_GB GB free on the disk of $PWD, which has $free GB:" \
        "free some space, or clone onto another disk"
}

set_up() {
    if [ -z "$keep" ]; then
        echo "[1/3] Python $PYTHON in .venv"
        uv venv --quiet --clear --no-project --python "$PYTHON" .venv
    fi
    echo "[2/3] packages: about 2.5 GB to download the first time, then half a minute"
    pip sync --require-hashes --compile-bytecode requirements.lock
    [ "$MMCV" = torchvision ] || compile_mmcv
    echo "[3/3] this project, editable"
    pip install --no-deps --no-build-isolation --editable .
    .venv/bin/python -c 'import cv2, mmcv.ops, selfpatch'
}

[ "$(uname)" = Linux ] || fail "this is $(uname); set-up and its locked versions are for Linux"
mkdir -p .uv
exec 9>>.uv/lock
flock -n 9 || case $? in
    1) echo "another set-up works in this folder: waiting for it" && flock 9 ;;
    *) echo "this folder cannot be locked, see above: call no second set-up beside this one" >&2 ;;
esac

[ -n "${PYTHON:=$(recorded PYTHON)}" ] || PYTHON='>=3.11,<3.15'
[ -n "${MMCV:=$(recorded MMCV)}" ] || MMCV=torchvision
case $MMCV in torchvision | compiled) ;; *) fail "MMCV=$MMCV; give torchvision or compiled" ;; esac
asked="PYTHON: $PYTHON
MMCV: $MMCV
folder: $PWD"
inputs="requirements.lock setup.cfg pyproject.toml tools/setup.sh tools/build_backend.py
    selfpatch/hosts/startup.py"
stamp="$asked
inputs: $(cat $inputs | sha256sum)"
keep='' damaged=''
if [ "$(head -n 3 .venv/setup.stamp 2>/dev/null)" = "$asked" ] && now=$(packages 2>/dev/null); then
    found=$(echo "$now" | grep -vxFf - .venv/setup.packages 2>/dev/null || true)
    if [ -n "$found" ]; then
        echo "damaged, so set up anew:" $found
        damaged=$(echo "$now" | sed -n 's/-.* damaged$//p')
    elif [ "$(cat .venv/setup.stamp)" = "$stamp" ]; then
        echo "set-up is current" && exit
    else
        keep=yes
    fi
fi

check_disk
printf '%s\n' "$asked" >.uv/asked
provide_uv
trap 'exit 130' INT TERM
trap 'echo "set-up did not come to its end: make setup goes on from here" >&2' EXIT
[ -z "$damaged" ] || uv cache clean --quiet $damaged # files in .venv are those in the cache
rm -f .venv/setup.stamp
set_up
packages >.venv/setup.packages
printf '%s\n' "$stamp" >.venv/setup.stamp
trap - EXIT
