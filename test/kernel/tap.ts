/** Reports of `node --test --test-reporter=tap`. */

/** The failed tests with their diagnostics; the report's end if none can be told apart. */
export function failuresOf(tap: string): string {
  const failed = [...tap.matchAll(/^ *not ok \d+ - .*\n(?: {2,}.*\n)*/gm)].map((match) => match[0]);
  return failed.length > 0 ? failed.join('\n').slice(0, 8000) : tap.slice(-4000);
}

/** Whether each test passed, by its title; suites are none. */
export function testsOf(tap: string): Record<string, boolean> {
  const lines = /^ *(not ok|ok) \d+ - (.*)\n *---\n *duration_ms: .*\n *type: '(\w+)'/gm;
  const found = [...tap.matchAll(lines)].filter(([, , , type]) => type === 'test');
  return Object.fromEntries(found.map(([, result, title = '']) => [title, result === 'ok']));
}
