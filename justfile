# The commands of the house. `just` lists them.

_list:
    @just --list --unsorted

# Build everything that needs nothing but Rust
build:
    cargo build --locked

# What CI runs: format, lints, dependencies, guest, every test
check:
    scripts/test

# The kernel's properties on the code that ships: proofs, the proven model's traces replayed, linear types
verify *arguments:
    scripts/verify {{ arguments }}

# Fuzz each target for so many seconds, or those that are named: `just fuzz 60 kernel`. Needs nightly and cargo-fuzz
fuzz seconds *targets:
    scripts/fuzz {{ seconds }} {{ targets }}

# Mutants of selur-protocol and selur-kernel that no test catches; `just mutants 0/8` tries one in eight
mutants *shard:
    scripts/mutants {{ shard }}

# Show one container's whole life
demo *arguments:
    scripts/demo {{ arguments }}

# Run the tests alone: `just test --test guarantees`
test *arguments:
    cargo test --locked --workspace {{ arguments }}

# The C binding: header, harness under the sanitizers and valgrind, examples. `just test-c 'part of a sentence'` runs some
test-c *part:
    scripts/test-c {{ if part == '' { '' } else { quote(part) } }}

# The Deno package: types, lints, documentation, harness. `just test-deno 'part of a sentence'` runs some
test-deno *part:
    scripts/test-deno {{ if part == '' { '' } else { quote(part) } }}

# ReScript on Deno: builds integrations/svalinn and runs its tests. `just test-svalinn 'part of a sentence'` runs some
test-svalinn *part:
    scripts/test-svalinn {{ if part == '' { '' } else { quote(part) } }}

# The Python package: types, stubs, lints, harness, docstrings. `just test-py -k fork` runs some
test-py *arguments:
    scripts/test-py {{ arguments }}

# The Elixir project :selur: warnings, format, types, harness. `just test-nif 'part of a sentence'` runs some
test-nif *part:
    scripts/test-nif {{ if part == '' { '' } else { quote(part) } }}

# Vörðr: warnings, format, types, harness, the commands of its README. `just test-vordr 'part of a sentence'` runs some
test-vordr *part:
    scripts/test-vordr {{ if part == '' { '' } else { quote(part) } }}

# Build selur for C programs and install it below PREFIX
install-c prefix:
    scripts/install-c {{ prefix }}

# Build libselur.so without a compiler for guests: a third as large
small-library:
    scripts/small-library

# Write include/selur.h anew from the sources of selur-ffi
header:
    cargo run --quiet --locked --manifest-path bindings/selur-ffi/header/Cargo.toml -- --write

# Format the sources
fmt:
    cargo fmt --all
    cargo fmt --manifest-path guest/Cargo.toml
    cargo fmt --manifest-path bindings/selur-ffi/header/Cargo.toml
    cargo fmt --manifest-path benchmarks/Cargo.toml
    cargo fmt --manifest-path fuzz/Cargo.toml

# Lints as CI has them
lint:
    cargo clippy --locked --workspace --all-targets -- --deny warnings
    cargo clippy --locked --manifest-path benchmarks/Cargo.toml --target-dir target/benchmarks -- --deny warnings
    scripts/tidy

# Licences and sources of the dependencies
deny:
    scripts/deny

# Rebuild guest/selur.wasm and its sha256
guest:
    guest/build.sh

# Compare guest/selur.wasm with what its source gives
guest-verify:
    guest/build.sh --verify

# Write the generated files anew: conformance/protocol.json, vectors, schemas
generate:
    scripts/generate

# selur beside what people use today, in one run; `--write` for docs/benchmarks, `--quick` to see that it works
bench *arguments:
    scripts/bench {{ arguments }}

# Instructions of the hot paths beside benchmarks/instructions.tsv: more than 5 % more fails; `--write` for new ones
bench-check *arguments:
    scripts/bench-check {{ arguments }}

# create + start beside `runc run`, `selur run --rm` beside `podman run --rm`: medians of 20; `--write` for docs/benchmarks
bench-runtime *arguments:
    cargo build --release --locked --workspace --bin selur --example bench_runtime
    target/release/examples/bench_runtime target/release/selur {{ arguments }}

# How soon a followed log shows a line while 20 containers write 1,000 a second each
bench-logs:
    cargo run --release --locked --package selur-runtime --example log_latency

# What a copy costs whole and in pieces
bench-copies:
    cargo run --release --locked --package selur-core --example copy_in_pieces

# What the guest's budget costs a call
bench-budget:
    cargo run --release --locked --package selur-core --example guest_budget

# How long Deno's event loop and a ticker in the BEAM stand still while containers live and die; `--write` for docs/benchmarks
bench-stalls *arguments:
    scripts/bench-stalls {{ arguments }}
