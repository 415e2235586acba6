/** Certificates made by openssl, for tests: authorities and what they sign, in a directory of their own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A test's context, or whatever else ends one day. */
export interface Scope {
  after(cleanUp: () => unknown): void;
}

export interface KeyPair {
  /** Files. */
  readonly key: string;
  readonly cert: string;
}

export class Authority {
  readonly #directory: string;
  readonly #pair: KeyPair;
  #issued = 0;

  /** Its files are removed when the test ends. */
  constructor(t: Scope, name: string) {
    this.#directory = mkdtempSync(join(tmpdir(), 'whodns-ca-'));
    t.after(() => rmSync(this.#directory, { recursive: true }));
    this.#pair = { key: join(this.#directory, 'ca.key'), cert: join(this.#directory, 'ca.pem') };
    openssl(
      'req',
      '-x509',
      ...NEW_KEY,
      '-keyout',
      this.#pair.key,
      '-out',
      this.#pair.cert,
      '-subj',
      `/CN=${name}`,
    );
  }

  /** File of its certificate. */
  get file(): string {
    return this.#pair.cert;
  }

  get text(): string {
    return readFileSync(this.#pair.cert, 'utf8');
  }

  /** A certificate for 127.0.0.1, of servers and clients alike; `days` below 0: expired that long ago. */
  issue(days = 1): KeyPair {
    const at = (suffix: string): string => join(this.#directory, `${this.#issued}.${suffix}`);
    this.#issued++;
    openssl('req', ...NEW_KEY, '-keyout', at('key'), '-out', at('csr'), '-subj', '/CN=localhost');
    writeFileSync(at('ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    const signer = ['-CA', this.#pair.cert, '-CAkey', this.#pair.key, '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      at('csr'),
      ...signer,
      '-days',
      String(days),
      '-extfile',
      at('ext'),
      '-out',
      at('pem'),
    );
    return { key: at('key'), cert: at('pem') };
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
