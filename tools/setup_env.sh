#!/usr/bin/env bash
# Bring an environment to the state that requirements/ describes:
#
#   tools/setup_env.sh            .venv, with the maintained onedl lineage
#   tools/setup_env.sh upstream   .venv-upstream, with requirements/upstream.txt
#
# Only what is missing is done, so it is safe to repeat, also after an
# interruption: a step leaves its stamp in ENVIRONMENT/.setup when it has
# succeeded, and the stamp holds the text of the files the step depends on.
# mmcv is compiled while other packages are installed; what has been compiled
# stays in ENVIRONMENT/.setup/mmcv_wheel until it is installed.
#
# Variables:
#   PYTHON    interpreter that makes it  (default: python3.11, then 3.12, 3.13,
#             3.10; upstream: python3.10, then pyenv's, python3.11)
#   WHEELS    folder with ready-made mmcv wheels  (default: ../shared/wheels)
#   MAX_JOBS  compiler processes when mmcv is built  (default: all cores)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What the lineages differ in; `first` is what mmcv is built with.
lineage=${1:-onedl}
case $lineage in
    onedl)
        venv=.venv
        candidates=(python3.{11,12,13,10} python3)
        fits='(3, 10) <= version < (3, 14)'  # numpy 2.2 ends there
        hosts=requirements/onedl.txt
        pins=requirements/constraints.txt
        first=(-c "$pins" -r requirements/build.txt -r requirements/torch.txt)
        first_files=(requirements/{build,torch,constraints}.txt)
        packages=(requirements/{build,torch,runtime,onedl,codecs,sample,evaluation,standard,training,tests,lint,docs}.txt)
        mmcv_files=(requirements/{torch,onedl,constraints}.txt)
        tools=requirements/build.txt
        ;;
    upstream)
        venv=.venv-upstream
        candidates=(python3.10 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python python3.11)
        fits='(3, 10) <= version < (3, 12)'  # torch 2.1 ends there
        hosts=requirements/upstream.txt
        pins=$hosts
        # With opencv: where it is missing, mmcv 2.1 asks for the newest.
        first=(-c "$hosts" setuptools wheel ninja psutil packaging pybind11
            torch torchvision numpy opencv-python opencv-python-headless)
        first_files=("$hosts")
        packages=(requirements/{upstream,runtime,sample,evaluation,standard,training,tests,lint}.txt)
        mmcv_files=("$hosts")
        tools=$hosts
        ;;
    *)
        echo "no lineage \`$lineage\`: expected onedl or upstream" >&2
        exit 2
        ;;
esac
python=$venv/bin/python
stamps=$venv/.setup
wheels=${WHEELS:-../shared/wheels}
mmcv=$(grep -E '^(onedl-)?mmcv==' "$pins")
changed=false
step=0
doing=''
builder=''
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf '\nsetup failed: %s\n' "$*" >&2
    doing=''
    exit 1
}

# However it ends: compilers of a build in the background must not outlive it.
finish() {
    local status=$?
    if [ -n "$builder" ]; then
        kill -- "-$builder" 2>/dev/null || true
        wait "$builder" 2>/dev/null || true
    fi
    if [ "$status" != 0 ] && [ -n "$doing" ]; then
        printf '\nsetup stopped in step %s\n' "$doing" >&2
        echo 'The reason stands above. Repeat the command to go on from' \
            'here: what is done stays done.' >&2
    fi
}
trap finish EXIT

is_done() {
    local name=$1
    shift
    cmp -s "$stamps/$name" <(cat "$@")
}

# step NAME WORDS FILE...: run install_NAME unless its stamp equals the files.
step() {
    local name=$1 words=$2
    shift 2
    step=$((step + 1))
    if is_done "$name" "$@"; then
        return
    fi
    doing="$step/4 $words"
    say "$doing"
    "install_$name"
    cat "$@" >"$stamps/$name"
    changed=true
    doing=''
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

# $PYTHON makes an environment; it cannot change one that is there.
check_version() {
    local ask='import sys; print("%d.%d" % sys.version_info[:2])' is asked
    is=$("$python" -c "$ask" 2>/dev/null) || return 0
    asked=$("$PYTHON" -c "$ask") ||
        fail "PYTHON=$PYTHON does not run."
    [ "$is" = "$asked" ] ||
        fail "$venv has Python $is, and PYTHON=$PYTHON is $asked. Remove" \
            "$venv first (rm -r $venv), or set up another checkout."
}

# An environment that somebody else made is kept; one that does not run is not.
make_venv() {
    if [ -n "${PYTHON:-}" ] && [ -x "$python" ]; then
        check_version
    fi
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

install_torch() { pip_install "${first[@]}"; }

# One call, so that pip finds versions which fit all of them together. compressai
# is built with the torch that is here: alone, pip would fetch another for it.
install_packages() {
    local file arguments=(-c "$pins")
    sed -E '/^(onedl-)?mmcv[=>]=/d' "$hosts" >"$stamps/hosts.txt"
    for file in "${packages[@]}"; do
        [ "$file" != "$hosts" ] || file=$stamps/hosts.txt
        arguments+=(-r "$file")
    done
    pip_install --no-build-isolation "${arguments[@]}"
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

# Get a wheel of mmcv in the background. `set -m` gives it a process group of
# its own, by which its compilers can be stopped.
begin_mmcv() {
    if [ -n "$builder" ] || is_done mmcv "${mmcv_files[@]}" || mmcv_works; then
        return
    fi
    set -m
    "$python" dev/mmcv_wheel.py "$mmcv" "$stamps/mmcv_wheel" "$wheels" \
        </dev/null &
    builder=$!
    set +m
}

# pip alone would leave the ops out, under build isolation, and say nothing.
install_mmcv() {
    begin_mmcv
    if [ -z "$builder" ]; then
        return
    fi
    wait "$builder"
    builder=''
    pip_install --force-reinstall --no-deps --no-index \
        --find-links "$stamps/mmcv_wheel" "$mmcv"
    rm -rf "$stamps/mmcv_wheel"
    mmcv_works ||
        fail "mmcv was installed but \`import mmcv._ext\` does not work;" \
            "see \`$python -c 'import mmcv._ext'\`."
}

install_mmhmc() {
    pip_install --no-deps --no-build-isolation --use-pep517 -e .
}

make_venv
step torch "torch, torchvision: 1 to 10 minutes (2 to 3 GB, 6 unpacked)." \
    "${first_files[@]}"
begin_mmcv
step packages "OpenMMLab, codecs and test tools: 1 to 3 minutes." \
    "$pins" "${packages[@]}"
step mmcv "mmcv with its compiled ops: up to 2 minutes." "${mmcv_files[@]}"
step mmhmc "mmhmc itself, editable, with its entropy coder: 20 seconds." \
    "$tools" setup.py setup.cfg mmhmc/version.py mmhmc/bitstream/rans.cpp \
    model-index.yml

if $changed; then
    "$python" -W ignore -c 'import mmcv._ext' ||
        fail "\`import mmcv._ext\` does not work. Remove $stamps/mmcv and" \
            "repeat, or ask \`make doctor\`."
    say "Done after $((SECONDS / 60)) min $((SECONDS % 60)) s:" \
        "everything is in $venv, and mmcv._ext loads."
else
    echo "$venv is complete: nothing to set up."
fi
