#!/bin/sh
# The environment .venv, by uv: `make setup`, or `sh tools/setup.sh` where there is no make.
#
# Installs the versions of requirements.lock and this project, and then writes a stamp. A finished
# set-up is looked at and left alone, an outdated one is brought up to date, and an unfinished or
# damaged one is made anew, out of uv's cache in half a minute.
#
# PYTHON=3.12 takes that Python. MMCV=compiled compiles mmcv with all of its operators,
# MMCV=torchvision takes torchvision's again. Both stay until they are given again.
set -eu
cd "$(dirname "$0")/.."

NEEDED_GB=9 # measured: 6.1 for .venv, which shares its files with uv's cache, 2.5 while unpacking

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# What the last finished set-up was asked for; it stays until something else is asked for.
recorded() {
    sed -n "s/^$1: //p" .venv/setup.stamp 2>/dev/null || true
}

# uv, if there is none: brought here from the package index.
provide_uv() {
    PATH="$PATH:$PWD/.uv/bin"
    command -v uv >/dev/null && return
    python3 -m pip install --quiet --root-user-action=ignore --target .uv 'uv>=0.9' || fail \
        "there is no uv, and python3 -m pip cannot bring it: see above; check the network, or" \
        "install uv (https://docs.astral.sh/uv) or pip (Debian: apt install python3-pip)"
}

# Names of packages of which a file is missing or has another size than the wheel's list says.
damaged() {
    .venv/bin/python -I - <<'EOF'
import csv
from importlib.metadata import distributions
from os import stat

def size_on_disk(path):
    try:
        return stat(path).st_size
    except OSError:
        return None

for package in distributions():
    files = csv.reader((package.read_text("RECORD") or "").splitlines())
    sizes = {package.locate_file(path): int(size) for path, _, size in files if size}
    if any(size_on_disk(path) != size for path, size in sizes.items()):
        print(package.name)
EOF
}

# mmcv with all operators, against the newest torch that its C++17 compiles with, in a cache of its
# own: uv knows a build by its version alone and would give it to others.
compile_mmcv() {
    uv pip install --compile-bytecode 'setuptools<82' wheel ninja psutil packaging \
        torch==2.11.0 torchvision==0.26.0
    echo "compiling mmcv: about 8 minutes on 2 cores, unless it is in the cache"
    built_for=$(.venv/bin/python -c 'import sys; print(sys.implementation.cache_tag)')-torch2.11.0
    uv pip uninstall --quiet onedl-mmcv # since to reinstall it would compile it again
    CFLAGS="${CFLAGS:-} -g0" MAX_JOBS=$(nproc) uv pip install --no-deps --no-build-isolation \
        --cache-dir "$(uv cache dir)/mmcv/$built_for" \
        "$(grep -o '^onedl-mmcv==[0-9.]*' requirements.lock)"
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
    uv pip sync --require-hashes --compile-bytecode requirements.lock
    [ "$MMCV" = torchvision ] || compile_mmcv
    echo "[3/3] this project, editable"
    uv pip install --no-deps --no-build-isolation --editable .
    .venv/bin/python -c 'import cv2, mmcv.ops, selfpatch'
}

exec 9<tools/setup.sh
flock -n 9 || { echo "another set-up works in this folder: waiting for it" && flock 9; }

[ -n "${PYTHON:=$(recorded PYTHON)}" ] || PYTHON='>=3.11,<3.15'
[ -n "${MMCV:=$(recorded MMCV)}" ] || MMCV=torchvision
case $MMCV in torchvision | compiled) ;; *) fail "MMCV=$MMCV; give torchvision or compiled" ;; esac
asked="PYTHON: $PYTHON
MMCV: $MMCV
folder: $PWD"
stamp="$asked
inputs: $(cat requirements.lock setup.cfg tools/*.sh tools/build_backend.py | sha256sum)"
keep='' found=''
if [ "$(head -n 3 .venv/setup.stamp 2>/dev/null)" = "$asked" ] && found=$(damaged 2>/dev/null); then
    if [ -n "$found" ]; then
        echo "damaged, so set up anew:" $found
    elif [ "$(cat .venv/setup.stamp)" = "$stamp" ]; then
        echo "set-up is current" && exit
    else
        keep=yes
    fi
fi

check_disk
provide_uv
trap 'exit 130' INT TERM
trap 'echo "set-up did not come to its end: make setup goes on from here" >&2' EXIT
export VIRTUAL_ENV="$PWD/.venv"
rm -f .venv/setup.stamp
[ -z "$found" ] || uv cache clean --quiet $found # files in .venv are those in the cache
set_up
printf '%s\n' "$stamp" >.venv/setup.stamp
trap - EXIT
