/** All hook families on every kernel of test/kernel/kernels.txt, in virtual machines: the same traffic, the same checks. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { kernelList } from '../kernel/kernels.ts';
import { MACHINES, runInVm } from '../kernel/vm.ts';
import {
  buildLoader,
  COUNTER,
  type Counted,
  LOADER,
  LOADS,
  lostMessages,
  OBJECT,
  parseOutput,
  ROOT,
} from './capture.ts';
import { connectionFaults, LEAST_SEEN, parseClaims } from './connections.ts';
import { faultsOf, parseTraffic } from './conversations.ts';

const FAMILIES = ['fentry', 'kprobe', 'tracepoint'];
const CLIENTS = [
  'dig +tries=1 +timeout=5 @127.0.0.1 one.test',
  'kdig +tcp @::1 two.test',
  'busybox nslookup a.test 127.0.0.1',
];
/** The rest is what the traffic test loads. All at once is the longest way through the programs; WHODNS_KERNELS=full: each combination. */
const IS_FULL = process.env['WHODNS_KERNELS'] === 'full';
const MORE_LOADS = Object.entries(LOADS).filter(
  ([name]) => name !== 'plain' && (IS_FULL || name === 'trace+level'),
);
const TIMEOUT_S = IS_FULL ? 900 : 400;
/* The loader ends at the end of its input: descriptor 9 keeps the fifo open. */
const JOB = `
programs() { bpftool prog show | grep '^[0-9]*:' | cut -d: -f1 | sort; }
programs >/tmp/before # Ubuntu's kernel has one of its own
ip link set lo up
for family in ${FAMILIES.join(' ')}; do
	mkfifo /tmp/$family
	exec 9<>/tmp/$family
	/root/loader /root/dns.bpf.o $family --connections --exits </tmp/$family 9<&- >/results/$family.out 2>/results/$family.err &
	loader=$!
	until grep -qE 'ready|cannot' /results/$family.err 2>/dev/null; do sleep 0.2; done
	python3 /root/traffic.py ${CLIENTS.map((client) => `"${client}"`).join(' ')} >/results/$family.traffic
	unshare -n sh -c 'ip link set lo up; python3 /root/connect.py' >/results/$family.connections
	sleep 0.3
	kill -INT $loader
	wait $loader
${MORE_LOADS.map(
  ([name, options]) =>
    `	/root/loader /root/dns.bpf.o $family ${options} >/results/$family.${name}.load 2>&1`,
).join('\n')}
done
# the kernel frees programs some time after the last reference is gone
for i in 1 2 3 4 5 6 7 8 9 10; do programs >/tmp/after; cmp -s /tmp/before /tmp/after && break; sleep 0.5; done
diff /tmp/before /tmp/after >/results/left-over
`;

before(buildLoader);

describe('kernels', { concurrency: MACHINES }, () => {
  for (const { name } of kernelList()) {
    describe(`kernel ${name}`, () => {
      let results: ReadonlyMap<string, Buffer>;
      const text = (file: string): string => results.get(file)?.toString('latin1') ?? '';

      before(async () => {
        const files = {
          '/root/loader': LOADER,
          '/root/dns.bpf.o': readFileSync(OBJECT),
          '/root/traffic.py': join(ROOT, 'test/bpf/traffic.py'),
          '/root/connect.py': join(ROOT, 'test/bpf/connect.py'),
        };
        results = (await runInVm({ kernel: name, job: JOB, timeoutS: TIMEOUT_S, files })).results;
      });

      for (const [index, family] of FAMILIES.entries()) {
        test(`${family}: loads, attaches, sees everything exactly once`, () => {
          assert.match(text(`${family}.err`), /^ready$/m, text(`${family}.err`));
          const captured = parseOutput(text(`${family}.out`));
          const { conversations, clients } = parseTraffic(text(`${family}.traffic`));
          assert.ok(conversations.length >= 29, `${conversations.length} conversations`);
          assert.equal(clients.length, CLIENTS.length);
          assert.deepEqual(faultsOf(captured, conversations, clients), []);
          assert.deepEqual([...new Set(captured.messages.map((message) => message.hook))], [index + 1]);
          const [requests = 0, responses = 0] = [
            captured.counters[COUNTER.requests],
            captured.counters[COUNTER.responses],
          ];
          assert.equal(requests + responses, captured.messages.length + lostMessages(captured));
          assert.deepEqual([...new Set(captured.drops)], [0]);
        });

        test(`${family}: tells of each process that is gone what it had counted`, () => {
          const { exits, counted, counters } = parseOutput(text(`${family}.out`));
          assert.equal(exits.length, counters[COUNTER.exits]);
          const key = ({ tgid, start_time, udp, tcp, bytes }: Counted) =>
            [tgid, start_time, udp, tcp, bytes].join(' ');
          const entries = new Set(counted.map(key));
          assert.deepEqual(
            exits.map(key).filter((exit) => !entries.has(exit)),
            [],
          );
          // All clients and the traffic's own programs; the kernel gives some back a little later.
          assert.ok(exits.length >= CLIENTS.length, `${exits.length} of ${counted.length}`);
        });

        for (const [load] of MORE_LOADS)
          test(`${family}: the verifier takes it: ${load}`, () => {
            assert.match(
              text(`${family}.${load}.load`),
              /^loaded$/m,
              text(`${family}.${load}.load`).slice(-4000),
            );
          });

        test(`${family}: sees every connection exactly once`, () => {
          const claims = parseClaims(text(`${family}.connections`));
          assert.ok(claims.filter(({ seen }) => seen).length >= LEAST_SEEN, `${claims.length} connections`);
          const captured = parseOutput(text(`${family}.out`));
          assert.deepEqual(connectionFaults(captured, claims), []);
          assert.equal(captured.counters[COUNTER.connections], captured.connections.length);
        });
      }

      test('nothing is left in the kernel', () => {
        assert.equal(text('left-over'), '');
      });
    });
  }
});
