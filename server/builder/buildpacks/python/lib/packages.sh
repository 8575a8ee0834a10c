# shellcheck shell=bash disable=SC2154,SC2034 # variables of bin/compile
# The environment and what is installed into it.

choose_manager() {
  local found=()
  if [ -f Pipfile.lock ]; then found+=('Pipfile.lock (Pipenv)'); elif [ -f Pipfile ]; then found+=('Pipfile (Pipenv)'); fi
  [ ! -f poetry.lock ] || found+=('poetry.lock (Poetry)')
  [ ! -f requirements.txt ] || found+=('requirements.txt (pip)')
  [ ! -f uv.lock ] || found+=('uv.lock (uv)')
  if [ ${#found[@]} -gt 1 ]; then
    fail 'There are files of more than one package manager:' "${found[@]/#/  }" \
      'It is unclear which one to use. Keep the files of one of them, git rm the others and push again.'
  fi
  case ${found[0]} in
    uv.lock*) manager=uv locked=uv.lock ;;
    poetry.lock*) manager=poetry locked=poetry.lock ;;
    Pipfile.lock*) manager=pipenv locked=Pipfile.lock ;;
    requirements.txt*) manager=pip locked=requirements.txt ;;
    Pipfile*) fail 'There is a Pipfile but no Pipfile.lock. Run pipenv lock, commit Pipfile.lock and push again.' ;;
    *) choose_project ;;
  esac
  [[ $manager != uv && $manager != poetry || -f pyproject.toml ]] || fail "There is $locked but no pyproject.toml. Commit both files and push again."
}

choose_project() {
  if [ -f pyproject.toml ] && ! grep -q '^\[project\]' pyproject.toml && grep -q '^\[tool\.poetry\]' pyproject.toml; then
    fail 'pyproject.toml is one of poetry, but there is no poetry.lock. Run poetry lock, commit poetry.lock and push again.'
  elif [ -f pyproject.toml ]; then
    manager=project locked=pyproject.toml
  elif [ -f setup.py ]; then
    manager=project locked=setup.py
  else
    fail 'There is no requirements.txt, uv.lock, poetry.lock, Pipfile.lock or pyproject.toml at the root of the app.' \
      'An empty requirements.txt is enough for an app without dependencies.'
  fi
}

# An environment is used again if nothing has changed that was read to make it: Python, the files, the config vars.
make_environment() {
  local inputs digest
  restored=
  inputs=$("$python" -I "$here/lib/inputs.py" "$manager")
  digest=$(head -n 1 <<<"$inputs")
  local_packages=$(tail -n +2 <<<"$inputs")
  key=
  [ -z "$digest" ] || key=$({ "$python" -VV; printf '%s\n' "$python" "$manager" "$digest" 4; config_digest; } | sha256sum | cut -c1-32)
  if [ -n "$key" ] && [ -d "$cache/python" ] && [ "$(cat "$cache/python.key" 2>/dev/null)" = "$key" ]; then
    topic 'Restoring the environment from the cache'
    mkdir -p .heroku
    # With their times: byte code is checked against them.
    if cp -a "$cache/python" .heroku/python && [ -x .heroku/python/bin/python ]; then
      # What the app has itself comes first.
      [ ! -d "$cache/python.beside" ] || cp -an "$cache/python.beside/." .
      restored=yes
      return
    fi
    rm -rf .heroku/python
  fi
  local options=()
  # It is not needed there, and takes most of the time.
  [ "$manager" != uv ] || options+=(--without-pip)
  "$python" -m venv "${options[@]}" "$home" 2>&1 | indent || fail 'The environment for Python could not be created. The reason is above.'
  : >/tmp/before-installation
}

# With what installers have written beside it: editable packages have their metadata, and what is compiled of them, in
# their own folders.
keep_environment() {
  rm -rf "$cache/python.key" "$cache/python" "$cache/python.beside"
  [ -n "$key" ] || return 0
  mkdir -p "$cache/python.beside"
  find . \( -path './.?*' -o -name node_modules -o -name __pycache__ \) -prune -o -type f -cnewer /tmp/before-installation -print0 |
    xargs -0 -r cp -a --parents --target-directory="$cache/python.beside" &&
    cp -a .heroku/python "$cache/python" && printf '%s\n' "$key" >"$cache/python.key"
}

# uv, poetry and pipenv live in environments of their own in the cache, never in the slug.
tool() { # name
  local venv=$cache/tools/$1
  if [ ! -x "$venv/bin/$1" ] || ! "$venv/bin/$1" --version >/dev/null 2>&1; then
    rm -rf "$venv"
    info "Installing $1"
    { "$python" -m venv "$venv" && "$venv/bin/pip" install --quiet "$1"; } 2>&1 | indent ||
      fail "$1 cannot be installed from PyPI. What pip said is above."
  fi
  program=$venv/bin/$1
}

with_pip() { # arguments of pip install
  pip install "$@" 2>&1 | { grep --line-buffered -v '^Requirement already satisfied' || true; } | indent || packages_failed "$locked"
}

install_packages() {
  case $manager in
    pip)
      topic 'Installing requirements with pip'
      with_pip --exists-action=w -r requirements.txt
      ;;
    uv) install_with_uv ;;
    poetry) install_with_poetry ;;
    pipenv)
      tool pipenv
      topic 'Installing dependencies with pipenv'
      export PIPENV_VERBOSITY=-1 PIPENV_IGNORE_VIRTUALENVS=1
      if [ -f Pipfile ]; then
        "$program" verify >/dev/null 2>&1 ||
          fail 'Pipfile.lock does not match Pipfile. Run pipenv lock, commit Pipfile.lock and push again.'
      fi
      "$program" requirements >/tmp/pipenv-requirements.txt || packages_failed Pipfile.lock
      with_pip -r /tmp/pipenv-requirements.txt
      ;;
    project)
      topic "Installing the project with pip ($locked)"
      with_pip .
      ;;
  esac
}

install_with_uv() {
  local name options=()
  tool uv
  topic 'Installing dependencies with uv'
  # uv takes their earlier builds from its cache if their metadata is the same.
  for name in $local_packages; do options+=(--refresh-package "$name"); done
  UV_CACHE_DIR=$cache/uv UV_PROJECT_ENVIRONMENT=$home UV_PYTHON=$home/bin/python UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy \
    UV_SYSTEM_CERTS=true UV_COMPILE_BYTECODE=true \
    "$program" sync --locked --no-default-groups --no-progress "${options[@]}" 2>&1 | indent || packages_failed uv.lock
}

install_with_poetry() {
  local said
  tool poetry
  topic 'Installing dependencies with poetry'
  export POETRY_VIRTUALENVS_CREATE=false POETRY_VIRTUALENVS_USE_POETRY_PYTHON=false POETRY_CACHE_DIR=$cache/poetry
  "$program" install --only main --no-root --no-interaction --no-ansi 2>&1 | indent || packages_failed poetry.lock
  # An app that is not a package of this name does not say so in every pyproject.toml.
  said=$("$program" install --only-root --no-interaction --no-ansi 2>&1) || {
    grep -q 'No file/folder found for package' <<<"$said" || { indent <<<"$said"; packages_failed pyproject.toml; }
  }
}

packages_failed() { # file
  fail "The dependencies in $1 could not be installed. The output of $manager is above." \
    'If a version is not found, it may need another Python than this stack has.'
}
