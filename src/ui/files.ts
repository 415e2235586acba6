/** The page itself: a few files, the same for everyone, that hold nothing of this host. */
import type { OutgoingHttpHeaders } from 'node:http';
import { readPackageFile } from '../lib/package-files.ts';

const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};

export const PAGE_FILES = Object.keys(TYPES);

/** Nothing but the page's own files, no script or style in its text, no string that becomes one; in no frame of others. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** Of every answer. */
export const SAFETY: OutgoingHttpHeaders = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
}

/** By path. Read while the agent has its rights. */
export function readPage(): ReadonlyMap<string, PageFile> {
  const files = PAGE_FILES.map((name) => {
    const file = { type: TYPES[name] ?? '', bytes: Buffer.from(readPackageFile(`dist/ui/${name}`)) };
    return [`/${name}`, file] as const;
  });
  const all = new Map(files);
  const index = all.get('/index.html');
  if (index !== undefined) all.set('/', index);
  return all;
}
