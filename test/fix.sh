#!/bin/sh
# npm run fix: what can be mended by a program.
set -eu
biome check --write .
git ls-files 'bpf/*.[ch]' 'native/*.cc' 'native/*.h' 'test/**/*.[ch]' 'bench/*.c' | xargs -r "$(native/tool.sh clang-format)" -i
for generator in native/layout.ts native/syscalls.ts docs/generate.ts docs/api-pages.ts otel-config/grafana/dashboards.ts deploy/generate.ts; do
  [ -e "$generator" ] && node "$generator"
done
