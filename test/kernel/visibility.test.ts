/**
 * Visibility by control group, all hook families: the same groups, the same traffic, the same checks. On every kernel of kernels.txt with
 * WHODNS_KERNELS=full, else on the oldest and the newest.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { buildLoader, LOADER, OBJECT, parseOutput, ROOT } from '../bpf/capture.ts';
import { faultsOf, GROUPS, LEVEL, parseSent } from '../bpf/visibility-groups.ts';
import { kernelList } from './kernels.ts';
import { MACHINES, runInVm } from './vm.ts';

const FAMILIES = ['fentry', 'kprobe', 'tracepoint'];
const TIMEOUT_S = 240;
const KERNELS = kernelList().filter(
  (_, index, { length }) => process.env['WHODNS_KERNELS'] === 'full' || index === 0 || index === length - 1,
);
const GROUP = '/sys/fs/cgroup/test';
const paths = GROUPS.map(({ path }) => (path === '' ? GROUP : `${GROUP}/${path}`));
const levels = GROUPS.flatMap(({ said }, index) =>
  said === undefined ? [] : [`--level $(stat -c %i ${paths[index]})=${LEVEL[said]}`],
);
/* The loader ends at the end of its input: descriptor 9 keeps the fifo open. */
const JOB = `
mkdir -p ${paths.join(' ')}
for family in ${FAMILIES.join(' ')}; do
	mkfifo /tmp/$family
	exec 9<>/tmp/$family
	/root/loader /root/dns.bpf.o $family --connections ${levels.join(' ')} </tmp/$family 9<&- >/results/$family.out 2>/results/$family.err &
	loader=$!
	until grep -qE 'ready|cannot' /results/$family.err 2>/dev/null; do sleep 0.2; done
	python3 /root/visibility.py ${paths.join(' ')} >/results/$family.sent
	sleep 0.3
	kill -INT $loader
	wait $loader
done
`;

before(buildLoader);

describe('kernels', { concurrency: MACHINES }, () => {
  for (const { name } of KERNELS) {
    describe(`kernel ${name}`, () => {
      let results: ReadonlyMap<string, Buffer>;
      const text = (file: string): string => results.get(file)?.toString('latin1') ?? '';

      before(async () => {
        const files = {
          '/root/loader': LOADER,
          '/root/dns.bpf.o': readFileSync(OBJECT),
          '/root/visibility.py': join(ROOT, 'test/bpf/visibility.py'),
        };
        results = (await runInVm({ kernel: name, job: JOB, timeoutS: TIMEOUT_S, files })).results;
      });

      for (const family of FAMILIES) {
        test(`${family}: off has no event, metrics only counts, nested groups follow`, () => {
          assert.match(text(`${family}.err`), /^ready$/m, text(`${family}.err`).slice(-4000));
          const sent = parseSent(text(`${family}.sent`));
          assert.equal(sent.length, GROUPS.length, text(`${family}.sent`));
          assert.deepEqual(faultsOf(parseOutput(text(`${family}.out`)), sent, GROUP), []);
        });
      }
    });
  }
});
