# What the checks share that install a release. Sourced after steps.sh.
#
#   need_release       makes the release of the working tree, all architectures, unless .cache has it. Its directory
#                      is in $release, its commit in $release_commit, the throw-away key that signs it in $release_key
#   release_clone DIR  makes a clone of that commit
#   need_linters       makes a Debian with lintian, rpmlint, rpm and cosign, once; its directory is in $linters

release_clone() {
  git clone -q --shared "$top" "$1" && git -C "$1" checkout -q "$release_commit" && ln -sfn "$cache" "$1/.cache"
}

need_release() {
  need openssl openssl
  need zstd zstd
  local changes kept=$cache/release
  mkdir -p "$kept"
  exec {release_lock}>"$cache/release-check.lock" # "make release" has a lock of its own
  flock "$release_lock"
  changes=$(git stash create)
  release=$kept/$(git rev-parse "${changes:-HEAD}^{tree}") release_key=$kept/release.key
  [ -s "$release_key" ] || (umask 077; openssl ecparam -genkey -name prime256v1 -noout -out "$release_key")
  release_commit=$(cat "$release.commit" 2>/dev/null || true)
  # Changes that were not committed have a commit too, which git removes after some weeks.
  if ! git cat-file -e "$release_commit^{tree}" 2>/dev/null; then
    echo "   making the release (once)"
    find "$kept" -mindepth 1 -maxdepth 1 ! -name release.key -mmin +240 -exec rm -rf {} +
    release_commit=$(git rev-parse "${changes:-HEAD}")
    release_clone "$work/release-clone"
    make -s -C "$work/release-clone" release RELEASE_KEY="$release_key" >"$work/release.log" 2>&1 || die "make release" "$work/release.log"
    sed 's/^/   /' "$work/release.log"
    rm -rf "$release"
    mv "$work/release-clone/bin/release" "$release"
    echo "$release_commit" >"$release.commit"
    rm -rf "$work/release-clone"
  fi
  exec {release_lock}>&-
}

need_linters() {
  local packages=lintian,rpmlint,rpm,cosign
  linters=$cache/linters
  exec {linters_lock}>"$linters.lock"
  flock "$linters_lock"
  if [ "$(cat "$linters/.ready" 2>/dev/null)" != $packages ]; then
    echo "   making a system with lintian, rpmlint and cosign (once)"
    rm -rf "$linters"
    mmdebstrap --quiet --variant=apt --include=$packages trixie "$linters" >"$work/mmdebstrap.log" 2>&1 ||
      die "mmdebstrap" "$work/mmdebstrap.log"
    echo $packages >"$linters/.ready"
  fi
  exec {linters_lock}>&-
}
