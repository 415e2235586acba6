/** `whodns doctor`: what this host has, which hook family would attach, why not the others, what would be missed. */
export function reportHost(_format: 'table' | 'json', _write: (text: string) => void): number {
  throw new Error('waits for the probe');
}
