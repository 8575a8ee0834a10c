# shellcheck shell=bash
# The stack's compiler, held against rust-toolchain.toml or rust-toolchain.

check_toolchain() {
  local file wanted='' have
  if ! command -v rustc >/dev/null || ! command -v cargo >/dev/null; then
    fail 'The stack has no Rust. The operator of the platform installs it: apt-get install rustc-web cargo-web'
  fi
  have=$(rustc --version | cut -d ' ' -f 2)
  for file in rust-toolchain.toml rust-toolchain; do
    [ -f "$file" ] || continue
    if grep -q '^ *channel *=' "$file"; then
      wanted=$(sed -n 's/^ *channel *= *["'\'']\([^"'\'']*\)["'\''].*/\1/p' "$file" | head -n 1)
    elif ! grep -q '^ *\[' "$file"; then
      wanted=$(tr -d '[:space:]' <"$file")
    fi
    break
  done
  case $wanted in
    '' | stable | "$have" | "${have%.*}" | stable-*) ;;
    *)
      [[ $wanted =~ ^${have//./\\.}- ]] || [[ $wanted =~ ^${have%.*}\.[0-9]+$ ]] ||
        fail "Rust $wanted, which $file asks for, cannot be had: this stack has Rust $have." \
          "Write \"stable\" or \"${have%.*}\" in $file, or remove that file, and push again."
      ;;
  esac
  if [ -n "$wanted" ]; then
    topic "Using Rust $have ($file: $wanted)"
  else
    topic "Using Rust $have"
  fi
  [[ ! $wanted =~ ^[0-9]+\.[0-9]+\.[0-9]+$ || $wanted = "$have" ]] ||
    warn "$file asks for Rust $wanted; this stack has $have of the same line."
}
