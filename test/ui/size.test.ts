/** What the page weighs in the package, and that it asks nobody else for anything. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { PAGE_FILES } from '../../src/ui/files.ts';

const FOLDER = join(import.meta.dirname, '../../dist/ui');
const MAX_BYTES = 300 * 1024;

describe('the page in the package', () => {
  it('has its files and no others', () => {
    assert.deepEqual(readdirSync(FOLDER).sort(), [...PAGE_FILES].sort());
  });

  it('takes less than 300 KB with gzip', (t) => {
    const sizes = PAGE_FILES.map((name) => gzipSync(readFileSync(join(FOLDER, name))).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    t.diagnostic(`${total} bytes`);
    assert.ok(total > 10_000 && total < MAX_BYTES, `${total} bytes`);
  });

  it('names no other server and no script in its text', () => {
    const html = readFileSync(join(FOLDER, 'index.html'), 'utf8');
    assert.doesNotMatch(html, /<script(?![^>]*\bsrc="page\.js")|<style|\bstyle=|\bon\w+=/i);
    for (const name of PAGE_FILES) {
      const addresses = readFileSync(join(FOLDER, name), 'utf8').match(/\bhttps?:\/\/[\w.-]+/g) ?? [];
      // Names of XML, not places.
      assert.deepEqual(
        addresses.filter((address) => address !== 'http://www.w3.org'),
        [],
        name,
      );
    }
    const css = readFileSync(join(FOLDER, 'page.css'), 'utf8');
    assert.doesNotMatch(css, /url\(|@import/);
  });
});
