#!/usr/bin/env bash
# Builds kube-testd once per content of its sources and prints the path of the binary.
# The result lives in the user's cache folder: a new machine starts without it and builds it (about 10 minutes on
# 2 cores), a later run finds it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath"
kubernetes=$(sed -n 's/^\tk8s.io\/kubernetes \(v[0-9.]*\)$/\1/p' "$here/go.mod")
key=$(cd "$here" && { go version; cat go.mod go.sum ./*.go build.sh; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/erc8004-registrar
binary=$cache/kube-testd-$key
if [ ! -x "$binary" ]; then
  mkdir -p "$cache"
  echo "building kube-testd (kubernetes $kubernetes); the first time takes about 10 minutes" >&2
  # Without a version stamp clients see "v0.0.0-master+$Format" and some refuse to parse it.
  stamp=""
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    stamp+=" -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=$(echo "$kubernetes" | cut -d. -f2)"
  done
  for attempt in 1 2 3; do
    (cd "$here" && go mod download) && break
    [ "$attempt" = 3 ] && exit 1
  done
  (cd "$here" && go build -ldflags "-s -w$stamp" -o "$binary.$$" . && mv "$binary.$$" "$binary") >&2
fi
echo "$binary"
