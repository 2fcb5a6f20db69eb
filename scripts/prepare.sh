#!/bin/sh
# Prepares a clone: sh scripts/prepare.sh [tools] [program] [test]
#   tools    what a run needs of the system: nftables, iproute2 (apt-get; root)
#   program  npm packages and dist/
#   test     what the tests need besides
# Says what it does before it does it, does only what is missing, and leaves nothing that the owner
# of the checkout does not own.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'sluice: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}

# Runs a command; its words are shown only if it fails.
quietly() {
  log=$(mktemp)
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
  else
    status=$?
    sed 's/^/sluice:   /' "$log" | tail -n 40 >&2
    rm -f "$log"
    return "$status"
  fi
}

# Two starts at once: one prepares, the other waits and finds it done.
built() { stat -c %y dist/.built 2>/dev/null || echo never; }
done_by_another=no
exec 9<package.json
flock -n 9 || {
  say "Waiting for another start that prepares this checkout."
  before=$(built)
  flock 9
  [ "$(built)" = "$before" ] || done_by_another=yes
}

# --- Debian packages ---------------------------------------------------------------------------

wanted=""
want() { # COMMAND PACKAGE
  command -v "$1" >/dev/null || wanted="$wanted $2"
}

# What the lab's clients are: the system's own, whatever else is in somebody's PATH.
want_client() { # PATH PACKAGE
  # Why ls: the path may hold a version, as a pattern.
  # shellcheck disable=SC2086
  ls $1 >/dev/null 2>&1 || wanted="$wanted $2"
}

install_wanted() {
  [ -n "$wanted" ] || return 0
  [ "$(id -u)" = 0 ] || {
    say "Cannot install$wanted: this is not root; try: sudo apt-get install$wanted"
    return 1
  }
  command -v apt-get >/dev/null || {
    say "Cannot install$wanted: this machine has no apt-get; install them with its own means"
    return 1
  }
  say "Installing with apt-get:$wanted"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  set -- apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 $wanted
  # A fresh machine has no lists yet; then the first try fails at once.
  "$@" >/dev/null 2>&1 </dev/null || { quietly apt-get update && quietly "$@"; }
}

tools() {
  want nft nftables
  want ip iproute2
  install_wanted || fail "Cannot enforce without$wanted"
}

test_tools() {
  want nft nftables
  want ip iproute2
  want curl curl
  want wget wget
  want git git
  want python3 python3
  want dig dnsutils
  want openssl openssl
  want ssh openssh-client
  want tcpdump tcpdump
  want ping iputils-ping
  want dockerd docker.io
  want docker docker.io
  want busybox busybox-static
  want script bsdutils
  want nginx nginx-light
  want gnutls-cli gnutls-bin
  want lwp-request libwww-perl
  want_client /usr/bin/javac default-jdk-headless
  want_client /usr/bin/mvn maven
  want_client /usr/bin/gradle gradle
  want_client /usr/bin/go golang-go
  want_client /usr/bin/cargo cargo
  want_client /usr/bin/gem ruby
  want_client /usr/bin/bundle ruby-bundler
  want_client /usr/bin/php php-cli
  want_client "/usr/lib/php/*/curl.so" php-curl
  want_client /usr/bin/composer composer
  want_client /usr/bin/gh gh
  want_client /usr/lib/python3/dist-packages/pip python3-pip
  want_client /usr/lib/python3/dist-packages/requests python3-requests
  want_client /usr/lib/python3/dist-packages/httpx python3-httpx
  # Not the end: what needs them is skipped, with its reason, or fails.
  install_wanted || say "Going on without$wanted"
  # Apart, because other distributions than Debian have them by other names, or not at all.
  wanted=""
  want chromium chromium
  want firefox-esr firefox-esr
  install_wanted || say "Going on without$wanted"
}

# --- npm packages and dist/ --------------------------------------------------------------------

# Gives the words that make a command run as the owner of the checkout.
owner=$(stat -c %u .)
as_owner() {
  if [ "$(id -u)" != 0 ] || [ "$owner" = 0 ]; then
    "$@"
    return
  fi
  home=$(getent passwd "$owner" | cut -d: -f6)
  groups=--init-groups
  [ -n "$home" ] || groups=--clear-groups
  HOME=${home:-/tmp} setpriv --reuid="$owner" --regid="$(stat -c %g .)" "$groups" -- "$@"
}

check_node() {
  command -v node >/dev/null && command -v npm >/dev/null ||
    fail "Cannot prepare: there is no node and npm in PATH, must be Node.js 20 or newer; see https://nodejs.org"
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || fail "Cannot prepare: Node.js is $(node --version), must be 20 or newer"
}

check_writable() {
  [ "$(id -u)" = 0 ] || [ -w . ] || fail "Cannot prepare $(pwd): it is not yours to write; start it once with sudo"
}

packages() { # [--omit=dev]
  # A link leads to the packages of another checkout: theirs to keep.
  [ ! -h node_modules ] || return 0
  stamp=node_modules/.sluice-lock
  # Installed by somebody else's npm ci, later than the lock file was written: that counts.
  if [ ! -e "$stamp" ] && [ node_modules/.package-lock.json -nt package-lock.json ]; then
    as_owner cp package-lock.json "$stamp"
  fi
  if [ -e "$stamp" ] && cmp -s package-lock.json "$stamp"; then
    if [ $# -gt 0 ] || [ -d node_modules/tap ]; then
      as_owner touch "$stamp"
      return 0
    fi
  fi
  # Whoever has the packages for development keeps them.
  [ ! -d node_modules/tap ] || set --
  check_node
  check_writable
  say "Installing npm packages (npm ci)."
  quietly as_owner npm ci --no-progress --loglevel=error "$@" || fail "Cannot install the npm packages"
  as_owner cp package-lock.json "$stamp"
}

program() {
  check_node
  check_writable
  packages "$@"
  say "Compiling."
  quietly as_owner sh scripts/build.sh || fail "Cannot compile Sluice"
}

for part in "$@"; do
  case $part in
    tools) tools ;;
    program) [ "$done_by_another" = yes ] || program --omit=dev ;;
    test)
      test_tools
      program
      ;;
    *) fail "Cannot prepare \"$part\": must be tools, program or test" ;;
  esac
done
