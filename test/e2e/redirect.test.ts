/**
 * Name servers behind a load balancer at the socket (redirect.py): programs of a control group put a back end's address and port in the
 * place of the service's, as the Kubernetes networks without kube-proxy do. Each question is one record, with what the program asked as
 * its server and the back end as its peer.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { ended } from '../matrix/children.ts';
import { SERVER4, SERVER6 } from './paths.ts';
import {
  ADDRESSES,
  assertService,
  BACKEND_PORTS,
  backendOf,
  PYTHON,
  SERVICE4,
  SERVICE6,
  ServiceAgent,
  ServiceStage,
  WAYS,
} from './service-stage.ts';

const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? '';
const missing = process.getuid?.() !== 0 ? 'needs root' : mount === '' && 'no cgroup v2 is mounted';

describe('translation at the socket', { skip: missing }, () => {
  /** This process and all that it starts are in a control group of their own. */
  const group = `${mount}/whodns-redirect-${process.pid}`;
  const home = `${mount}${/^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/'}`;
  const agent = new ServiceAgent();
  let stage: ServiceStage;
  let balancer: ChildProcess | undefined;

  async function balance(port: number): Promise<void> {
    const [BACKEND4, BACKEND6] = [`${SERVER4}/${port}`, `${SERVER6}/${port}`];
    const [program = '', ...words] = [...PYTHON, 'balance'];
    balancer = spawn(program, words, {
      env: { ...process.env, BACKEND4, BACKEND6 },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [first] = await Promise.race([
      once(balancer.stdout as NodeJS.ReadableStream, 'data'),
      once(balancer, 'exit'),
    ]);
    assert.match(String(first), /^ready/);
  }

  /** Programs stay attached when who attached them is killed: the balancer ends by its input. */
  async function endBalance(): Promise<void> {
    if (balancer === undefined) return;
    balancer.stdin?.end();
    await ended(balancer);
    balancer = undefined;
  }

  before(async () => {
    mkdirSync(group);
    writeFileSync(`${group}/cgroup.procs`, String(process.pid));
    stage = await ServiceStage.open('link c\nclient c near\nserver far');
    await balance(1053);
    await agent.start(stage);
  });

  after(async () => {
    await endBalance();
    try {
      await agent.stop();
    } finally {
      await stage?.close();
      writeFileSync(`${home}/cgroup.procs`, String(process.pid));
      rmdirSync(group);
    }
  });

  for (const port of BACKEND_PORTS)
    describe(`a back end at port ${port}`, () => {
      before(async () => {
        await endBalance();
        await balance(port);
        await stage.forgetNeighbours();
      });

      for (const address of ADDRESSES)
        for (const way of WAYS)
          test(`${way}, ${address}`, async () => {
            const zone = `${way}${ADDRESSES.indexOf(address)}-${port}.${agent.zone}`;
            const { seen, records } = await agent.play(stage, ['ask', way, address], zone);
            for (const record of records) assertService(record, address, backendOf(address, port));
            if (way !== 'tcp') assert.deepEqual([...new Set(Object.values(seen))], [`${address}/53`]);
          });
    });

  test('who asks the back end itself asks no name server', async () => {
    await endBalance();
    await balance(1053);
    for (const address of [SERVICE4, SERVICE6]) {
      const zone = `direct${ADDRESSES.indexOf(address)}.${agent.zone}`;
      const words = ['direct', address, backendOf(address, 1053)];
      const { records } = await agent.play(stage, words, zone, (name) => !name.includes('-1.'));
      for (const record of records) assertService(record, address, backendOf(address, 1053));
    }
  });

  test('without the programs nothing is translated', async () => {
    await endBalance();
    const { records } = await agent.play(stage, ['ask', 'connected', SERVER4], `plain.${agent.zone}`);
    for (const { attributes } of records) {
      assert.equal(attributes['server.address'], SERVER4);
      assert.ok([undefined, SERVER4].includes(attributes['network.peer.address'] as string));
    }
  });
});
