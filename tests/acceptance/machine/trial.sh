#!/bin/bash
# Runs as a service in a machine of its own, under a real systemd: starts, reloads, freezes, misconfigures and stops the monitor, and
# writes what systemd makes of it to /trial.txt, a KEY=VALUE line each. `tests/acceptance/test_systemd.py` judges.
# shellcheck disable=SC2016 # wait_for looks at what it is given again and again
cd / || exit
note() { echo "$1=$2" >>/trial.txt; }
show() { systemctl show monitor.service --value -p "$1"; }
page() { /usr/bin/python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:9464/metrics").read().decode())' 2>/dev/null; }
figure() { page | grep -v '^#' | grep -F "$1 " | cut -d' ' -f2; }
wait_for() { # command, seconds
  local left=$(($2 * 5))
  until eval "$1"; do
    left=$((left - 1))
    [ $left -gt 0 ] || { note gave_up "$1"; return 1; }
    sleep 0.2
  done
}

systemctl start broker.service
systemctl start monitor.service
note start $?
note active "$(show ActiveState)"
note user "$(stat -c %U "/proc/$(show MainPID)")"
note ready_said "$(journalctl -u monitor.service -o cat | grep -c '"monitoring"')"
wait_for '[ "$(figure monitor_broker_connected)" = 1.0 ]' 30
note broker "$(figure monitor_broker_connected)"
wait_for '[ "$(figure "monitor_detections_total{kind=\"started\",station=\"one\"}")" = 1.0 ]' 40
note detections "$(figure 'monitor_detections_total{kind="started",station="one"}')"
wait_for 'show StatusText | grep -q "1 of 1 stations heard"' 20
note status "$(show StatusText)"
note limits "$(show LimitNOFILE) $(show LimitCORE) $(show TasksMax)"
note exposure "$(systemd-analyze security --no-pager monitor.service | tail -1 | grep -o '[0-9]\.[0-9]')"
note world_can_read_state "$(setpriv --reuid=65534 --regid=65534 --clear-groups ls /var/lib/monitor >/dev/null 2>&1 && echo yes || echo no)"

sed -i 's/name = "one"/name = "two"/' /etc/monitor/config.toml
systemctl reload monitor.service
note reload $?
wait_for '[ "$(figure "monitor_stream_state{state=\"online\",station=\"two\"}")" = 1.0 ]' 20
note reloaded "$(figure 'monitor_stream_state{state="online",station="two"}')"
wait_for '[ "$(show ActiveState)" = active ]' 10
note after_reload "$(show ActiveState)"

# A daemon that stands still must be noticed by the watchdog, and started again.
before=$(show MainPID)
kill -STOP "$before"
wait_for '[ "$(show NRestarts)" = 1 ] && [ "$(show ActiveState)" = active ] && [ "$(show MainPID)" != "$before" ]' 90
note watchdog "$(journalctl -u monitor.service -o cat | grep -c 'Watchdog timeout')"
note restarts "$(show NRestarts)"

systemctl stop monitor.service
note stopped "$(show Result) $(show ExecMainStatus)"
note left_over "$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c ffmpeg)"

# 78: a person must change something; systemd leaves it alone.
echo 'prot = 1' >>/etc/monitor/config.toml
systemctl start monitor.service 2>/dev/null
note misconfigured $?
sleep 7
note left_alone "$(show ActiveState) $(show ExecMainStatus) $(show NRestarts)"
note left_alone_because "$(journalctl -u monitor.service -p err -o cat | grep -c '^monitor: .* prot: no such key')"
journalctl -u monitor.service -o cat >/trial.log
note end reached
