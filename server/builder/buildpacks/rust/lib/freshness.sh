# shellcheck shell=bash disable=SC2154 # variables of bin/compile
# cargo decides by the times of files what to compile again. A checkout's times say nothing: an older
# commit may be pushed after a newer one. So files that are the same as in the last build that
# succeeded get an old time, all others the time of now.

mark_changes() {
  find . -type f -not -path './.profile.d/*' -not -path './target/*' -print0 | xargs -0 -r sha256sum | sort >/tmp/sources
  find . -type f -not -path './.profile.d/*' -exec touch {} +
  if [ -f "$cache/sources" ]; then
    comm -12 "$cache/sources" /tmp/sources | cut -c67- | tr '\n' '\0' | xargs -0 -r touch --no-create --date=@1000000000
  fi
  # Until this build has succeeded nothing is known about what is in the target directory.
  rm -f "$cache/sources"
}

remember_changes() {
  cp /tmp/sources "$cache/sources"
}
