#!/usr/bin/env bash
# Lets systemd, Prometheus, Alertmanager and linters judge what deploy/ and systemd/ hand them. Any word from systemd-analyze counts
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
shellcheck deploy/*.sh tests/acceptance/machine/*.sh || failed=1
yamllint --strict -d '{extends: default, rules: {line-length: {max: 150}, document-start: disable, braces: {max-spaces-inside: 1}}}' deploy || failed=1

# These are not in every distribution: used where they are, named where they are not.
if_at_hand() {
  if command -v "$1" >/dev/null 2>&1; then "$@" || failed=1; else echo "not at hand, not run: $*"; fi
}
if_at_hand docker-compose -f deploy/compose.yml config --quiet
if_at_hand check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yml
if_at_hand hadolint --ignore DL3008 deploy/docker/Dockerfile deploy/docker/Dockerfile.cpu
manifests=$(mktemp)
if_at_hand kubectl kustomize -o "$manifests" deploy/kubernetes
if_at_hand kubernetes-validate --strict --quiet "$manifests"
if_at_hand kubernetes-validate --strict --quiet deploy/kubernetes/fill.yaml
rm "$manifests"
exit "$failed"
