/** What of a setting may be shown. */

export const MASK = '***';

/** `https://user:password@host` without the middle. */
export function withoutCredentials(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?[^/]*@/i, `$1${MASK}@`);
}

/** Of an attribute whose value nobody else should read. */
export function isSecretName(key: string): boolean {
  return /key|token|secret|password|auth|credential/i.test(key);
}
