# shellcheck shell=bash disable=SC2154,SC2034 # variables of bin/compile
# Which Python: .python-version, runtime.txt or the stack's own. No package registry carries Python
# itself, so what there is is what the stack has.

# The stack's Pythons that can make an environment, newest first: "3.11 /usr/bin/python3.11".
pythons() {
  local file
  for file in /usr/bin/python3.* /usr/local/bin/python3.*; do
    [[ $file =~ /python(3\.[0-9]+)$ ]] && [ -x "$file" ] || continue
    "$file" -c 'import venv, ensurepip' 2>/dev/null && printf '%s %s\n' "${BASH_REMATCH[1]}" "$file"
  done | sort -t. -k2,2nr -u
}

choose_version() {
  local from='' wanted='' line have available full
  if [ -f .python-version ]; then
    from=.python-version
    wanted=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' .python-version | grep -m 1 .)
  elif [ -f runtime.txt ]; then
    from=runtime.txt
    wanted=$(tr -d '[:space:]' <runtime.txt)
  fi
  wanted=${wanted#python-}
  wanted=${wanted#cpython-}
  have=$(pythons)
  [ -n "$have" ] ||
    fail 'The stack has no Python with venv. The operator of the platform installs it: apt-get install python3 python3-venv'
  available=$(cut -d ' ' -f 1 <<<"$have" | paste -sd, - | sed 's/,/, /g')
  if [ -n "$from" ] && ! [[ $wanted =~ ^3(\.[0-9]+){0,2}$ ]]; then
    fail "Python \"$wanted\", which $from asks for, is not a version that can be had." \
      "This stack has Python $available. Write it as ${available%%,*} in $from and push again."
  fi
  line=$have
  [[ $wanted =~ ^3\.[0-9]+ ]] && line=$(grep -F "${BASH_REMATCH[0]} " <<<"$have" | grep "^${BASH_REMATCH[0]//./\\.} ")
  if [ -z "$line" ]; then
    fail "Python $wanted, which $from asks for, cannot be had: this stack has Python $available." \
      "Write ${available%%,*} in $from, or remove that file to use whatever the stack has, and push again."
  fi
  read -r _ python <<<"$line"
  full=$("$python" -c 'import platform; print(platform.python_version())')
  if [ -n "$from" ]; then
    topic "Using Python $full specified in $from"
    [[ $wanted != 3.*.* || $wanted == "$full" ]] ||
      warn "$from asks for Python $wanted; this stack has $full, the same line with its security fixes. Write ${wanted%.*} to say that any will do."
  else
    topic 'No Python version was specified. Using what the stack has'
    info "To choose one, put a version (this stack has $available) into a file .python-version"
    topic "Using Python $full"
  fi
}
