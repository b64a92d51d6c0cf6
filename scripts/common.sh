# Sourced by the scripts in this directory. Finds the checkout and requires a suitable Python.
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "$0: Python 3.11 or later is required. Found: $(python3 --version 2>&1 || echo none)." >&2
    exit 1
fi
