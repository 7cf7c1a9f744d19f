#!/usr/bin/env bash
# Builds tools of the Rust build from source into build/tools, each at one version and only when it is asked for.
#
#   cargo-tools.sh cargo-deny cargo-cyclonedx
#
# cargo-deny        licences, sources and forbidden crates, see deny.toml (about a minute and a half on two cores)
# cargo-cyclonedx   the image's bill of materials (the same)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/cluster/lib.sh"

declare -A versions=([cargo-deny]=0.20.2 [cargo-cyclonedx]=0.5.9)

for tool in "$@"; do
  version=${versions[$tool]-}
  [[ $version ]] || fail "$tool is not known: write one of ${!versions[*]}"
  stamp=$TOOLS/.stamp-$tool
  [[ ! -x $TOOLS/$tool || ! -e $stamp || $(<"$stamp") != "$version" ]] || continue
  log=$REPO/build/$tool.log started=$SECONDS
  say "building $tool $version (some minutes, once); log: $log"
  mkdir -p "$TOOLS"
  # Not optimized: that would take longer than all that it saves.
  CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 cargo install --locked --debug --no-track --force --root "$REPO/build/cargo-tools" \
    --target-dir "$REPO/build/cargo-tools/target" "$tool@$version" >"$log" 2>&1 || fail "$tool could not be built: $(tail -n 5 "$log")"
  mv "$REPO/build/cargo-tools/bin/$tool" "$TOOLS/$tool"
  printf '%s\n' "$version" >"$stamp"
  say "$tool is built: $((SECONDS - started)) s"
done
rm -rf "$REPO/build/cargo-tools"
