#!/usr/bin/env bash
# Bring .venv to the state that requirements/ describes.
#
# Only what is missing is done, so it is safe to repeat, also after an
# interruption: a step leaves its stamp in .venv/.setup when it has succeeded,
# and the stamp holds the text of the files the step depends on.
#
# Variables:
#   PYTHON    interpreter that makes .venv  (default: python3.11, then python3)
#   WHEELS    folder with ready-made mmcv wheels  (default: ../shared/wheels)
#   MAX_JOBS  compiler processes when mmcv is built  (default: all cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
python=$venv/bin/python
stamps=$venv/.setup
wheels=${WHEELS:-../shared/wheels}
mmcv=$(grep '^onedl-mmcv==' requirements/onedl.txt)
changed=false
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf '\nsetup failed: %s\n' "$*" >&2
    exit 1
}

# step NAME WORDS FILE...: run install_NAME unless its stamp equals the files.
step() {
    local name=$1 words=$2
    shift 2
    if cmp -s "$stamps/$name" <(cat "$@"); then
        return
    fi
    say "$words"
    "install_$name"
    cat "$@" >"$stamps/$name"
    changed=true
}

find_python() {
    local candidates=(python3.11 python3) candidate
    if [ -n "${PYTHON:-}" ]; then
        candidates=("$PYTHON")
    fi
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
            2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "none of \`${candidates[*]}\` is a working Python >= 3.10." \
        "Install Python 3.11, or name one: make setup PYTHON=/path/to/python."
}

# An environment that somebody else made is kept; one that does not run is not.
make_venv() {
    if [ -d "$stamps" ] && [ -x "$python" ]; then
        return
    fi
    if "$python" -c '' 2>/dev/null; then
        say "$venv exists: using it."
        "$python" -m pip --version >/dev/null 2>&1 ||
            "$python" -m ensurepip --upgrade
    else
        local base
        base=$(find_python)
        say "Making $venv with $base (a few seconds)."
        "$base" -m venv --clear "$venv"
    fi
    mkdir -p "$stamps"
}

pip_install() { "$python" -m pip install "$@"; }

install_build() { pip_install -r requirements/build.txt; }

install_torch() {
    pip_install -r requirements/build.txt -r requirements/torch.txt
}

# One call, so that pip finds versions which fit all of them together.
install_packages() {
    grep -v '^onedl-mmcv==' requirements/onedl.txt >"$stamps/onedl.txt"
    pip_install -r requirements/build.txt -r requirements/torch.txt \
        -r "$stamps/onedl.txt" -r requirements/codecs.txt \
        -r requirements/sample.txt -r requirements/evaluation.txt \
        -r requirements/standard.txt -r requirements/tests.txt \
        -r requirements/lint.txt
}

# The pinned mmcv is there and its compiled part loads.
mmcv_works() {
    "$python" -W ignore - "$mmcv" 2>/dev/null <<'PYTHON'
import sys
from importlib.metadata import version

name, _, wanted = sys.argv[1].partition('==')
import mmcv._ext

sys.exit(version(name) != wanted)
PYTHON
}

install_mmcv() {
    if mmcv_works; then
        return
    fi
    if [ -d "$wheels" ]; then
        echo "Looking for a ready-made wheel in $wheels"
        # --no-index: a wheel from elsewhere may have been made without ops.
        if pip_install -qqq --force-reinstall --no-deps --no-index \
            --find-links "$wheels" --only-binary onedl-mmcv "$mmcv" &&
            mmcv_works; then
            return
        fi
        echo "None there fits this Python and torch."
    fi
    build_mmcv
}

# Under build isolation pip would leave the ops out and say nothing; a wheel
# made that way may also wait in pip's cache.
build_mmcv() {
    local jobs=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}
    say "Building $mmcv from source with $jobs processes: 4 to 13 minutes" \
        "on two cores, longer with CUDA. The compiler says little."
    local compiler=${CXX:-c++}
    command -v "${compiler%% *}" >/dev/null ||
        fail "there is no C++ compiler (\`$compiler\`) to build mmcv with." \
            "Install one (Debian, Ubuntu: apt-get install g++), then repeat."
    MMCV_WITH_OPS=1 CFLAGS=-g0 CXXFLAGS=-g0 MAX_JOBS=$jobs \
        pip_install --force-reinstall --no-deps --no-build-isolation \
        --no-cache-dir --no-binary onedl-mmcv "$mmcv"
    mmcv_works ||
        fail "mmcv was built but \`import mmcv._ext\` does not work;" \
            "see \`$python -c 'import mmcv._ext'\`."
}

install_mmhmc() {
    pip_install --no-deps --no-build-isolation --use-pep517 -e .
}

make_venv
step build "1/5 Build tools: a few seconds." requirements/build.txt
step torch "2/5 torch and torchvision: 1 to 10 minutes (2 to 3 GB, 6 unpacked)." \
    requirements/{build,torch}.txt
step packages "3/5 OpenMMLab, codecs and test tools: 1 to 3 minutes." \
    requirements/{build,torch,onedl,codecs,sample,evaluation,standard,tests,lint}.txt
step mmcv "4/5 mmcv with its compiled ops: seconds with a wheel." \
    requirements/{torch,onedl}.txt
step mmhmc "5/5 mmhmc itself, editable, with its entropy coder: 20 seconds." \
    requirements/build.txt setup.py setup.cfg mmhmc/version.py \
    mmhmc/bitstream/rans.cpp

if $changed; then
    "$python" -W ignore -c 'import mmcv._ext' ||
        fail "\`import mmcv._ext\` does not work. Remove $stamps/mmcv and" \
            "repeat, or ask \`make doctor\`."
    say "Done: everything is in $venv, and mmcv._ext loads."
else
    echo "$venv is complete: nothing to set up."
fi
