# Verbs of this house. `just` is a convenience: every recipe is a plain command that can be typed without it.

# List the verbs.
default:
    @just --list

# Everything that must hold before a commit: format, lints, supply chain, tests.
check: fmt lint deny test

# Whether the code is formatted.
fmt:
    cargo fmt --all --check

# Clippy over everything, warnings denied.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Crates, licences and sources that may be in the lockfile (needs `cargo install --locked cargo-deny`).
deny:
    cargo deny check bans licenses sources

# The README's test command, with anything more passed on to it: `just test -p hr-core breaker`.
test *args="--workspace":
    cargo test {{args}}

# The tests of real clients, required: SDKs, coding agents and a llama.cpp server against the real binary.
clients:
    HR_REQUIRE_CLIENTS=1 cargo test -p hr --test clients

# The simulations, with their tables: `just sim`, `just sim day` (see docs/simulation.md).
sim *names:
    cargo test -p hr-testkit --test sim -- --nocapture --test-threads=1 {{names}}

# Fuzz what reads bytes from outside, each target for so many seconds (see fuzz/README.md).
fuzz seconds="600" *targets:
    fuzz/run {{seconds}} {{targets}}

# Format, and apply what clippy can mend by itself.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# Write the documents that come from the code again: docs/providers.md, docs/settings.md, .env.example.
bless:
    cargo test -p hr-core --lib page || true
    # This one fails when it has written something, so that nobody commits without a look.
    -cargo test -p hr-core --test settings_reference

# Run the router from this tree.
run *args="start":
    cargo run --release -- {{args}}

# The demonstration: fake providers that run dry, no key, no network.
demo *args:
    cargo run --release -- demo {{args}}

# The demonstration's fake providers, kept running to play with.
fake *args:
    cargo run --release -- demo --serve {{args}}

# The benchmarks, as ratios to a minimal pass-through proxy (see bench/README.md).
bench *args="run":
    cargo run --release -p hr-bench -- {{args}}
