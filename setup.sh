#!/usr/bin/env bash
# Prepares this machine: `./setup.sh` to build and run Wharf, `./setup.sh test` to test it too.
#
# Every make target calls this. It checks what is installed and adds what is missing; the
# second time it adds nothing. As root on Debian it installs Debian packages;
# anywhere else it lists what is missing and stops. The results are written to
# target/setup/env, for style/build.sh and the Makefile.
set -euo pipefail
cd "$(dirname "$0")"

for_tests=no
case ${1:-build} in
  build) ;;
  test) for_tests=yes ;;
  *) echo "setup.sh: unknown argument '$1'. Usage: setup.sh [test]" >&2; exit 2 ;;
esac

export PATH="$HOME/.cargo/bin:$PATH" DEBIAN_FRONTEND=noninteractive npm_config_update_notifier=false
cache=${XDG_CACHE_HOME:-$HOME/.cache}/wharf
wasm=wasm32-unknown-unknown
mkdir -p target/setup
exec 9>target/setup/lock
flock 9

say() { printf '==> setup: %s\n' "$*" >&2; }
die() { printf '\nsetup failed: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
may_install() { [ "$(id -u)" = 0 ] && have apt-get && have dpkg-query; }
candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: //p' | grep -v '(none)'; }
# The first of the named packages that this Debian has.
first_of() { local p; for p in "$@"; do candidate "$p" >/dev/null && { echo "$p"; return; }; done; echo "$1"; }

# Updates the package lists, at most once per run. Call it before `first_of`, which reads them.
apt_updated=no
apt_update() {
  [ $apt_updated = no ] || return 0
  apt_updated=yes
  say "updating the Debian package lists"
  apt-get -qq -o DPkg::Lock::Timeout=500 update || say "could not update the package lists; continuing with the old ones"
}

apt_install() {
  apt_update
  say "installing $*"
  apt-get -qq -y -o DPkg::Lock::Timeout=500 -o Dpkg::Use-Pty=0 install --no-install-recommends "$@" >target/setup/apt.log 2>&1 ||
    { tail -20 target/setup/apt.log >&2; die "apt-get could not install: $*. See its output above."; }
}

# --- Programs to build and run Wharf, and for the builds of apps -----------------------------

pg_server() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || have postgres; }
browser() { type -P chromium || type -P chromium-browser || type -P google-chrome; }

debian_packages() {
  local wanted=(build-essential pkg-config git curl ca-certificates nftables iproute2 procps util-linux
    xz-utils zstd unzip python3 python3-dev python3-venv python3-pip libssl-dev libpq-dev libffi-dev zlib1g-dev)
  local missing
  mapfile -t missing < <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
    sed -n 's/^installed //p' | cat - <(printf '%s\n' "${wanted[@]}") | sort | uniq -u)
  pg_server || missing+=("$(first_of postgresql-15 postgresql)")
  { have node && have npm; } || missing+=(nodejs npm)
  # In /usr/bin, because builds of apps have no access to home directories.
  { [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ]; } ||
    missing+=("$(first_of rustc-web rustc)" "$(first_of cargo-web cargo)")
  [ $for_tests = no ] || browser >/dev/null || missing+=(chromium)
  echo "${missing[*]}"
}

install_debian_packages() {
  local missing packages
  missing=$(debian_packages)
  [ -n "$missing" ] || return 0
  may_install || die "these Debian packages are missing:
    sudo apt-get install --no-install-recommends $missing
Run that command, or run setup.sh as root."
  apt_update
  if ! pg_server; then
    # Wharf creates its own clusters; Debian's default one is not needed.
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/wharf.conf
  fi
  # Listed again: with the new package lists, other names may be available.
  read -ra packages <<<"$(debian_packages)"
  apt_install "${packages[@]}"
}

check_programs() {
  local missing=() p
  for p in cc pkg-config git curl nft ip python3 node npm xz zstd unzip; do
    have $p || [ -x /usr/sbin/$p ] || missing+=("$p")
  done
  pg_server || missing+=("postgres (a PostgreSQL server, 15 or newer)")
  if [ $for_tests = yes ]; then
    browser >/dev/null || missing+=("chromium")
    have openssl || missing+=("openssl")
  fi
  [ ${#missing[@]} = 0 ] || die "these programs are missing: $(printf '%s, ' "${missing[@]}" | sed 's/, $//').
Install them with your package manager (on Debian, this script does so when run as root)."
}

# --- Rust --------------------------------------------------------------------------------

rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -1)" = "$1" ]; }
rust_version() { "$1" --version 2>/dev/null | cut -d' ' -f2; }

check_rust() {
  { have cargo && have rustc; } || die "Rust is missing. Install it with rustup (https://rustup.rs) and try again."
  local found
  found=$(rust_version rustc)
  [ -n "$found" ] || die "'rustc --version' failed. With rustup, install a toolchain: rustup default stable"
  at_least "$rust_wanted" "$found" ||
    die "Rust $found is too old: Wharf needs $rust_wanted. With rustup: rustup update stable"
  [ $for_tests = yes ] || return 0
  local tool
  for tool in clippy rustfmt; do
    local command=${tool/rustfmt/fmt}
    cargo "$command" --version >/dev/null 2>&1 && continue
    if have rustup; then
      say "installing $tool"
      rustup component add $tool
    elif may_install; then
      apt_update
      apt_install "$(if [ $tool = clippy ]; then first_of rust-web-clippy rust-clippy; else first_of rustfmt-web rustfmt; fi)"
    else
      die "'cargo $command' is missing. With rustup: rustup component add $tool"
    fi
  done
}

# --- Rust's standard library for WASM --------------------------------------------------------

std_of() { echo "$("$1" --print sysroot)/lib/rustlib/$wasm/lib"; }
has_std() { compgen -G "$(std_of "$1")/libstd-*.rlib" >/dev/null; }
# The one we build works only with the compiler that built it.
debian_std() { [ "$(cat "$(std_of /usr/bin/rustc)/made-by" 2>/dev/null)" = "$(/usr/bin/rustc -vV | sha256sum)" ]; }
debian_ready() { [ -x /usr/bin/rustc ] && has_std /usr/bin/rustc && { ! [ -e "$(std_of /usr/bin/rustc)/made-by" ] || debian_std; }; }

# If rustup cannot download it: Debian packages the source, from which it is built once, in a minute.
make_std() {
  may_install || die "Rust's standard library for WASM is missing: rustup target add $wasm"
  apt_update
  apt_install "$(first_of rustc-web rustc)" "$(first_of cargo-web cargo)" "$(first_of rust-web-src rust-src)" rust-web-llvm
  at_least "$rust_wanted" "$(rust_version /usr/bin/rustc)" ||
    die "Debian's Rust $(rust_version /usr/bin/rustc) is too old to build the WASM. With rustup: rustup target add $wasm"
  # rust-lld is a symlink to the linker of one LLVM release, which is a separate package.
  have rust-lld || apt_install "$(basename "$(readlink /usr/bin/rust-lld)")"
  say "building Rust's standard library for WASM (once, about a minute)"
  local work to
  work=$(mktemp -d)
  mkdir "$work/src"
  : >"$work/src/lib.rs"
  printf '[package]\nname = "throwaway"\nversion = "0.0.0"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n[profile.release]\npanic = "abort"\n[workspace]\n' >"$work/Cargo.toml"
  # With bitcode, which builds with fat LTO need.
  (cd "$work" && PATH=/usr/bin:$PATH RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
    CARGO_TARGET_DIR="$work/target" /usr/bin/cargo build --release -Zbuild-std=std,panic_abort --target $wasm)
  to=$(std_of /usr/bin/rustc)
  rm -rf "$to"
  mkdir -p "$to"
  find "$work/target/$wasm/release/deps" -name 'lib*.rlib' ! -name 'libthrowaway*' -exec cp -t "$to" {} +
  /usr/bin/rustc -vV | sha256sum >"$to/made-by"
  rm -rf "$work"
}

wasm_bin=
find_wasm() {
  if has_std rustc; then wasm_bin=$(dirname "$(command -v rustc)"); elif debian_ready; then wasm_bin=/usr/bin; else return 1; fi
  # With only Debian's Rust, a library built by an older release does not count.
  [ "$wasm_bin" != /usr/bin ] || debian_ready
}

check_wasm() {
  find_wasm && return
  if have rustup; then
    say "installing Rust's standard library for WASM"
    rustup target add $wasm || say "rustup could not download it"
  fi
  find_wasm && return
  make_std
  find_wasm || die "Rust's standard library for WASM was built but was not found in $(std_of /usr/bin/rustc)."
}

# --- Tools of the console's build --------------------------------------------------------------

# Built once for each version, for all checkouts of this user.
tools=
check_tools() {
  local version
  version=$(cat style/tools/Cargo.toml style/tools/src/main.rs | sha256sum | cut -c1-16)
  tools=$cache/front_tools-$version/bin/front_tools
  [ -x "$tools" ] && return
  say "building the tools of the console's build (once, about a minute)"
  CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0 \
    CARGO_TARGET_DIR=target/setup/tools cargo install --locked --path style/tools --root "$cache/front_tools-$version"
  rm -rf target/setup/tools
}

# npm_ci FOLDER PROGRAM: installs the packages of FOLDER's lock file, unless they are installed.
npm_ci() {
  local lock
  lock=$(sha256sum <"$1/package-lock.json")
  [ -x "$1/node_modules/.bin/$2" ] && [ "$(cat "$1/node_modules/.setup" 2>/dev/null)" = "$lock" ] && return
  say "installing the packages of $1/package.json"
  (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  echo "$lock" >"$1/node_modules/.setup"
}

# Playwright needs Node 20; Debian 12 has 18. Newer ones are available as npm packages.
node_bin=
check_node() {
  node_bin=$(dirname "$(command -v node)")
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 18 ] || die "Node.js $major is too old: the console's build needs 18 or newer."
  [ $for_tests = yes ] && [ "$major" -lt 20 ] || return 0
  local arch
  arch=$(node -p process.arch)
  node_bin=$cache/node/node_modules/node-linux-$arch/bin
  [ -x "$node_bin/node" ] && return
  say "installing Node.js 22 for the tests"
  npm install --prefix "$cache/node" --ignore-scripts --no-audit --no-fund --loglevel=error "node-linux-$arch@22" >&2
}

# An SMTP server with TLS.
check_mail_server() {
  local wanted=1.4.6 home=target/setup/python
  compgen -G "$home/lib/python3*/site-packages/aiosmtpd-$wanted.dist-info" >/dev/null && return
  say "installing aiosmtpd for the tests"
  python3 -m venv --clear "$home" >&2
  "$home/bin/pip" install --quiet --disable-pip-version-check "aiosmtpd==$wanted" >&2
}

if have dpkg-query; then install_debian_packages; fi
check_programs
check_rust
check_wasm
check_tools
check_node
npm_ci style tailwindcss
if [ $for_tests = yes ]; then
  npm_ci end2end playwright
  check_mail_server
fi

{
  echo "WASM_BIN='$wasm_bin'"
  echo "WASM_RUSTC_VERSION='$("$wasm_bin/rustc" -V)'"
  echo "FRONT_TOOLS='$tools'"
  echo "NODE_BIN='$node_bin'"
  echo "CHROMIUM='$(browser || true)'"
} >target/setup/env
