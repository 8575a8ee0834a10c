# shellcheck shell=bash
# Django: its static files are collected into the slug.

collect_static() {
  local manage said
  manage=$(find . -maxdepth 3 -type f -name manage.py -not -path './.heroku/*' -not -path '*/node_modules/*' -printf '%d %p\n' |
    sort -n | head -n 1 | cut -d ' ' -f 2-)
  [ -n "$manage" ] && python -c 'import django' 2>/dev/null || return 0
  if [ -n "$DISABLE_COLLECTSTATIC" ] && [ "$DISABLE_COLLECTSTATIC" != 0 ]; then
    topic 'Skipping collectstatic, because the config var DISABLE_COLLECTSTATIC is set'
    return
  fi
  if ! said=$(python "$manage" help collectstatic 2>&1); then
    if grep -q "Unknown command: 'collectstatic'" <<<"$said"; then
      topic 'Skipping collectstatic, because django.contrib.staticfiles is not in INSTALLED_APPS'
      return
    fi
    indent <<<"$said"
    collect_static_failed
  fi
  topic "\$ python ${manage#./} collectstatic --noinput"
  python "$manage" collectstatic --noinput --traceback 2>&1 | sed -e '/^$/d' | indent || collect_static_failed
}

collect_static_failed() {
  fail 'collectstatic failed. The reason is above.' \
    'It needs STATIC_ROOT in the settings. Config vars are available during the build, databases may not be.' \
    'To do without: config:set DISABLE_COLLECTSTATIC=1'
}
