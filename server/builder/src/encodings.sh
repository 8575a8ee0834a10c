# shellcheck shell=bash disable=SC2154 # variables and functions of drive.sh
# Files that programs read as UTF-8, but editors on Windows save as UTF-16 or with a byte order mark: they are
# converted before anything reads them, and the output says so.

text_files=(
  Procfile app.json static.json
  package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml pnpm-workspace.yaml .npmrc .yarnrc .yarnrc.yml
  .python-version runtime.txt 'requirements*.txt' 'constraints*.txt' Pipfile Pipfile.lock pyproject.toml poetry.lock uv.lock uv.toml
  setup.cfg Cargo.toml Cargo.lock rust-toolchain rust-toolchain.toml
)

encoding_of() { # file: sets $encoding, as iconv calls it; empty if there is nothing to do
  case $(head -c 4 "$1" | od -An -tx1 | tr -d ' \n') in
    efbbbf*) encoding=BOM ;;
    fffe0000 | 0000feff) encoding=UTF-32 ;;
    fffe* | feff*) encoding=UTF-16 ;;
    [0-9a-f][0-9a-f]00*) encoding=UTF-16LE ;;
    00[0-9a-f][0-9a-f]*) encoding=UTF-16BE ;;
    *) encoding= ;;
  esac
}

convert_encodings() { # directory
  local file name encoding names=()
  for name in "${text_files[@]}"; do names+=(-o -name "$name"); done
  while IFS= read -r -d '' file; do
    encoding_of "$file"
    [ -n "$encoding" ] || continue
    name=$(printf %s "${file#"$1"/}" | tr -d '[:cntrl:]')
    if [ "$encoding" = BOM ]; then
      tail -c +4 "$file" >/tmp/converted
      printf -- ' !     %s begins with a byte order mark, which was removed for this build.\n' "$name"
    elif iconv -f "$encoding" -t UTF-8 "$file" >/tmp/converted 2>/dev/null; then
      printf -- ' !     %s is encoded as %s and was converted for this build. Save it as UTF-8.\n' "$name" "$encoding"
    elif [[ ${file#"$1"/} == */* ]]; then
      # Not one of the app's own files: for example one that its tests read because it is broken.
      continue
    else
      fail "failed to read $name" "$name looks like $encoding, but is not valid in this encoding. Save it as UTF-8 and push again."
    fi
    chmod u+w "$file" && cat /tmp/converted >"$file" || fail "failed to convert $name to UTF-8"
  done < <(
    # Only files that begin with a byte order mark or have a NUL among their first two bytes. grep looks at every line.
    find "$1" \( -name node_modules -o -name .git \) -prune -o -type f \( "${names[@]:1}" \) -print0 |
      LC_ALL=C xargs -0 -r grep -lZaP '^(\xEF\xBB\xBF|\xFF\xFE|\xFE\xFF|\x00|[^\x00\n]\x00)'
  )
  rm -f /tmp/converted
}
