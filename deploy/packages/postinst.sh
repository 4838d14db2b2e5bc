#!/bin/sh
# After an installation or an upgrade: enables the service at the first installation,
# and starts or restarts it. It waits until this machine is enrolled; nothing here makes
# an identity. dpkg calls this with a word and the previous version, rpm with 1
# (installation) or 2 (upgrade), apk with a version.
set -e

unit=peaqos-agent.service
sudo=${SUDO_UID:+sudo } # for what is printed: a root shell may have none
running=no # systemd runs here: not in a chroot or while an image is made
[ ! -d /run/systemd/system ] || running=yes

# startable: the configuration is valid, or more belongs to it than its file. With one that is not,
# a restart would end an agent that works.
startable() {
  if systemctl show --property=Environment,EnvironmentFiles,ExecStart $unit | grep -qE 'PEAQOS_|EnvironmentFiles=/| --'; then
    return 0
  fi
  peaqos-agent config check --quiet >/dev/null || [ $? -ne 3 ] || {
    echo "peaqos-agent: the service was left as it is, because it does not start with this configuration."
    echo "  When it is right: ${sudo}peaqos-agent service restart"
    return 1
  }
}

case "$1" in
  configure | abort-upgrade | abort-deconfigure | abort-remove)
    # At the first installation only: who has deleted it keeps it deleted.
    if [ -z "$2" ] && [ ! -e /etc/peaqos-agent/config.yaml ]; then
      install -d -m 755 /etc/peaqos-agent
      install -m 644 /usr/share/peaqos-agent/config.yaml /etc/peaqos-agent/config.yaml.dpkg-new
      mv /etc/peaqos-agent/config.yaml.dpkg-new /etc/peaqos-agent/config.yaml
    fi
    deb-systemd-helper unmask $unit >/dev/null || true
    # Also true at the first installation. Who has disabled it keeps it disabled.
    if deb-systemd-helper --quiet was-enabled $unit; then
      deb-systemd-helper enable $unit >/dev/null || true
    else
      deb-systemd-helper update-state $unit >/dev/null || true
    fi
    if [ $running = yes ]; then
      systemctl --system daemon-reload >/dev/null || true
      if [ -n "$2" ]; then action=restart; else action=start; fi
      if startable; then deb-systemd-invoke $action $unit >/dev/null || true; fi
    fi
    ;;
  1)
    if command -v systemctl >/dev/null; then systemctl enable $unit >/dev/null 2>&1 || true; fi
    if [ $running = yes ]; then
      systemctl daemon-reload || true
      if startable; then systemctl start $unit || true; fi
    fi
    ;;
  2)
    if [ $running = yes ]; then
      systemctl daemon-reload || true
      if startable; then systemctl try-restart $unit || true; fi
    fi
    ;;
  *) # apk: Alpine's service manager is OpenRC, and no package of it enables a service
    if command -v rc-service >/dev/null; then
      rc-service --quiet --ifstarted peaqos-agent restart || true
      echo "peaqos-agent: to start it, now and at each boot: rc-update add peaqos-agent && rc-service peaqos-agent start"
    fi
    ;;
esac

# A unit of "peaqos-agent service install" takes precedence over that of the package.
if [ -f /etc/systemd/system/$unit ] && grep -q '^Description=peaqOS agent' /etc/systemd/system/$unit; then
  echo "peaqos-agent: /etc/systemd/system/$unit hides the unit of this package."
  echo "  To use that of the package: ${sudo}peaqos-agent service uninstall && ${sudo}systemctl enable --now peaqos-agent"
fi
