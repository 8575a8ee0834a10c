# shellcheck shell=bash disable=SC2154,SC2034 # variables of bin/compile
# The environment and what is installed into it.

choose_manager() {
  if [ -f uv.lock ]; then
    manager=uv files=(uv.lock pyproject.toml)
  elif [ -f poetry.lock ]; then
    manager=poetry files=(poetry.lock pyproject.toml)
  elif [ -f Pipfile.lock ]; then
    manager=pipenv files=(Pipfile.lock)
  elif [ -f requirements.txt ]; then
    manager=pip files=(requirements.txt)
  elif [ -f Pipfile ]; then
    fail 'There is a Pipfile but no Pipfile.lock. Run pipenv lock, commit Pipfile.lock and push again.'
  elif [ -f pyproject.toml ] && ! grep -q '^\[project\]' pyproject.toml && grep -q '^\[tool\.poetry\]' pyproject.toml; then
    fail 'pyproject.toml is one of poetry, but there is no poetry.lock. Run poetry lock, commit poetry.lock and push again.'
  elif [ -f pyproject.toml ]; then
    manager=project files=(pyproject.toml)
  elif [ -f setup.py ]; then
    manager=project files=(setup.py)
  else
    fail 'There is no requirements.txt, uv.lock, poetry.lock, Pipfile.lock or pyproject.toml at the root of the app.' \
      'An empty requirements.txt is enough for an app without dependencies.'
  fi
}

# An environment for the same Python and the same files is used again, which pip then finds complete.
make_environment() {
  restored=
  key=$({ "$python" -VV; printf '%s\n' "$manager" 2; cat "${files[@]}"; } 2>/dev/null | sha256sum | cut -c1-32)
  if [ -d "$cache/python" ] && [ "$(cat "$cache/python.key" 2>/dev/null)" = "$key" ]; then
    topic 'Restoring the environment from the cache'
    # With their times: byte code is checked against them.
    cp -a "$cache/python" .heroku/python && [ -x .heroku/python/bin/python ] && restored=yes && return
    rm -rf .heroku/python
  fi
  "$python" -m venv $home 2>&1 | indent || fail 'The environment for Python cannot be made. What it said is above.'
}

keep_environment() {
  [ -z "$restored" ] || return 0
  rm -rf "$cache/python" "$cache/python.key"
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

install_packages() {
  case $manager in
    pip)
      topic 'Installing requirements with pip'
      pip install --exists-action=w -r requirements.txt 2>&1 | grep --line-buffered -v '^Requirement already satisfied' | indent ||
        [ "${PIPESTATUS[0]}" -eq 0 ] || packages_failed requirements.txt
      ;;
    uv)
      tool uv
      topic 'Installing dependencies with uv'
      UV_CACHE_DIR=$cache/uv UV_PROJECT_ENVIRONMENT=$home UV_PYTHON=$home/bin/python UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy \
        UV_SYSTEM_CERTS=true UV_COMPILE_BYTECODE=true "$program" sync --locked --no-default-groups --no-progress 2>&1 | indent || packages_failed uv.lock
      ;;
    poetry)
      tool poetry
      topic 'Installing dependencies with poetry'
      POETRY_VIRTUALENVS_CREATE=false POETRY_VIRTUALENVS_USE_POETRY_PYTHON=false POETRY_CACHE_DIR=$cache/poetry \
        "$program" install --only main --no-root --no-interaction --no-ansi 2>&1 | indent || packages_failed poetry.lock
      ;;
    pipenv)
      tool pipenv
      topic 'Installing dependencies with pipenv'
      PIPENV_VERBOSITY=-1 "$program" requirements >/tmp/pipenv-requirements.txt && pip install -r /tmp/pipenv-requirements.txt 2>&1 | indent ||
        packages_failed Pipfile.lock
      ;;
    project)
      topic "Installing the project with pip (${files[0]})"
      pip install . 2>&1 | grep --line-buffered -v '^Requirement already satisfied' | indent ||
        [ "${PIPESTATUS[0]}" -eq 0 ] || packages_failed "${files[0]}"
      ;;
  esac
}

packages_failed() { # file
  fail "The dependencies in $1 could not be installed. What $manager said is above." \
    'If a version is not found, it may need another Python than this stack has.'
}

# Django: its static files are collected into the slug.
collect_static() {
  local manage
  manage=$(find . -maxdepth 3 -type f -name manage.py -not -path './.heroku/*' -printf '%d %p\n' | sort -n | head -n 1 | cut -d ' ' -f 2-)
  [ -n "$manage" ] && python -c 'import django' 2>/dev/null || return 0
  [ -z "$DISABLE_COLLECTSTATIC" ] || [ "$DISABLE_COLLECTSTATIC" = 0 ] || return 0
  python "$manage" help collectstatic >/dev/null 2>&1 || return 0
  topic "\$ python ${manage#./} collectstatic --noinput"
  python "$manage" collectstatic --noinput --traceback 2>&1 | sed -e '/^$/d' | indent ||
    fail 'collectstatic failed. What it said is above.' \
      'It needs STATIC_ROOT in the settings. Config vars are there during the build, databases may not be.' \
      'To do without: config:set DISABLE_COLLECTSTATIC=1'
}
