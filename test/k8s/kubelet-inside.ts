/** Runs in the kubelet's network namespace: a source as `--kubernetes kubelet` makes it. Prints what it knows after each change. */
import { resolveConfig } from '../../src/config/config.ts';
import { createKubernetes } from '../../src/enrich/kubernetes/sources.ts';
import { createLog } from '../../src/lib/log.ts';

const [url = '', ...more] = process.argv.slice(2);
const flags = { kubernetes: 'kubelet', kubeletUrl: url, nodeName: 'node-a', podLabels: ['app'] };
const { config } = resolveConfig(
  'run',
  more.includes('verify') ? flags : { ...flags, kubeletTlsVerify: false },
  {},
);
const log = createLog('debug', (line) => process.stderr.write(line));
const kubernetes = await createKubernetes(config, {}, log);
const source = kubernetes?.sources[0];
if (source === undefined) throw new Error('no source');
const print = (): void => {
  process.stdout.write(`${JSON.stringify({ pods: [...source.pods()], stats: source.stats() })}\n`);
};
source.start(print);
setInterval(print, 500);
