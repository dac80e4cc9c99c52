#!/usr/bin/env bash
# Puts in place what the monitor needs on Debian 12 or Ubuntu 24.04: system packages, then .venv with pinned packages.
#
#   deploy/setup.sh          what the daemon and the demo need
#   deploy/setup.sh test     also the neighbours that the tests talk to (Icecast, Mosquitto, Prometheus, amtool, systemd, PulseAudio, sqlite3, …)
#   deploy/setup.sh bench    also what the benchmark talks to (Mosquitto) and runs beside (Chromaprint's fpcalc)
#
# Asks for root (or sudo) only when a system package is missing. A second run finds everything there and takes a second.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
refuse() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# A neighbour is wanted for its program only: its service must neither start now nor at the next boot.
install_packages() {
  have apt-get || refuse "missing: $*. This script knows apt-get only; install them by hand, then run it again."
  [ "$(id -u)" -eq 0 ] || have sudo || refuse "missing: $*. Run this as root, or install sudo."
  say "installing $*"
  local policy=/usr/sbin/policy-rc.d made_policy=no status=0 service
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made_policy=yes
  fi
  { as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"; } </dev/null >&2 || status=$?
  [ "$made_policy" = no ] || as_root rm -f "$policy"
  [ "$status" -eq 0 ] || refuse "apt-get failed; its reason stands above."
  if [ -d /run/systemd/system ]; then
    for service in icecast2 mosquitto prometheus prometheus-alertmanager; do
      case " $* " in *" $service "*) as_root systemctl disable --now -q "$service" || say "could not switch off $service" ;; esac
    done
  fi
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if have "$candidate" && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      echo "$candidate"
      return
    fi
  done
}

has_headers() { "$1" -c 'import pathlib, sysconfig, sys; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())'; }

missing=()
have ffmpeg || missing+=(ffmpeg)
have gcc || missing+=(gcc libc6-dev)
[ -e /usr/include/portaudio.h ] || missing+=(portaudio19-dev)
python=$(find_python)
if [ -z "$python" ]; then
  missing+=(python3 python3-venv python3-dev)
else
  "$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  has_headers "$python" || missing+=(python3-dev)
fi
if [ "${1:-}" = test ]; then
  have icecast2 || missing+=(icecast2)
  have mosquitto || [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto)
  have faketime || missing+=(faketime)
  have openssl || missing+=(openssl)
  have promtool || missing+=(prometheus)
  have amtool || missing+=(prometheus-alertmanager)
  have systemd-nspawn || missing+=(systemd-container)
  have sqlite3 || missing+=(sqlite3)
  have shellcheck || missing+=(shellcheck)
  have fpcalc || missing+=(libchromaprint-tools)
  have yamllint || missing+=(yamllint)
  have systemd-analyze || missing+=(systemd)
  have fluidsynth || missing+=(fluidsynth)
  [ -e /usr/share/sounds/sf2/TimGM6mb.sf2 ] || missing+=(timgm6mb-soundfont)
  have pulseaudio || missing+=(pulseaudio libasound2-plugins)
  have jackd || missing+=(jackd2)
  have liquidsoap || missing+=(liquidsoap)
  [ -e /usr/lib/nginx/modules/ngx_rtmp_module.so ] || missing+=(nginx-light libnginx-mod-rtmp)
  /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null ||
    missing+=(python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good)
fi
if [ "${1:-}" = bench ]; then
  have mosquitto || [ -x /usr/sbin/mosquitto ] || missing+=(mosquitto)
  have fpcalc || missing+=(libchromaprint-tools)
fi
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

python=$(find_python)
[ -n "$python" ] || refuse "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3."
has_headers "$python" || refuse "$python has no headers (Python.h), which PyAudio is built with; install its -dev package."

stamp=.venv/.installed
wanted=$({ cat constraints.txt pyproject.toml && "$python" -V && pwd; } | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  say "installing the pinned packages into .venv (some 7 GB: PyTorch and Faiss in their CUDA builds)"
  rm -f "$stamp"
  [ -x .venv/bin/pip ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' >&2
  echo "$wanted" >"$stamp"
fi
