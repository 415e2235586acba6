/** The program that the tests start: what is shipped, dist/. It starts in half the time that src/ takes, and in a machine in a fifth. */
import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';

export const REPOSITORY = join(import.meta.dirname, '../..');
export const MAIN = join(REPOSITORY, 'dist/main.js');

/** Whoever runs one test file after a change should not test what was before. A test machine brings what is built. */
if (process.env['WHODNS_TEST_BUILT'] === undefined) {
  const built = statSync(join(REPOSITORY, 'dist/NOTICES.txt'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const newer = globSync('src/**/*.{ts,tsx}', { cwd: REPOSITORY }).find(
    (file) => statSync(join(REPOSITORY, file)).mtimeMs > built,
  );
  if (newer !== undefined) throw new Error(`${newer} is newer than dist/: npm run build`);
}
