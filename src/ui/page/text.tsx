/** Text of others, as text. */
import type { StoredAnswer, StoredProcess } from '../../history/types.ts';
import { count, shown } from './format.ts';
import { href } from './place.ts';

/** Of one line, set apart from what is around it: a name of right-to-left letters moves nothing else. */
export function Text({ of: text, most }: { readonly of: string; readonly most?: number }) {
  return <bdi>{shown(text, most)}</bdi>;
}

export function executableOf(process: Pick<StoredProcess, 'executable' | 'pid'>): string {
  return process.executable === '' ? '?' : process.executable;
}

export function ProcessLink({
  of: process,
  withPid = true,
}: {
  readonly of: StoredProcess;
  readonly withPid?: boolean;
}) {
  const label = (
    <>
      <Text of={executableOf(process)} most={64} />
      {withPid && process.pid > 0 && <span class="pid">{process.pid}</span>}
    </>
  );
  if (process.key === '0') return <span class="process">{label}</span>;
  return (
    <a
      class="process"
      href={href({ subject: { kind: 'process', key: process.key } })}
      title={shown(process.path, 256)}
    >
      {label}
    </a>
  );
}

export function NameLink({ of: name }: { readonly of: string }) {
  if (name === '') return <span class="muted">no question</span>;
  return (
    <a class="name" href={href({ subject: { kind: 'name', name } })} title={shown(name, 512)}>
      <Text of={name} most={255} />
    </a>
  );
}

export type Tone = 'good' | 'notice' | 'bad' | 'plain';

/** Response code, or what came in place of an answer. */
export function resultOf(rcode: string, outcome: string): string {
  return outcome === 'answered' ? rcode || 'damaged' : outcome.replaceAll('_', ' ');
}

export function toneOf(result: string): Tone {
  if (result === 'NOERROR') return 'good';
  if (result === 'NXDOMAIN') return 'notice';
  return result === 'unknown' || result === 'sent' ? 'plain' : 'bad';
}

export function Result({ of: result }: { readonly of: string }) {
  return <span class={`result ${toneOf(result)}`}>{shown(result, 32)}</span>;
}

const MAX_ANSWERS = 8;

/** Addresses; the data of the records where there are none. */
export function answersText(answers: readonly StoredAnswer[], total = answers.length): string {
  const addresses = answers.filter(({ type }) => type === 'A' || type === 'AAAA');
  const chosen = addresses.length > 0 ? addresses : answers;
  const texts = chosen.slice(0, MAX_ANSWERS).map(({ data }) => shown(data, 256));
  const more = (addresses.length > 0 ? addresses.length : total) - texts.length;
  return more > 0 ? `${texts.join(', ')} +${count(more)}` : texts.join(', ');
}

/** `192.0.2.53`, `[2001:db8::1]:5353/tcp`. */
export function serverText({
  address,
  port,
  transport,
}: {
  address: string;
  port: number;
  transport?: string;
}): string {
  const plain = port === 53 ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  return transport === 'tcp' ? `${plain}/tcp` : plain;
}
