#!/usr/bin/env bash
# Bring an environment to the state that requirements/ describes:
#
#   tools/setup_env.sh            .venv, with the maintained onedl lineage
#   tools/setup_env.sh upstream   .venv-upstream, with requirements/upstream.txt
#
# Only what is missing is done, so it is safe to repeat, also after an
# interruption: a step leaves its stamp in ENVIRONMENT/.setup when it has
# succeeded, and the stamp holds the text of the files the step depends on.
#
# Variables:
#   PYTHON    interpreter that makes it  (default: python3.11, then python3;
#             upstream: python3.10, then pyenv's)
#   WHEELS    folder with ready-made mmcv wheels  (default: ../shared/wheels)
#   MAX_JOBS  compiler processes when mmcv is built  (default: all cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What the lineages differ in.
lineage=${1:-onedl}
case $lineage in
    onedl)
        venv=.venv
        candidates=(python3.11 python3)
        fits='(3, 10) <= version'
        hosts=requirements/onedl.txt
        packages=(requirements/{build,torch,onedl,codecs,sample,evaluation,standard,training,tests,lint,docs}.txt)
        steps=5
        ;;
    upstream)
        venv=.venv-upstream
        candidates=(python3.10 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python)
        fits='(3, 10) <= version < (3, 12)'  # torch 2.1 ends there
        hosts=requirements/upstream.txt
        packages=(requirements/{upstream,sample,evaluation,standard,training,tests,lint}.txt)
        steps=3
        ;;
    *)
        echo "no lineage \`$lineage\`: expected onedl or upstream" >&2
        exit 2
        ;;
esac
python=$venv/bin/python
stamps=$venv/.setup
wheels=${WHEELS:-../shared/wheels}
mmcv=$(grep -E '^(onedl-)?mmcv==' "$hosts")
changed=false
step=0
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
    step=$((step + 1))
    if cmp -s "$stamps/$name" <(cat "$@"); then
        return
    fi
    say "$step/$steps $words"
    "install_$name"
    cat "$@" >"$stamps/$name"
    changed=true
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        candidates=("$PYTHON")
    fi
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c "import sys; version = sys.version_info
sys.exit(not ($fits))" 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "none of \`${candidates[*]}\` is a working Python with $fits." \
        "Install one, or name it: make ... PYTHON=/path/to/python."
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
    local file arguments=()
    sed -E '/^(onedl-)?mmcv==/d' "$hosts" >"$stamps/hosts.txt"
    for file in "${packages[@]}"; do
        [ "$file" != "$hosts" ] || file=$stamps/hosts.txt
        arguments+=(-r "$file")
    done
    pip_install "${arguments[@]}"
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
            --find-links "$wheels" --only-binary "${mmcv%%==*}" "$mmcv" &&
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
        --no-cache-dir --no-binary "${mmcv%%==*}" "$mmcv"
    mmcv_works ||
        fail "mmcv was built but \`import mmcv._ext\` does not work;" \
            "see \`$python -c 'import mmcv._ext'\`."
}

install_mmhmc() {
    pip_install --no-deps --no-build-isolation --use-pep517 -e .
}

make_venv
if [ "$lineage" = onedl ]; then
    step build "Build tools: a few seconds." requirements/build.txt
    step torch \
        "torch and torchvision: 1 to 10 minutes (2 to 3 GB, 6 unpacked)." \
        requirements/{build,torch}.txt
    step packages "OpenMMLab, codecs and test tools: 1 to 3 minutes." \
        "${packages[@]}"
    step mmcv "mmcv with its compiled ops: seconds with a wheel." \
        requirements/{torch,onedl}.txt
    tools=requirements/build.txt
else
    step packages "Everything but mmcv: 2 to 12 minutes (2 to 3 GB, 6 unpacked)." \
        "${packages[@]}"
    step mmcv "mmcv with its compiled ops: seconds with a wheel." "$hosts"
    tools=$hosts
fi
step mmhmc "mmhmc itself, editable, with its entropy coder: 20 seconds." \
    "$tools" setup.py setup.cfg mmhmc/version.py mmhmc/bitstream/rans.cpp \
    model-index.yml

if $changed; then
    "$python" -W ignore -c 'import mmcv._ext' ||
        fail "\`import mmcv._ext\` does not work. Remove $stamps/mmcv and" \
            "repeat, or ask \`make doctor\`."
    say "Done: everything is in $venv, and mmcv._ext loads."
else
    echo "$venv is complete: nothing to set up."
fi
