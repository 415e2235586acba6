/**
 * Name servers behind a translation that the socket does not know of: nftables (destination NAT) and IPVS, on the host of the program or on a
 * router. Each question is one record, with what the program asked as its server. Where it went (`network.peer.*`) is known where
 * packets are seen, `tracepoint`, and the translation is in the program's own network namespace; else there is no such attribute.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice). A translation that this kernel has not is skipped.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { SERVER4, SERVER6 } from './paths.ts';
import {
  ADDRESSES,
  assertService,
  backendOf,
  SERVICE4,
  SERVICE6,
  ServiceAgent,
  ServiceStage,
  WAYS,
} from './service-stage.ts';

const DIRECT = 'link c\nclient c near\nserver far';
/** What the program sends to the service is routed as if it were there. */
const ROUTES = `
c ip route add ${SERVICE4} via ${SERVER4}
c ip -6 route add ${SERVICE6} via ${SERVER6}`;
/** The router is 10.98.0.1 and 10.99.0.1; the client's device is called near in all ways. */
const ROUTED = `link h
h ip link set near name out
client h out
ip link add in0 netns $H type veth peer name near netns $C
h ip addr add 10.98.0.1/24 dev in0
h ip addr add fd98::1/64 dev in0 nodad
h ip link set in0 up
c ip addr add 10.98.0.2/24 dev near
c ip addr add fd98::2/64 dev near nodad
c ip link set near up
c ip route add default via 10.98.0.1
c ip -6 route add default via fd98::1
h sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
server far
s ip route add default via 10.99.0.1
s ip -6 route add default via fd99::1`;

const nft = (hook: string, port: number, more = ''): string => `
nft -f - <<END
table inet service {
  chain translate {
    type nat hook ${hook} priority -100
    ip daddr ${SERVICE4} meta l4proto { udp, tcp } th dport 53 dnat ip to ${SERVER4}:${port}
    ip6 daddr ${SERVICE6} meta l4proto { udp, tcp } th dport 53 dnat ip6 to [${SERVER6}]:${port}
  }
${more}
}
END
`;
const MASQUERADE = `  chain source {
    type nat hook postrouting priority 100
    meta l4proto { udp, tcp } masquerade random
  }`;
const ipvs = (port: number): string => `
c python3 ${import.meta.dirname}/ipvs.py ${SERVICE4} ${SERVER4} ${port}
c python3 ${import.meta.dirname}/ipvs.py ${SERVICE6} ${SERVER6} ${port}`;

interface Translation {
  readonly name: string;
  readonly script: string;
  readonly port: number;
  /** By the program's own kernel namespace, so that a packet on its device shows it. */
  readonly isHere: boolean;
  readonly needs: 'nft' | 'ipvs';
}

const TRANSLATIONS: readonly Translation[] = [
  ...[1053, 53].flatMap((port): Translation[] => [
    {
      name: `nftables, a back end at port ${port}`,
      script: DIRECT + ROUTES + nft('output', port).replace('\nnft', '\nc nft'),
      port,
      isHere: true,
      needs: 'nft',
    },
    {
      name: `IPVS, a back end at port ${port}`,
      script: DIRECT + ROUTES + ipvs(port),
      port,
      isHere: true,
      needs: 'ipvs',
    },
  ]),
  {
    name: 'nftables that also exchanges the source and its port',
    script: DIRECT + ROUTES + nft('output', 1053, MASQUERADE).replace('\nnft', '\nc nft'),
    port: 1053,
    isHere: true,
    needs: 'nft',
  },
  {
    name: 'nftables on a router',
    script: ROUTED + nft('prerouting', 1053, MASQUERADE).replace('\nnft', '\nh nft'),
    port: 1053,
    isHere: false,
    needs: 'nft',
  },
];

const HAS = {
  nft: true,
  ipvs: /^\S+ \S+ ip_vs_(?:conn|lookup)/m.test(readFileSync('/proc/kallsyms', 'latin1')),
};

describe('translation behind the socket', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const agent = new ServiceAgent();

  before(async () => {
    const stage = await ServiceStage.open(DIRECT);
    await agent.start(stage).finally(() => stage.close());
  });
  after(() => agent.stop());

  for (const [index, { name, script, port, isHere, needs }] of TRANSLATIONS.entries())
    describe(name, { skip: !HAS[needs] && 'this kernel has no IPVS' }, () => {
      const peerOf = (address: string): string | undefined =>
        isHere && agent.hook === 'tracepoint' ? backendOf(address, port) : undefined;
      const zoneOf = (way: string, address: string): string =>
        `${way}${ADDRESSES.indexOf(address)}-${index}.${agent.zone}`;
      let stage: ServiceStage;

      before(async () => {
        stage = await ServiceStage.open(script);
      });
      after(() => stage?.close());

      for (const address of ADDRESSES)
        for (const way of WAYS)
          test(`${way}, ${address}`, async () => {
            const { seen, records } = await agent.play(stage, ['ask', way, address], zoneOf(way, address));
            for (const record of records) assertService(record, address, peerOf(address));
            // The answer is translated back.
            if (way !== 'tcp') assert.deepEqual([...new Set(Object.values(seen))], [`${address}/53`]);
          });

      if (port !== 53 && isHere)
        test('who asks the back end itself asks no name server', async () => {
          for (const address of [SERVICE4, SERVICE6]) {
            const words = ['direct', address, backendOf(address, port)];
            const isRecorded = (asked: string): boolean => !asked.includes('-1.');
            const { records } = await agent.play(stage, words, zoneOf('direct', address), isRecorded);
            for (const record of records) assertService(record, address, peerOf(address));
          }
        });
    });
});
