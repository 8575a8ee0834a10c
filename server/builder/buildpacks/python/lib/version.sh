# shellcheck shell=bash disable=SC2154,SC2034 # variables of bin/compile and of version.py
# Which Python: runtime.txt, .python-version, Pipfile.lock, pyproject.toml or the stack's own. No package registry
# carries Python itself, so what there is is what the stack has.

# The stack's Pythons that can make an environment, newest first: "3.11.2 /usr/bin/python3.11".
pythons() {
  local file
  for file in /usr/bin/python3.* /usr/local/bin/python3.*; do
    [[ $file =~ /python3\.[0-9]+$ ]] && [ -x "$file" ] || continue
    "$file" -c 'import ensurepip, platform, sys, venv; print(platform.python_version(), sys.argv[1])' "$file" 2>/dev/null
  done | sort -t. -k2,2nr -u
}

choose_version() {
  local origin='' wanted='' problem='' have available said
  have=$(pythons)
  [ -n "$have" ] ||
    fail 'The stack has no Python with venv. The operator of the platform installs it: apt-get install python3 python3-venv'
  available=$(cut -d . -f 1,2 <<<"$have" | paste -sd, - | sed 's/,/, /g')
  said=$("$(head -n 1 <<<"$have" | cut -d ' ' -f 2)" -I "$here/lib/version.py" "$manager" <<<"$have") ||
    fail 'The version of Python could not be determined. The reason is above.'
  eval "$said"
  case $problem in
    several) fail "$origin asks for more than one version of Python: $wanted." "Write one of them, such as ${available%%,*}." ;;
    invalid)
      fail "Python \"$wanted\", which $origin asks for, is not a version that can be had." \
        "This stack has Python $available. Write it as ${available%%,*} in $origin and push again."
      ;;
    unavailable)
      fail "Python $wanted, which $origin asks for, cannot be had: this stack has Python $available." \
        "$(advice)" "The operator of the platform can add others, such as /usr/local/bin/python3.13."
      ;;
    conflict)
      fail "Python $full, which $origin asks for, does not meet $wanted, which pyproject.toml requires." \
        "This stack has Python $available. Change one of the two and push again."
      ;;
  esac
  if [ -n "$origin" ]; then
    topic "Using Python $full specified in $origin"
    [[ ! $wanted =~ ^3\.[0-9]+\.[0-9]+$ || $wanted == "$full" ]] ||
      warn "$origin asks for Python $wanted; this stack has $full, the same line with its security fixes. Write ${wanted%.*} to say that any will do."
  else
    topic 'No Python version was specified. Using what the stack has'
    info "To choose one, put a version (this stack has $available) into a file .python-version"
    topic "Using Python $full"
  fi
}

advice() {
  case $origin in
    Pipfile.lock) echo "Set python_version = \"${available%%,*}\" in Pipfile, run pipenv lock, commit both files and push again." ;;
    *pyproject.toml) echo "Change it to include ${available%%,*} if the app runs on it, update the lock file and push again." ;;
    *) echo "Write ${available%%,*} in $origin, or remove that file to use whatever the stack has, and push again." ;;
  esac
}
