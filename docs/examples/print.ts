/** Prints every lookup of this host, as root: `node print.ts`, or of a capture file: `node print.ts capture.pcapng`. */
import { stripVTControlCharacters } from 'node:util';
import { capture, replay } from 'whodns';

const file = process.argv[2];
const lookups = file === undefined ? capture() : replay(file);

for await (const { time, process: who, question, responseCode, outcome, addresses, durationMs } of lookups) {
  const took = durationMs === undefined ? '' : `${durationMs.toFixed(1)} ms`;
  const asked = question === undefined ? '(no question)' : `${question.type} ${question.name}`;
  // A process chooses its own name: nothing of it may reach a terminal raw.
  const name = JSON.stringify(stripVTControlCharacters(who.name));
  console.log(time, who.pid, name, asked, responseCode ?? outcome, took, addresses.join(' '));
}
