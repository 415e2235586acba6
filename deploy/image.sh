#!/bin/sh
# Puts together the root directory of the image (Dockerfile) from a build in the current directory.
# Usage: deploy/image.sh DIRECTORY
set -eu
root=$1
app=$root/opt/whodns
mkdir -p "$app/build" "$root/usr/local/bin" "$root/etc/ssl/certs" "$root/var/lib/dpkg/status.d" "$root/tmp" "$root/run"
# Where the runtime mounts: a root directory that is read only cannot grow them.
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run/whodns" "$root/var/lib/whodns"
: >"$root/etc/machine-id"
chmod 1777 "$root/tmp"

cp /usr/local/bin/whodns-node "$root/usr/local/bin/node"
cp package.json "$app/"
cp -R dist data "$app/"
mkdir -p "$app/src/enrich/runtimes"
cp src/enrich/runtimes/*.proto "$app/src/enrich/runtimes/"
cp build/dns.bpf.o build/whodns.node build/whodns-inspector "$app/build/"
# Never loaded: source maps, types.
rm -rf "$app/dist/types" "$app"/dist/*.map

# The dynamic loader and the shared libraries, at the paths they are looked for; links resolved. Their packages are
# recorded where scanners of images without a package manager look (as Distroless does).
for library in $(ldd "$root/usr/local/bin/node" "$app/build/whodns.node" | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
  # By the end of its path: dpkg knows some in /lib and some in /usr/lib, which are one.
  file=$(readlink -f "$library")
  package=$(dpkg-query -S "*/$(basename "$(dirname "$file")")/$(basename "$file")" | head -n 1 | cut -d: -f1)
  [ -n "$package" ]
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
  mkdir -p "$root/usr/share/doc/$package"
  cp "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done

cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
cp /etc/os-release "$root/etc/"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/sbin/nologin\nwhodns:x:65532:65532:whodns:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nwhodns:x:65532:\n' >"$root/etc/group"
