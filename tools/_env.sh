# Shared by quickstart.sh and run_tests.sh (sourced, not run): a Python environment with this package in it.

PROJECT_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

fail() {
    printf '\nerror: %s\n' "$*" >&2
    exit 1
}

# step TITLE LOG COMMAND...: run a command quietly and print one line with its time; on failure show the log's end.
step() {
    local title="$1" log="$2" begin=$SECONDS
    shift 2
    printf '%s ... ' "$title"
    if "$@" >"$log" 2>&1; then
        printf '%d s\n' $((SECONDS - begin))
        return 0
    fi
    printf 'failed after %d s. The end of %s:\n' $((SECONDS - begin)) "$log" >&2
    tail -n 15 "$log" >&2
    return 1
}

# Succeeds for a Python that this package supports.
is_supported() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1
}

# Succeeds for a Python that this package is tested with.
is_tested() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

# Print the first tested Python, or else the first supported one; $PYTHON, if set, is the only candidate.
find_python() {
    local candidate suits
    for suits in is_tested is_supported; do
        for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10 python}; do
            if "$suits" "$candidate"; then
                command -v "$candidate"
                return 0
            fi
        done
    done
    return 1
}

# Set ENV_PYTHON: the Python of the active environment, else that of .venv, which is made if need be.
select_environment() {
    local active="${VIRTUAL_ENV:-}" base
    if [ -z "$active" ] && [ "${CONDA_DEFAULT_ENV:-base}" != base ]; then
        active="${CONDA_PREFIX:-}"
    fi
    if [ -n "$active" ]; then
        ENV_PYTHON="$active/bin/python"
        is_supported "$ENV_PYTHON" || fail "the active environment $active has no Python >= 3.10;" \
            "deactivate it to let this script make .venv, or activate another."
        return
    fi
    ENV_PYTHON="$PROJECT_ROOT/.venv/bin/python"
    if is_supported "$ENV_PYTHON" && "$ENV_PYTHON" -m pip --version >/dev/null 2>&1; then
        return
    fi
    base="$(find_python)" || fail "Python >= 3.10 is needed, and ${PYTHON:-python3} is older or missing." \
        "Install one (for example: apt-get install python3 python3-venv) or name it: PYTHON=/path/to/python3.11 bash $0"
    step "Making .venv with $("$base" --version)" "$PROJECT_ROOT/.venv.log" \
        "$base" -m venv --clear "$PROJECT_ROOT/.venv" ||
        fail "$base could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"
    rm -f "$PROJECT_ROOT/.venv.log"
}

# Print what decides whether an installation is still right: where this checkout is, and its requirements.
fingerprint() {
    (cd "$PROJECT_ROOT" && { echo "$PROJECT_ROOT"; cat requirements/*.txt setup.py pyproject.toml textxfer_mm/version.py; }) |
        "$ENV_PYTHON" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'
}

# install_package EXTRA...: install this checkout (editable) with the first extra, unless that was done before with
# any of the extras and the same requirements. A stamp in the environment, written last, remembers it.
install_package() {
    local prefix wanted log extra
    prefix="$("$ENV_PYTHON" -c 'import sys; print(sys.prefix)')"
    wanted="$(fingerprint)"
    for extra in "$@"; do
        if [ "$(cat "$prefix/textxfer_mm-$extra.stamp" 2>/dev/null)" = "$wanted" ] &&
            "$ENV_PYTHON" -c 'import importlib.metadata as m; m.version("textxfer_mm")' 2>/dev/null; then
            return
        fi
    done
    log="$prefix/textxfer_mm-install.log"
    rm -f "$prefix"/textxfer_mm-*.stamp
    step "Installing textxfer_mm[$1] into $prefix (the first time some minutes: torch is large)" "$log" \
        "$ENV_PYTHON" -m pip install --disable-pip-version-check --no-input \
        --config-settings editable_mode=compat -c "$PROJECT_ROOT/requirements/constraints.txt" -e "$PROJECT_ROOT[$1]" ||
        fail "the installation failed; see $log. Run this script again to go on. Without access to pypi.org name a" \
            "mirror (PIP_INDEX_URL=...) or a folder of wheels (PIP_NO_INDEX=1 PIP_FIND_LINKS=...)."
    echo "$wanted" >"$prefix/textxfer_mm-$1.stamp"
}
