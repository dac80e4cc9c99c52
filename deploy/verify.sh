#!/usr/bin/env bash
# Lets systemd and Prometheus judge what deploy/ and systemd/ hand them. Any word from systemd-analyze counts as a refusal: it exits 0
# even on a key it does not know.
set -euo pipefail
cd "$(dirname "$0")/.."
shopt -s nullglob globstar
failed=0

for unit in {deploy,systemd}/**/*.service; do
  # The program is not installed on the machine that checks; any file that can be run stands in for it.
  checked=$(mktemp -d)/$(basename "$unit")
  sed -E 's#^(Exec[A-Za-z]*=[-+!@:]*)/[^ ]+#\1/bin/true#' "$unit" >"$checked"
  words=$(systemd-analyze verify "$checked" 2>&1) || true
  rm -r "$(dirname "$checked")"
  if [ -n "$words" ]; then
    printf '%s:\n%s\n' "$unit" "$words" >&2
    failed=1
  fi
done

for tests in deploy/**/*test*.y*ml; do promtool test rules "$tests" || failed=1; done
for rules in deploy/**/*rules*.y*ml deploy/**/*alert*.y*ml; do
  case "$rules" in *test*) continue ;; esac
  promtool check rules "$rules" || failed=1
done
exit "$failed"
