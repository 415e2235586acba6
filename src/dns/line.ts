import type { Edns, ResourceRecord } from '../model.ts';
import { ednsOptionName } from '../tables/edns.ts';
import { typeName } from '../tables/rrtypes.ts';

/** A record as one display line: `name ttl type data`. ASCII only; safe for a terminal. */
export function recordLine(record: ResourceRecord): string {
  return `${record.name} ${record.ttl} ${typeName(record.type)} ${record.data}`;
}

/** An OPT record as one display line, after the manner of dig. ASCII only; safe for a terminal. */
export function ednsLine(edns: Edns): string {
  const options = edns.options.map((option) => `; ${ednsOptionName(option.code)}: ${option.data}`);
  return `version: ${edns.version}; flags:${edns.do ? ' do' : ''}; udp: ${edns.udpSize}${options.join('')}`;
}
