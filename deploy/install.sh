#!/usr/bin/env bash
# Installs the monitor as a system service, in the places where Debian expects things.
#
#   deploy/install.sh [--deps VENV]   install, or upgrade what is installed; a second run changes nothing
#   deploy/install.sh rollback        go back to the release before
#   deploy/install.sh uninstall       remove the program; configuration, catalogue and outbox stay
#   deploy/install.sh purge           remove them too
#
#   /usr/lib/monitor/RELEASE          the program; `current` points to the one in use, the one before is kept
#   /usr/lib/monitor/deps-HASH        what it needs (some 7 GB), shared by releases that need the same
#   /usr/bin/monitor                  the command
#   /etc/monitor                      config.toml (never overwritten; the new sample lies beside it as config.toml.dist)
#   /var/lib/monitor                  catalogue and outbox
#
# --deps names a Python environment that holds the dependencies already (a machine without PyPI, a container's image). DESTDIR installs into
# a folder instead of this machine, for packages. Needs ffmpeg, python3-venv and, unless --deps is given, gcc, python3-dev and portaudio19-dev.
set -euo pipefail
shopt -s inherit_errexit # or what fails within $( ) would go on
cd "$(dirname "$0")/.."

say() { printf 'install: %s\n' "$*" >&2; }
refuse() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

root=${DESTDIR:-}
home=$root/usr/lib/monitor
EXTRAS=(openvino report pictures) # beside what it cannot do without: half the time on a CPU, XLSX, pictures of a day
live=no # whether this is the machine that runs it
[ -n "$root" ] || [ ! -d /run/systemd/system ] || live=yes
UNIT_FILES=(
  systemd/monitor.service:usr/lib/systemd/system/monitor.service
  systemd/sysusers.d/monitor.conf:usr/lib/sysusers.d/monitor.conf
  systemd/tmpfiles.d/monitor.conf:usr/lib/tmpfiles.d/monitor.conf
  deploy/README.md:usr/share/doc/monitor/README.md
  CHANGELOG.md:usr/share/doc/monitor/CHANGELOG.md
  LICENSE:usr/share/doc/monitor/copyright
)

present() { readlink "$home/current" 2>/dev/null || true; }

# One step, so that a start at any moment finds a whole program.
point() {
  ln -sfn "$1" "$home/$2.new"
  mv -T "$home/$2.new" "$home/$2"
}

# What pyproject.toml says of it; a change of what only developers need installs nothing anew.
needed() {
  local one
  sed -n '/^dependencies = /,/^\]/p' pyproject.toml
  for one in "${EXTRAS[@]}"; do sed -n "/^$one = /,/^\]/p" pyproject.toml; done
}

install_deps() { # prints the Python to use
  local given=$1 hash folder
  if [ -n "$given" ]; then
    [ -x "$given/bin/python" ] || refuse "--deps $given: no bin/python there; name a virtual environment."
    echo "$(cd "$given" && pwd)/bin/python"
    return
  fi
  hash=$({ needed; cat constraints.txt; } | sha256sum | cut -c1-12)
  folder=$home/deps-$hash
  if [ ! -e "$folder/.complete" ]; then
    say "installing what it needs into ${folder#"$root"} (some 7 GB)"
    rm -rf "$folder"
    "${PYTHON:-python3}" -m venv "$folder" >&2 || refuse "no virtual environment; install python3-venv (apt-get install python3-venv)."
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt ".[$(IFS=,; echo "${EXTRAS[*]}")]" >&2
    "$folder/bin/python" -m pip uninstall --quiet -y broadcast-monitor >&2
    touch "$folder/.complete"
  fi
  echo "${folder#"$root"}/bin/python"
}

# The package as it is, and the few lines from which it knows its version: nothing is built, nothing is fetched.
install_release() { # prints its name
  local python=$1 name folder runs version
  version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
  name=release-$( { find monitor -type f ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum; cat pyproject.toml; echo "$python"; } | sha256sum | cut -c1-12)
  folder=$home/$name
  if [ ! -e "$folder/.complete" ]; then
    say "installing ${folder#"$root"}"
    rm -rf "$folder"
    mkdir -p "$folder/bin" "$folder/lib/broadcast_monitor-$version.dist-info"
    cp -r monitor "$folder/lib/"
    find "$folder/lib" -name __pycache__ -prune -exec rm -rf {} +
    printf 'Metadata-Version: 2.1\nName: broadcast-monitor\nVersion: %s\n' "$version" >"$folder/lib/broadcast_monitor-$version.dist-info/METADATA"
    # Compiled now, for the service may not write here.
    runs=$python
    [ -x "$runs" ] || runs=$root$python
    "$runs" -m compileall -q -s "$root" "$folder/lib" >&2
    printf '#!/bin/sh\nPYTHONPATH=%s exec %s -P -m monitor "$@"\n' "${folder#"$root"}/lib" "$python" >"$folder/bin/monitor"
    chmod 755 "$folder/bin/monitor"
    touch "$folder/.complete"
  fi
  echo "$name"
}

install_files() {
  local pair
  for pair in "${UNIT_FILES[@]}"; do
    install -D -m 644 "${pair%%:*}" "$root/${pair#*:}"
  done
  mkdir -p "$root/usr/bin" "$root/etc/monitor" "$root/var/lib/monitor"
  ln -sfn ../lib/monitor/current/bin/monitor "$root/usr/bin/monitor"
  install -m 640 config.toml "$root/etc/monitor/config.toml.dist"
  [ -e "$root/etc/monitor/config.toml" ] || install -m 640 config.toml "$root/etc/monitor/config.toml"
  [ -z "$root" ] || return 0 # a package's own scripts make the user, on the machine
  systemd-sysusers monitor.conf
  systemd-tmpfiles --create monitor.conf
  chgrp monitor /etc/monitor/config.toml.dist
}

# Releases that are not in use and not the one before, and dependencies that no kept release needs.
sweep() {
  local one
  for one in "$home"/release-*; do
    case "${one##*/}" in "$(present)" | "$(readlink "$home/previous" 2>/dev/null)") ;; *) rm -rf "$one" ;; esac
  done
  for one in "$home"/deps-*; do
    [ ! -d "$one" ] || grep -qs "${one##*/}/" "$home"/release-*/bin/monitor || rm -rf "$one"
  done
}

restart() {
  [ "$live" = yes ] || return 0
  systemctl daemon-reload
  systemctl try-restart monitor.service
}

do_install() {
  local deps=$1 python name before
  have ffmpeg || [ -n "$root" ] || refuse "ffmpeg is missing (apt-get install ffmpeg)."
  mkdir -p "$home"
  python=$(install_deps "$deps")
  name=$(install_release "$python")
  before=$(present)
  if [ -n "$before" ] && [ "$before" != "$name" ] && [ -z "$root" ]; then
    # What runs stays as it is if the new one would refuse its configuration or its catalogue.
    "$home/$name/bin/monitor" check --offline -c /etc/monitor/config.toml >&2 ||
      refuse "the new release does not take /etc/monitor/config.toml (above); nothing was changed. Mend it, then run this again."
  fi
  install_files
  if [ "$before" != "$name" ]; then
    [ -z "$before" ] || point "$before" previous
    point "$name" current
    sweep
    restart
  elif [ "$live" = yes ]; then
    systemctl daemon-reload
  fi
  say "$name is installed. Next: edit /etc/monitor/config.toml, monitor check -c /etc/monitor/config.toml, systemctl enable --now monitor"
}

do_rollback() {
  local before
  before=$(readlink "$home/previous" 2>/dev/null) || refuse "there is no release before this one."
  [ -e "$home/$before/.complete" ] || refuse "the release before this one is gone."
  point "$(present)" previous
  point "$before" current
  restart
  say "$before is in use again"
}

do_uninstall() {
  local pair
  if [ "$live" = yes ]; then systemctl disable --now monitor.service 2>/dev/null || true; fi
  for pair in "${UNIT_FILES[@]}"; do rm -f "$root/${pair#*:}"; done
  rm -f "$root/usr/bin/monitor" "$root/etc/monitor/config.toml.dist"
  rm -rf "$home" "$root/usr/share/doc/monitor"
  if [ "$live" = yes ]; then systemctl daemon-reload; fi
  if [ "$1" = purge ]; then
    rm -rf "$root/etc/monitor" "$root/var/lib/monitor"
    if [ -z "$root" ] && id monitor >/dev/null 2>&1; then userdel monitor; fi
    say "removed, with configuration, catalogue and outbox"
  else
    say "removed; /etc/monitor and /var/lib/monitor are still there (purge removes them)"
  fi
}

[ "$(id -u)" -eq 0 ] || [ -n "$root" ] || refuse "run this as root."
case "${1:-install}" in
  install) do_install "" ;;
  --deps) do_install "${2:?--deps needs a folder}" ;;
  rollback) do_rollback ;;
  uninstall | purge) do_uninstall "$1" ;;
  *) refuse "unknown: $1. Say nothing, --deps VENV, rollback, uninstall or purge." ;;
esac
