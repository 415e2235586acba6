#!/bin/sh
# Debian packages that only the stage `deploy` needs.
set -eu
missing=
for package in buildah uidmap runc debootstrap etcd-server; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing
