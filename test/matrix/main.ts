/**
 * Runs the resolver matrix on this machine.
 *
 *     node test/matrix/main.ts [--hook FAMILY]... [--rounds N] [--only TITLE] [--core] [--alone] [--built] [--out FILE] [--agent 'COMMAND']
 *
 * --core: each way of sending once (clients.ts). --built: the clients are there already (a test machine has no compiler). --alone: nothing else here asks DNS.
 * COMMAND is any program that prints whodns's JSON lines and takes --hook; it is split at blanks. Exit code 1 if a cell is not right.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { buildClients } from '../clients/build.ts';
import { AGENT } from './agent.ts';
import { runMatrix } from './matrix.ts';

const { values } = parseArgs({
  options: {
    hook: { type: 'string', multiple: true, default: ['tracepoint'] },
    rounds: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    core: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
    built: { type: 'boolean', default: false },
    out: { type: 'string' },
    agent: { type: 'string' },
  },
});

if (!values.built) buildClients();
const results = await runMatrix({
  families: values.hook,
  rounds: Number(values.rounds),
  agent: values.agent === undefined ? AGENT : values.agent.split(/\s+/),
  alone: values.alone,
  only: values.only,
  core: values.core,
});
if (values.out !== undefined) writeFileSync(values.out, JSON.stringify(results));

for (const { kernel, family, cells, faults } of results) {
  for (const fault of faults) console.log(`${kernel} ${family}: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
  for (const [title, cell] of Object.entries(cells)) {
    console.log(`${kernel} ${family} ${cell.right}/${cell.requests} ${title}`);
    for (const fault of cell.faults) console.log(`    ${fault}`);
    if (cell.right !== cell.requests || cell.faults.length > 0) process.exitCode = 1;
  }
}
