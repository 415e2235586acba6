/**
 * Process contexts (OTEP 4719) in mappings that only prctl gave their name: the kernel must be built with CONFIG_ANON_VMA_NAME (since
 * 5.17). Debian's are not (6.1, 6.12 and 7.2 cloud): there, as here, only the names in /proc/PID/maps are imitated (process-context.test.ts).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseMaps } from '../../src/enrich/process/memory-map.ts';
import { CONTEXT_MAPS, readProcessContext } from '../../src/enrich/process/process-context.ts';
import { buildClients, CLIENTS } from '../clients/build.ts';
import { Publisher } from '../clients/publisher.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import { startInspector, targetOf } from '../unit/process-target.ts';

const inspector = startInspector();
after(() => inspector.close());

if (process.env.WHODNS_TEST_BUILT === undefined) buildClients();

const CHECKOUT = { 'service.name': 'checkout' };
const PAYLOAD = Buffer.from(contextBytes(CHECKOUT)).toString('hex');
const named = spawnSync(join(CLIENTS, 'process_context'), ['prctl', PAYLOAD], { input: '' }).status === 0;
const skip = named ? false : 'this kernel has no CONFIG_ANON_VMA_NAME';

for (const [how, shownAs] of [
  ['prctl', /^\[anon:OTEL_CTX\]$/],
  // A kernel before 6.2 gives no name to shared memory: the memory file's is shown.
  ['memfd+prctl', /^(\[anon_shmem:OTEL_CTX\]|\/memfd:OTEL_CTX \(deleted\))$/],
] as const)
  test(`a context in a mapping named by ${how}`, { skip }, async () => {
    const publisher = await Publisher.start([how, PAYLOAD]);
    try {
      const { pid } = publisher.child;
      const names = parseMaps(readFileSync(`/proc/${pid}/maps`, 'latin1')).map(({ name }) => name);
      assert.match(names.filter((name) => name.includes('OTEL_CTX')).join(), shownAs);
      const target = targetOf(pid);
      const maps = (await inspector.inspect(target, [CONTEXT_MAPS]))?.[0]?.bytes;
      const outcome = await readProcessContext(inspector, target, maps);
      assert.equal(outcome.kind, 'read');
      assert.deepEqual(outcome.kind === 'read' ? outcome.context.resource : undefined, CHECKOUT);
    } finally {
      await publisher.stop();
    }
  });
