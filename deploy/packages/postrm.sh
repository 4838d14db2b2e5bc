#!/bin/sh
# After a removal. The state stays, also after dpkg's purge: it holds the token and may
# hold the controller key of this machine, which nothing can restore. A purge removes
# a state that holds nothing. dpkg calls this with a word, rpm with 0 (removal) or
# 1 (upgrade), apk with a version.
set -e

unit=peaqos-agent.service
sudo=${SUDO_UID:+sudo } # for what is printed: a root shell may have none
state=/var/lib/private/peaqos-agent # with the link /var/lib/peaqos-agent, by systemd
[ -d $state ] || state=/var/lib/peaqos-agent # by OpenRC

case "$1" in
  upgrade | failed-upgrade | abort-install | abort-upgrade | disappear | 1) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
  # prerm does not run for a package that was never configured, and policy-rc.d may forbid it to stop a service.
  if systemctl --quiet is-active $unit; then deb-systemd-invoke stop $unit >/dev/null 2>&1 || true; fi
  if systemctl --quiet is-active $unit; then
    echo "peaqos-agent: the service still runs, without its files. To stop it: ${sudo}systemctl stop peaqos-agent"
  fi
fi

if [ "$1" = purge ]; then
  if command -v deb-systemd-helper >/dev/null; then
    deb-systemd-helper purge $unit >/dev/null || true
    deb-systemd-helper unmask $unit >/dev/null || true
  fi
  rm -f /etc/peaqos-agent/config.yaml /etc/peaqos-agent/config.yaml.bak /etc/peaqos-agent/config.yaml.dpkg-new
  rmdir /etc/peaqos-agent 2>/dev/null || true
  if [ -d $state ] && [ -z "$(find $state -type f ! -empty)" ]; then
    rm -rf $state
    if [ -L /var/lib/peaqos-agent ]; then rm /var/lib/peaqos-agent; fi
  fi
fi

if [ -d $state ] && [ -n "$(find $state -type f ! -empty)" ]; then
  echo "peaqos-agent: the state with this machine's token and keys is kept in $state."
  echo "  To delete it, which nothing can undo: ${sudo}rm -rf $state /var/lib/peaqos-agent"
fi
