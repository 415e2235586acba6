#!/bin/sh
# npm run check: format, lint, types, generated files, import rules. Each prints what is wrong and how to mend it.
set -u
failed=0
step() {
  name=$1
  shift
  if output=$("$@" 2>&1); then printf 'ok    %s\n' "$name"; else
    printf 'FAIL  %s\n%s\n' "$name" "$output"
    failed=1
  fi
}
c_format() { git ls-files 'bpf/*.[ch]' 'native/*.cc' 'native/*.h' 'test/**/*.[ch]' 'bench/*.c' | xargs -r "$(native/tool.sh clang-format)" --dry-run -Werror; }
step 'format and lint (biome; mend: npm run fix)' biome check --error-on-warnings .
step 'C and C++ format (clang-format; mend: npm run fix)' c_format
step 'types (tsc)' tsc -p .
step 'types of the page (tsc)' tsc -p src/ui/page
step 'types of what draws dashboards (tsc)' tsc -p test/dashboards/page
for generator in native/layout.ts native/syscalls.ts docs/generate.ts docs/api-pages.ts otel-config/grafana/dashboards.ts deploy/generate.ts; do
  [ -e "$generator" ] && step "generated files ($generator; mend: npm run fix)" node "$generator" --check
done
step 'import rules (test/unit/architecture.test.ts)' node --test test/unit/architecture.test.ts
exit $failed
