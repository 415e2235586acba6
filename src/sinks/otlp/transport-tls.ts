/**
 * Certificate files of an endpoint. They are replaced while the agent runs (cert-manager, ACME): each transport asks for
 * the present ones before it sends and builds its connection anew when they have changed.
 */
import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { readTrusted } from '../../lib/safe-file.ts';
import type { TlsFiles } from './target.ts';

/** What node:tls takes; undefined = the system's certificate authorities, no client certificate. */
export interface TlsMaterial {
  readonly ca: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly cert: Buffer | undefined;
}

/** The files are looked at no more often than this. */
const CHECK_MS = 1000;
/** A bundle of all public authorities has 250 KB. */
const MAX_BYTES = 4 * 1024 * 1024;

export class WatchedCertificates {
  readonly #files: TlsFiles;
  readonly #warn: (message: string) => void;
  #material: TlsMaterial | undefined;
  #stamp = '';
  #checked = Number.NEGATIVE_INFINITY;

  constructor(files: TlsFiles, warn: (message: string) => void) {
    this.#files = files;
    this.#warn = warn;
  }

  /**
   * The present certificates; the same object until they change. Files that cannot be used (half written, key and
   * certificate of different pairs) leave the last good ones in force.
   * @throws Error when there were no good ones yet
   */
  current(): TlsMaterial {
    const now = performance.now();
    if (this.#material !== undefined && now - this.#checked < CHECK_MS) return this.#material;
    this.#checked = now;
    const stamp = this.#look();
    if (this.#material !== undefined && stamp === this.#stamp) return this.#material;
    this.#stamp = stamp;
    try {
      this.#material = this.#read();
    } catch (error) {
      if (this.#material === undefined) throw error;
      this.#warn(`new certificate files cannot be used yet: ${(error as Error).message}`);
    }
    return this.#material;
  }

  #paths(): (string | undefined)[] {
    const { ca, key, cert } = this.#files;
    return [ca, key, cert];
  }

  /** Identity and age of the files: a replaced one has another inode or time. Symbolic links are followed (Kubernetes). */
  #look(): string {
    return this.#paths()
      .map((path) => {
        const stat = path === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
        return stat === undefined ? '' : `${stat.dev}:${stat.ino}:${stat.mtimeMs}:${stat.size}`;
      })
      .join(' ');
  }

  #read(): TlsMaterial {
    const [ca, key, cert] = this.#paths().map((path) =>
      path === undefined ? undefined : readTrusted(path, MAX_BYTES),
    );
    const material = { ca, key, cert };
    if (ca !== undefined) requireCertificates(ca);
    createSecureContext(material); // throws when key and certificate cannot be read or do not belong together
    return material;
  }
}

/** node:tls passes over authorities that it cannot read, and trusts nobody then. @throws Error */
function requireCertificates(pem: Buffer): void {
  const text = pem.toString('latin1');
  const begun = text.match(/-----BEGIN [^-]*CERTIFICATE-----/g)?.length ?? 0;
  const blocks = text.match(/-----BEGIN ([^-]*CERTIFICATE)-----[^-]+-----END \1-----/g) ?? [];
  if (begun === 0 || blocks.length !== begun) throw new Error('the file of authorities is not complete PEM');
  for (const block of blocks) new X509Certificate(block);
}
