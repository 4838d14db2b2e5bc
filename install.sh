#!/bin/sh
# Installs peaqos-agent: the package where dpkg, rpm or apk manages this system, else the
# tarball. It verifies what it installs, says what it will do, and asks.
#
#   sh install.sh --key release.pub                 # from the project's releases
#   sh install.sh --from DIR --key release.pub      # offline, from a directory
#   sh install.sh --help

# Where releases are. --url names another directory with the same files.
releases=https://github.com/peaqnetwork/peaqos-agent/releases

usage() {
  cat <<'USAGE'
Usage: sh install.sh [options]

Where it comes from
  --from DIR        a directory with SHA256SUMS, SHA256SUMS.sig and the files; no network
  --url URL         a web address with the same files (default: the project's releases)
  --version X.Y.Z   this version and no other (default: the latest)
  --key FILE        the public key (PEM) that signed SHA256SUMS
  --no-signature    install without verifying the signature; the sums are still verified
  --arch ARCH       armv6, armv7, arm64, amd64, 386 or riscv64 (default: this machine's)

What it does
  --prefix DIR      the tarball, below DIR, for one user: no service, no package
  --tarball         the tarball, below /usr/local, also where a package could be installed
  --uninstall       remove it again; the state is kept
  --dry-run         verify, and print what would be done
  --yes             do not ask
USAGE
}

# fail WHAT NEXT
fail() {
  printf 'Error: %s\nNext:  %s\n' "$1" "$2" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# quoted WORD prints it as a shell reads it.
quoted() {
  case $1 in
    *[!A-Za-z0-9_./=:@%+-]*|'') printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf %s "$1" ;;
  esac
}

# run COMMAND… shows a command that changes this system and runs it; with --dry-run it
# only shows it.
run() {
  line='  '
  for word in "$@"; do line="$line $(quoted "$word")"; done
  printf '%s\n' "$line"
  [ -n "$dry_run" ] || "$@" || fail "this command failed:$line" "see its message above; nothing after it was done"
}

arguments() {
  from='' url='' want='' key='' no_signature='' arch='' prefix='' tarball='' uninstall='' dry_run='' yes=''
  while [ $# -gt 0 ]; do
    case $1 in
      --*=*) # --prefix=DIR
        word=$1
        shift
        set -- "${word%%=*}" "${word#*=}" "$@" ;;
    esac
    case $1 in
      --from|--url|--version|--key|--arch|--prefix)
        if [ -z "${2:-}" ]; then fail "$1 needs a value" "sh install.sh --help"; fi ;;
    esac
    case $1 in
      --from) from=$2; shift ;;
      --url) url=$2; shift ;;
      --version) want=${2#v}; shift ;;
      --key) key=$2; shift ;;
      --arch) arch=$2; shift ;;
      --prefix) prefix=$2; shift ;;
      --no-signature) no_signature=1 ;;
      --tarball) tarball=1 ;;
      --uninstall) uninstall=1 ;;
      --dry-run) dry_run=1 ;;
      --yes|-y) yes=1 ;;
      --help|-h) usage; exit 0 ;;
      *) fail "unknown option $1" "sh install.sh --help" ;;
    esac
    shift
  done
  [ -z "$from" ] || [ -z "$url" ] || fail "--from and --url exclude each other" "give one of them"
  [ -z "$key" ] || [ -z "$no_signature" ] || fail "--key and --no-signature exclude each other" "give one of them"
  case $prefix in
    ''|/*) ;;
    '~'*) fail "the shell did not replace the ~ of --prefix $prefix" "write \$HOME instead of ~, or --prefix DIR without =" ;;
    *) prefix=$(pwd)/$prefix ;;
  esac
  root='' sudo=''
  if [ "$(id -u)" -eq 0 ]; then root=1; fi
  if [ -n "${SUDO_UID:-}" ]; then sudo='sudo '; fi # what is printed has it only for who came by it
  if [ -z "$root" ] && [ -z "$prefix" ] && [ -z "$dry_run" ]; then
    fail "installing for the whole system needs root" "run it with sudo, or give --prefix \$HOME/.local"
  fi
}

# The processor, in the words of the file names. A 32-bit system on a 64-bit kernel gets
# the 32-bit file. On a Pi Zero, "CPU architecture: 7" in /proc/cpuinfo is wrong, so what
# the kernel calls itself decides, and after it what the processor can do.
detect() {
  machine=$(uname -m)
  bits=$(getconf LONG_BIT 2>/dev/null || echo unknown)
  case $machine in
    x86_64|amd64) arch=amd64; [ "$bits" != 32 ] || arch=386 ;;
    i[3-6]86)
      arch=386
      grep -qw sse2 /proc/cpuinfo || unsupported "this processor has no SSE2" ;;
    aarch64|arm64) arch=arm64; [ "$bits" != 32 ] || arch=armv7 ;;
    armv8*) arch=armv7 ;;
    armv7*)
      arch=armv7
      if grep -qi 'ARMv6' /proc/cpuinfo || ! grep -qiE '^features.*(vfpv3|vfpv4|neon|vfpd32)' /proc/cpuinfo; then arch=armv6; fi ;;
    armv6*) arch=armv6 ;;
    riscv64) arch=riscv64 ;;
    *) unsupported "uname -m prints $machine" ;;
  esac
  if [ "$arch" = armv6 ] && ! grep -qiE '^features.*vfp' /proc/cpuinfo; then
    unsupported "this ARM processor has no floating point unit"
  fi
}

unsupported() { fail "there is no build for this processor: $1" "if that is wrong, give --arch"; }

# The package format of this system: empty, deb, rpm or apk. A tool alone does not make
# one: Debian has an rpm as well.
package_format() {
  if have dpkg && [ -s /var/lib/dpkg/status ]; then echo deb
  elif have apk && [ -e /lib/apk/db/installed ]; then echo apk
  elif have rpm && { [ -d /usr/lib/sysimage/rpm ] || [ -d /var/lib/rpm ]; }; then echo rpm
  fi
}

# package_arch FORMAT prints what that format calls the processor.
package_arch() {
  case $1:$arch in
    deb:armv6|deb:armv7) echo armhf ;;
    deb:386) echo i386 ;;
    deb:*) echo "$arch" ;;
    *:arm64) echo aarch64 ;;
    *:amd64) echo x86_64 ;;
    apk:386) echo x86 ;;
    rpm:386) echo '(i386|i686)' ;;
    apk:armv6) echo armhf ;;
    rpm:armv6) echo '(armv6hl|armhfp)' ;;
    apk:armv7) echo armv7 ;;
    rpm:armv7) echo '(armv7hl|armhfp)' ;;
    *) echo riscv64 ;;
  esac
}

# fetch NAME puts one file of the release into $work.
fetch() {
  if [ -n "$from" ]; then
    [ -f "$from/$1" ] || fail "there is no $1 in $from" "get the complete release, and give its directory"
    cp "$from/$1" "$work/$1" || fail "$1 cannot be copied to $work" "see the message above; TMPDIR names another directory"
    return
  fi
  echo "Download:  $1"
  if have curl; then
    curl -fsSL --max-time 600 -o "$work/$1" "$url/$1"
  elif have wget; then
    silent=-q # of BusyBox, which still prints errors
    if wget --help 2>&1 | grep -q -e --no-verbose; then silent=-nv; fi
    wget $silent -O "$work/$1" "$url/$1" 2>"$work/wget.log" || { cat "$work/wget.log" >&2; false; }
  else
    fail "neither curl nor wget is installed" "install one of them, or copy the files here and give --from DIR"
  fi || fail "$1 was not fetched from $url" "see the message above: check the address and the network; --from DIR installs offline"
}

# address chooses where the release is read from.
address() {
  if [ -n "$from" ]; then
    [ -d "$from" ] || fail "$from is not a directory" "give the directory that contains SHA256SUMS"
    return
  fi
  if [ -z "$url" ]; then
    url=$releases/latest/download
    [ -z "$want" ] || url=$releases/download/v$want
  fi
  case $url in
    https://*) ;;
    http://*) [ -n "$key" ] || fail "$url is not encrypted" "give --key, so that the signature is verified, or an https address" ;;
    *) fail "$url is not a web address" "give an https address, or a directory with --from" ;;
  esac
}

# verify_signature verifies SHA256SUMS, before anything in it is believed. The signature
# is DER, or the same in base64.
verify_signature() {
  if [ -n "$no_signature" ]; then
    echo "Signature: NOT verified (--no-signature); only damage in transfer would be noticed"
    return
  fi
  have openssl || fail "the signature cannot be verified: openssl is not installed" "install openssl"
  [ -r "$key" ] || fail "the public key $key cannot be read" "give the file with the release's public key"
  fetch SHA256SUMS.sig
  if ! verified_with "$work/SHA256SUMS.sig"; then
    tr -d ' \r\n' <"$work/SHA256SUMS.sig" | openssl base64 -d -A >"$work/signature" 2>/dev/null || true
    verified_with "$work/signature" ||
      fail "the signature of SHA256SUMS does not belong to $key: the files were changed, or signed by someone else" \
        "do not install them; get the release and its key again from a source that you trust"
  fi
  echo "Signature: SHA256SUMS was signed with $key"
}

verified_with() {
  [ -s "$1" ] && openssl dgst -sha256 -verify "$key" -signature "$1" "$work/SHA256SUMS" >/dev/null 2>&1
}

# listed PATTERN prints the names in SHA256SUMS that match, each once.
listed() { sed -n 's/^[0-9a-f]\{64\} [ *]\([A-Za-z0-9._+~-]*\)$/\1/p' "$work/SHA256SUMS" | sort -u | grep -E "^$1\$" || true; }

# choose finds the file to install: a package for this system, else the tarball.
choose() {
  format=''
  if [ -z "$prefix$tarball" ]; then format=$(package_format); fi
  file=''
  number='[0-9][0-9A-Za-z.+~]*'
  [ -z "$want" ] || number=$(printf %s "$want" | sed 's/[.+]/[&]/g')
  if [ -n "$format" ]; then
    file=$(listed "peaqos-agent[_-]$number(-[0-9]+|-r[0-9]+)?[_.-]$(package_arch "$format")[.]$format")
    [ -n "$file" ] || echo "Note: the release has no $format package for this processor; this is the tarball"
  fi
  if [ -z "$file" ]; then
    format=''
    file=$(listed "peaqos-agent_${number}_linux_${arch}[.]tar[.]gz")
  fi
  case $(printf '%s\n' "$file" | grep -c .) in
    0) fail "the release has no file for $arch${want:+ of version $want}" "look into SHA256SUMS of ${from:-$url}; --arch names another processor" ;;
    1) ;;
    *) fail "there are several versions: $(echo "$file" | tr '\n' ' ')" "choose one with --version" ;;
  esac
}

# verify_sum fetches the chosen file and compares it with its line in SHA256SUMS.
verify_sum() {
  fetch "$file"
  expected=$(grep -E "^[0-9a-f]{64} [ *]" "$work/SHA256SUMS" | sort -u | awk -v name="$file" '{ n = substr($0, 67) } n == name { print $1 }')
  actual=$(openssl_or_sha256 "$work/$file")
  [ "$expected" = "$actual" ] ||
    fail "$file is damaged or was changed: its SHA-256 is $actual, SHA256SUMS has $expected" "do not install it; get it again"
  echo "Sum:       $file has the SHA-256 of SHA256SUMS"
}

# A Windows editor, or a transfer as text, adds a byte to each line.
unchanged_lines() {
  if grep -q "$(printf '\r')" "$work/SHA256SUMS"; then
    fail "SHA256SUMS has the line ends of Windows: it was changed on its way" "transfer the files again, as binary"
  fi
}

openssl_or_sha256() {
  if have sha256sum; then sha256sum <"$1"; else openssl dgst -sha256 -r <"$1"; fi | awk '{ print $1 }'
}

# plan says what will be done, and asks.
plan() {
  echo
  echo "$1"
  if [ -n "$yes$dry_run" ]; then return; fi
  [ -t 0 ] || fail "nobody can be asked: standard input is not a terminal" "add --yes, or --dry-run to see the commands"
  printf 'Continue? [y/N] '
  read -r answer || answer=''
  case $answer in y|Y|yes) ;; *) echo "Nothing was done."; exit 1 ;; esac
}

# program_version PROGRAM prints its version, or nothing.
program_version() { "$1" version 2>/dev/null | awk '{ print $2; exit }' || true; }

# change PROGRAM says what the file is to the program that is installed now. The
# version in a file's name has neither of _ and -.
change() {
  now=$(program_version "$1")
  new=$(printf %s "$file" | sed 's/^peaqos-agent[_-]\([^_-]*\).*/\1/')
  if [ -z "$now" ]; then return; fi
  if [ "$now" = "$new" ]; then
    echo ", the version that is installed already"
  elif [ "$(printf '%s\n%s\n' "$now" "$new" | sort -V 2>/dev/null | head -n 1)" = "$new" ]; then
    echo ", which is OLDER than the installed $now: it may not read what that one has stored"
  else
    echo ", in the place of $now"
  fi
}

install_package() {
  plan "This installs the package $file$(change peaqos-agent). Identity and configuration are kept."
  case $format in
    # A configuration that is there is kept.
    deb) run dpkg -i --force-confdef --force-confold "$work/$file" ;;
    rpm) run rpm -U "$work/$file" ;;
    apk) run apk add --allow-untrusted "$work/$file" ;;
  esac
}

# install_tarball copies the files below the prefix and notes what it copied there.
install_tarball() {
  to=${prefix:-/usr/local}
  to=${to%/}
  if [ -z "$prefix" ] && [ -n "$(installed)" ]; then
    fail "the $(installed) package is installed; the two would start the same service" "upgrade the package (without --tarball), or remove it first"
  fi
  what="This copies the program, its manual and completions from $file to ${to:-/}$(change "$to/bin/peaqos-agent")"
  service=''
  if [ -n "$root" ] && [ -z "$prefix" ] && has_systemd; then
    service=1
    what="$what and installs the systemd service"
  fi
  plan "$what."
  mkdir "$work/files"
  tar -xzf "$work/$file" -C "$work/files" || fail "$file cannot be unpacked" "get it again"
  top=$(find "$work/files" -maxdepth 2 -name peaqos-agent -type f | head -n 1) # deeper ones are service files
  [ -n "$top" ] || fail "$file contains no peaqos-agent" "get it again"
  top=$(dirname "$top")

  list=$to/share/peaqos-agent/install.list
  : >"$work/install.list"
  put "$top/peaqos-agent" "$to/bin/peaqos-agent" 755
  find "$top" -type f | grep -E '/[^/]+\.[1-8](\.gz)?$' | sort >"$work/manuals" || true
  while read -r page; do
    section=$(echo "$page" | sed -E 's/.*\.([1-8])(\.gz)?$/\1/')
    put "$page" "$to/share/man/man$section/$(basename "$page")" 644
  done <"$work/manuals"
  completion bash "$to/share/bash-completion/completions/peaqos-agent"
  completion zsh "$to/share/zsh/site-functions/_peaqos-agent"
  completion fish "$to/share/fish/vendor_completions.d/peaqos-agent.fish"
  put "$work/install.list" "$list" 644
  if [ -n "$root" ] && [ -z "$prefix" ] && [ -f "$top/config.yaml" ] && [ ! -e /etc/peaqos-agent/config.yaml ]; then
    run mkdir -p /etc/peaqos-agent
    run cp "$top/config.yaml" /etc/peaqos-agent/config.yaml # it sets nothing
  fi
  [ -z "$service" ] || start_service
}

# put FILE TARGET MODE replaces the target in one step, also a program that is running.
# A program must run before it replaces one. The list has paths below the prefix, so that
# it can be spelled in another way when they are removed.
put() {
  printf '   write %s\n' "$(quoted "$2")"
  printf '%s\n' "${2#"$to"/}" >>"$work/install.list"
  if [ -n "$dry_run" ]; then return; fi
  for part in "$2".*.new; do # of a run that was killed
    part=${part%.new}
    [ -d "/proc/${part##*.}" ] || rm -f "$part.new"
  done
  part=$2.$$.new # of this run; another may be installing as well
  { mkdir -p "$(dirname "$2")" && cp "$1" "$part" && chmod "$3" "$part"; } ||
    fail "$2 cannot be written" "see the message above; nothing after it was done"
  if [ "$3" = 755 ] && ! "$part" version >/dev/null; then
    fail "the program of $file does not run on this machine" \
      "see the message above: --arch names another processor, and a file system with noexec runs none; nothing was replaced"
  fi
  mv -f "$part" "$2"
}

# completion SHELL TARGET asks the program for it, so that it belongs to this version.
completion() {
  if [ -z "$dry_run" ]; then "$to/bin/peaqos-agent" completion "$1" >"$work/completion"; fi
  put "$work/completion" "$2" 644
}

start_service() {
  run "$to/bin/peaqos-agent" service install
  [ ! -d /run/systemd/system ] || run "$to/bin/peaqos-agent" service restart
}

# has_systemd: it runs, or will run when this system is booted: an image that is being made.
has_systemd() { [ -d /run/systemd/system ] || [ -e /usr/lib/systemd/systemd ] || [ -e /lib/systemd/systemd ]; }

next_command() {
  echo
  if [ -n "$dry_run" ]; then echo "Nothing was done (--dry-run)."; return; fi
  echo "Installed $("$1" version)"
  if [ -n "$prefix" ]; then
    echo "Next:  $(quoted "$1") demo     # shows it at work, offline"
  else
    if [ "$format" = apk ]; then
      echo "Service:   to start it, now and at each boot: ${sudo}rc-update add peaqos-agent default && ${sudo}rc-service peaqos-agent start"
    elif ! has_systemd; then
      echo "Service:   this system has no systemd: unpack $file, and see deploy/init/README.md in it"
    elif [ ! -d /run/systemd/system ]; then
      echo "Next:  boot this system, then enroll it: an image that is enrolled makes every copy the same agent"
      return
    elif ! systemctl is-active --quiet peaqos-agent; then # disabled or masked before, or its configuration is wrong
      echo "Service:   it does not run: see systemctl status peaqos-agent; to start it, also at each boot: ${sudo}systemctl enable --now peaqos-agent"
    fi
    if "$1" status --check enrolled >/dev/null 2>&1; then
      echo "Next:  peaqos-agent status"
    else
      echo "Next:  ${sudo}peaqos-agent enroll     # on a terminal it asks for all it needs; or give flags (--help)"
    fi
  fi
}

# installed prints the format of the installed package, or nothing.
installed() {
  if have dpkg && dpkg -s peaqos-agent 2>/dev/null | grep -q '^Status: install ok'; then echo deb
  elif have rpm && rpm -q peaqos-agent >/dev/null 2>&1; then echo rpm
  elif have apk && apk info -e peaqos-agent >/dev/null 2>&1; then echo apk
  fi
}

# value KEY PROGRAM prints one value of the agent's status.
value() { "$2" status --json 2>/dev/null | sed -n "s/^ *\"$1\": \"\(.*\)\",*\$/\1/p" | head -n 1; }

# active names an agent that remains active on the orchestrator without this machine.
active() {
  "$1" status --check enrolled >/dev/null 2>&1 || return 0
  echo
  echo "This machine is enrolled, and its agent remains active on the orchestrator:"
  echo "   agent $(value agent_id "$1") of machine $(value machine_id "$1")"
  echo "To end that, first run:  $sudo$(quoted "$1") unenroll --api-key-file FILE"
}

remove() {
  format=''
  [ -n "$prefix" ] || format=$(installed)
  to=${prefix:-/usr/local} program=peaqos-agent unit=/etc/systemd/system/peaqos-agent.service
  to=${to%/}
  list=$to/share/peaqos-agent/install.list
  if [ -z "$format" ]; then
    [ -f "$list" ] || fail "it is not installed in $to: there is no $list" "give the --prefix with which it was installed"
    program=$to/bin/peaqos-agent
  fi
  state=$(value store_dir "$program")
  active "$program"
  plan "This removes ${format:+the $format package }peaqos-agent${prefix:+ from $prefix}; its configuration and state are kept."
  case $format in
    deb) run dpkg -r peaqos-agent ;;
    rpm) run rpm -e peaqos-agent ;;
    apk) run apk del peaqos-agent ;;
    *)
      if [ -n "$root" ] && [ -z "$prefix" ] && [ -e "$unit" ]; then
        if grep -q '^Description=peaqOS agent' "$unit"; then
          run "$program" service uninstall
        else # a mask, or somebody's own
          echo "Note: $unit was not written by peaqos-agent, and stays"
        fi
      fi
      # The list itself is the last line. Earlier versions listed whole paths.
      while IFS= read -r path; do
        path=${path#"$to"/}
        case $path in
          /*) fail "$list names $path, which is not below $to" "give the --prefix with which it was installed" ;;
          *..*) ;;
          *) run rm -f "$to/$path" ;;
        esac
      done <"$list"
      [ -n "$dry_run" ] || rmdir "$to/share/peaqos-agent" 2>/dev/null || true ;;
  esac
  echo
  if [ -n "$dry_run" ]; then echo "Nothing was done (--dry-run)."; return; fi
  state=${state:-/var/lib/peaqos-agent}
  if [ -e "$state" ] || [ -L "$state" ]; then echo "Removed. Tokens and keys are still in $state."; else echo "Removed."; fi
}

main() {
  set -eu
  umask 022
  arguments "$@"
  if [ -n "$uninstall" ]; then remove; return; fi
  [ -n "$key$no_signature" ] ||
    fail "the signature would not be verified: no public key was given" \
      "give --key FILE with the release's public key; --no-signature installs without this protection"
  address
  [ -n "$arch" ] || detect
  case $arch in
    armv6|armv7|arm64|amd64|386|riscv64) ;;
    *) fail "--arch $arch is unknown" "give armv6, armv7, arm64, amd64, 386 or riscv64" ;;
  esac
  have sha256sum || have openssl ||
    fail "no sum can be verified: neither sha256sum nor openssl is installed" "install one of them"
  work=$(mktemp -d) || fail "a temporary directory cannot be made" "see the message above; TMPDIR names another place"
  part=''
  trap 'rm -rf "$work" ${part:+"$part"}' EXIT
  trap 'exit 130' INT TERM HUP
  echo "Source:    ${from:-$url}"
  fetch SHA256SUMS
  unchanged_lines
  verify_signature
  choose
  verify_sum
  if [ -n "$format" ]; then
    install_package
    next_command peaqos-agent
  else
    install_tarball
    next_command "$to/bin/peaqos-agent"
  fi
}

# The last line: a file that was transferred in part does nothing.
main "$@"
