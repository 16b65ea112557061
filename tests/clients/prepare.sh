#!/usr/bin/env bash
# Puts the SDKs that the client tests use into a folder outside the tree: a Python virtual environment and a
# `node_modules`, both from pinned versions. Does nothing for what is there already. `cargo test` calls it
# when it finds Python or Node; call it by hand to see what went wrong.
#
#   tests/clients/prepare.sh python|node [FOLDER]     (FOLDER: target/clients)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
part=${1:?"say which part: python or node"}
folder=${2:-${CARGO_TARGET_DIR:-$here/../../target}/clients}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# A part is ready when the file that pins it is the one that was installed last.
ready() { cmp -s "$1" "$folder/$part.installed"; }
done_with() { cp "$1" "$folder/$part.installed"; }

case $part in
python)
    ready "$here/requirements.txt" && exit 0
    rm -rf "$folder/python"
    python3 -m venv "$folder/python"
    # Wheels only: building llama.cpp from source would take longer than all tests together.
    "$folder/python/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --retries 1 --timeout 15 --requirement "$here/requirements.txt"
    done_with "$here/requirements.txt"
    ;;
node)
    ready "$here/package-lock.json" && exit 0
    mkdir -p "$folder/node"
    cp "$here/package.json" "$here/package-lock.json" "$folder/node/"
    (cd "$folder/node" && npm ci --loglevel error --no-audit --no-fund --ignore-scripts \
        --fetch-retries 1 --fetch-retry-mintimeout 1000 --fetch-timeout 15000 >/dev/null)
    done_with "$here/package-lock.json"
    ;;
*)
    echo "unknown part \`$part\`: python or node" >&2
    exit 2
    ;;
esac
