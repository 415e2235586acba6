/**
 * What was asked and where it went, on every kernel of kernels.txt and in all hook families: programs of control groups (connect4/6,
 * sendmsg4/6), nftables and IPVS put a back end at another port in the place of the service. UDP connected and not, TCP; the kernel
 * programs without the agent (test/e2e/redirect.test.ts and translation.test.ts: with it). With WHODNS_KERNELS=full only.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { buildLoader, FLAG, type Message, parseOutput } from '../bpf/capture.ts';
import { PRELUDE, SERVER4, SERVER6 } from '../e2e/paths.ts';
import { SERVICE4, SERVICE6 } from '../e2e/service-stage.ts';
import { kernel, kernelList } from './kernels.ts';
import { modules } from './modules.ts';
import { MACHINES, runInVm } from './vm.ts';

const TIMEOUT_S = 400;
const PORT = 1053;
const ADDRESSES = [SERVICE4, SERVICE6, `::ffff:${SERVICE4}`];
const MODULES = ['veth', 'nft_chain_nat', 'nft_nat', 'ip_vs', 'ip_vs_rr'];
/** IPVS last: where its module is loaded, `tracepoint` looks at more. */
const TRANSLATIONS = ['socket', 'nft', 'ipvs'] as const;
/** Ways of asking, three names each. */
const NAMES = ADDRESSES.length * 5 * 3;

/** Single requests of fentry can be missing where kernel code is preempted (test/matrix/skipped-runs.ts). */
const familiesOf = (name: string): readonly string[] =>
  Number.parseInt(name, 10) >= 7 ? ['kprobe', 'tracepoint'] : ['fentry', 'kprobe', 'tracepoint'];

/* Programs end at the end of their input: descriptors 7 and 9 keep it open. */
const job = (families: readonly string[], files: readonly string[]): string => `
${files.map((file) => (file.includes('ip_vs') ? '' : `insmod ${file}\n`)).join('')}
/usr/bin/unshare -n sleep 10000 &
export S=$! C=$$ H=$$ BACKEND4=${SERVER4}/${PORT} BACKEND6=${SERVER6}/${PORT}
sleep 0.5
${PRELUDE}
link c
client c near
server far
c ip route add ${SERVICE4} via ${SERVER4}
c ip -6 route add ${SERVICE6} via ${SERVER6}
set +e
sleep 2
s python3 test/e2e/redirect.py serve $BACKEND4 $BACKEND6 >/tmp/serve &
serve=$!
until grep -q ready /tmp/serve; do sleep 0.2; done
translate_socket() {
  mkfifo /tmp/balance
  exec 7<>/tmp/balance
  python3 test/e2e/redirect.py balance </tmp/balance 7<&- >/tmp/balanced &
  balance=$!
  until grep -q ready /tmp/balanced; do sleep 0.2; done
}
end_socket() { exec 7<&-; wait $balance; }
translate_nft() {
  nft 'table inet service { chain out { type nat hook output priority -100; ip daddr ${SERVICE4} meta l4proto { udp, tcp } th dport 53 dnat ip to ${SERVER4}:${PORT}; ip6 daddr ${SERVICE6} meta l4proto { udp, tcp } th dport 53 dnat ip6 to [${SERVER6}]:${PORT}; }; }'
}
end_nft() { nft flush ruleset; }
translate_ipvs() {
${files.map((file) => (file.includes('ip_vs') ? `  insmod ${file}\n` : '')).join('')}
  python3 test/e2e/ipvs.py ${SERVICE4} ${SERVER4} ${PORT}
  python3 test/e2e/ipvs.py ${SERVICE6} ${SERVER6} ${PORT}
}
end_ipvs() { :; }
for way in ${TRANSLATIONS.join(' ')}; do
  translate_$way
  for family in ${families.join(' ')}; do
    mkfifo /tmp/$way-$family
    exec 9<>/tmp/$way-$family
    build/test/loader build/dns.bpf.o $family --redirects </tmp/$way-$family 7<&- 9<&- >/results/$way-$family.out 2>/results/$way-$family.err &
    loader=$!
    until grep -qE 'ready|cannot' /results/$way-$family.err 2>/dev/null; do sleep 0.2; done
    python3 test/e2e/redirect.py every ${ADDRESSES.join(',')} $way.$family.test >/results/$way-$family.sent 2>>/results/$way-$family.err
    sleep 0.3
    kill -INT $loader
    wait $loader
  done
  end_$way
done
# they hold the job's output
kill $serve $S
`;

interface Sent {
  readonly pid: number;
  readonly seen: Readonly<Record<string, unknown>>;
}

const wireOf = (name: string): string =>
  name
    .split('.')
    .map((label) => String.fromCharCode(label.length) + label)
    .join('');

/** Everything wrong, a line each. */
function faultsOf(messages: readonly Message[], { pid, seen }: Sent, isTranslated: boolean): string[] {
  const faults: string[] = [];
  for (const name of Object.keys(seen)) {
    const wire = Buffer.from(wireOf(name), 'latin1').toString('hex');
    const found = messages.filter(({ payload }) => payload.includes(wire));
    const requests = found.filter(({ direction }) => direction === 'request');
    const [request] = requests;
    if (request === undefined || requests.length !== 1 || found.length !== 2) {
      faults.push(`${name}: ${requests.length} requests, ${found.length - requests.length} answers`);
      continue;
    }
    const isIpv6 = /\.1\./.test(name);
    const service = isIpv6 ? `${SERVICE6}/53` : `::ffff:${SERVICE4}/53`;
    const backend = isIpv6 ? `${SERVER6}/${PORT}` : `::ffff:${SERVER4}/${PORT}`;
    const { dialed, dialed_port, remote, remote_port, flags, owner } = request;
    const asked = flags & FLAG.dialed ? `${dialed}/${dialed_port}` : undefined;
    const is = `${asked} ${remote}/${remote_port} ${owner.tgid}`;
    const right = isTranslated ? `${service} ${backend} ${pid}` : `undefined ${service} ${pid}`;
    if (is !== right) faults.push(`${name}: ${is}, not ${right}`);
  }
  return faults;
}

const needsFull = process.env['WHODNS_KERNELS'] !== 'full' && 'with WHODNS_KERNELS=full';

describe('kernels', { concurrency: MACHINES, skip: needsFull }, () => {
  before(buildLoader);

  for (const { name } of kernelList()) {
    describe(`kernel ${name}`, () => {
      let results: ReadonlyMap<string, Buffer>;
      let said: string;
      const text = (file: string): string => results.get(file)?.toString('latin1') ?? '';
      const families = familiesOf(name);

      before(async () => {
        const files = modules(await kernel(name), MODULES).map(
          (module) => [`/modules/${module.name}.ko`, module.bytes] as const,
        );
        const paths = files.map(([path]) => path);
        ({ results, output: said } = await runInVm({
          kernel: name,
          job: job(families, paths),
          files: Object.fromEntries(files),
          programs: ['nft'],
          timeoutS: TIMEOUT_S,
        }));
      });

      for (const way of TRANSLATIONS)
        for (const family of families)
          test(`${way}, ${family}`, () => {
            const errors = text(`${way}-${family}.err`);
            assert.match(errors, /^ready$/m, errors + said);
            const sent = text(`${way}-${family}.sent`);
            assert.notEqual(sent, '', errors + said);
            const { messages } = parseOutput(text(`${way}-${family}.out`));
            const asked = JSON.parse(sent) as Sent;
            assert.equal(Object.keys(asked.seen).length, NAMES);
            assert.deepEqual(faultsOf(messages, asked, way === 'socket' || family === 'tracepoint'), []);
          });
    });
  }
});
