#!/usr/bin/env bash
# Lets systemd, Prometheus, Alertmanager and two linters judge what deploy/ and systemd/ hand them. Any word from systemd-analyze counts
# as a refusal: it exits 0 even on a key it does not know.
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

for tests in deploy/**/*_test.yml; do promtool test rules "$tests" || failed=1; done
promtool check rules deploy/prometheus/alerts.yml || failed=1
promtool check config --syntax-only deploy/prometheus/prometheus.yml || failed=1
amtool check-config deploy/prometheus/alertmanager.yml || failed=1
shellcheck deploy/*.sh || failed=1
yamllint --strict -d '{extends: default, rules: {line-length: {max: 132}, document-start: disable, braces: {max-spaces-inside: 1}}}' deploy || failed=1
exit "$failed"
