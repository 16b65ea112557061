#!/usr/bin/env bash
# Puts what the client tests use into a folder outside the tree: a Python virtual environment with the SDKs of
# Python, a `node_modules` with those of Node and with the coding agents. Both come from lock files, which hold
# the version and the hash of everything. Does nothing for what is there already. `cargo test` calls it when it
# finds Python or Node; call it by hand to see what went wrong.
#
#   tests/clients/prepare.sh python|node [FOLDER]     (FOLDER: target/clients)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
part=${1:?"say which part: python or node"}
folder=${2:-${CARGO_TARGET_DIR:-$here/../../target}/clients}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# A part is ready when it was installed last by this very script from this very lock file.
ready() { cat "$here/prepare.sh" "$1" | cmp -s - "$folder/$part.installed"; }
done_with() { cat "$here/prepare.sh" "$1" >"$folder/$part.installed"; }

case $part in
python)
    ready "$here/requirements.lock" && exit 0
    rm -rf "$folder/python"
    python3 -m venv "$folder/python"
    # Wheels only: building llama.cpp from source would take longer than all tests together.
    "$folder/python/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --retries 1 --timeout 15 --require-hashes --requirement "$here/requirements.lock"
    done_with "$here/requirements.lock"
    ;;
node)
    ready "$here/package-lock.json" && exit 0
    mkdir -p "$folder/node"
    cp "$here/package.json" "$here/package-lock.json" "$folder/node/"
    # The agents are programs of 150 MB and more: they come in slowly, and need no Node, whatever they ask for.
    (cd "$folder/node" && npm ci --loglevel error --no-audit --no-fund --ignore-scripts --no-engine-strict \
        --fetch-retries 1 --fetch-retry-mintimeout 1000 --fetch-timeout 60000 >/dev/null)
    # Their packages have an install script that puts the program for this machine in place. It is one of several
    # optional packages, of which npm installs the right one.
    mkdir -p "$folder/node/bin"
    for program in "$folder"/node/node_modules/@anthropic-ai/claude-code-*/claude \
        "$folder"/node/node_modules/@openai/codex-*/vendor/*/bin/codex; do
        [ -x "$program" ] && ln -sf "$program" "$folder/node/bin/"
    done
    done_with "$here/package-lock.json"
    ;;
*)
    echo "unknown part \`$part\`: python or node" >&2
    exit 2
    ;;
esac
