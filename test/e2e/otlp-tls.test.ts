/** TLS to real servers with certificates of openssl: trust, client certificates, and files replaced while it runs. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger, type StageSnapshot } from '../../src/ledger.ts';
import { UserError } from '../../src/lib/errors.ts';
import type { DeliverySink } from '../../src/sinks/delivery/delivery.ts';
import { logEvent } from '../unit/sink-events.ts';
import { Authority, type KeyPair } from './certificates.ts';
import { logsSink, PROTOCOLS, type Protocol, targetOf } from './otlp-sinks.ts';
import { type Listen, Receiver } from './receiver.ts';

const PREFIX = 'OTEL_EXPORTER_OTLP_';

interface Setup {
  readonly sink: DeliverySink;
  readonly lines: string[];
  stage(): StageSnapshot;
}

function serve(
  t: TestContext,
  protocol: Protocol,
  pair: KeyPair,
  more: { port?: number; clientCa?: string } = {},
) {
  const { port = 0, clientCa } = more;
  const tls = {
    key: readFileSync(pair.key, 'utf8'),
    cert: readFileSync(pair.cert, 'utf8'),
    ...(clientCa === undefined ? {} : { clientCa }),
  };
  const where: Listen = { port, tls };
  return (protocol === 'grpc' ? Receiver.grpc(where) : Receiver.http(where)).then((receiver) => {
    t.after(() => receiver.stop());
    return receiver;
  });
}

/** A sink that has one record to deliver. */
async function setUp(
  t: TestContext,
  protocol: Protocol,
  url: string,
  env: Readonly<Record<string, string>>,
): Promise<Setup> {
  const ledger = new Ledger();
  const lines: string[] = [];
  const notices = { warn: (m: string) => lines.push(m), info: (m: string) => lines.push(m) };
  const variables = Object.fromEntries(Object.entries(env).map(([name, value]) => [PREFIX + name, value]));
  const sink = await logsSink({ protocol, url, ledger, notices, env: variables, limits: { delayMs: 5 } });
  t.after(() => sink.close(0));
  sink.accept(logEvent());
  const stage = (): StageSnapshot => {
    const [snapshot] = ledger.snapshot();
    assert.ok(snapshot);
    assert.equal(snapshot.missing, 0);
    return snapshot;
  };
  return { sink, lines, stage };
}

/** A copy of the files that the test can replace. */
function replaceable(t: TestContext, ...files: readonly string[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-tls-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return files.map((file, index) => {
    const copy = join(directory, `${index}.pem`);
    copyFileSync(file, copy);
    return copy;
  });
}

for (const protocol of PROTOCOLS) {
  describe(`OTLP ${protocol} with TLS`, () => {
    it('trusts the authority it is given, and no other', async (t) => {
      const authority = new Authority(t, 'ours');
      const receiver = await serve(t, protocol, authority.issue());
      assert.match(receiver.url, /^https:/);
      const good = await setUp(t, protocol, receiver.url, { CERTIFICATE: authority.file });
      await good.sink.flush();
      assert.equal(good.stage().out, 1);

      const other = await setUp(t, protocol, receiver.url, { CERTIFICATE: new Authority(t, 'other').file });
      const none = await setUp(t, protocol, receiver.url, {});
      await sleep(1200);
      for (const { lines, stage } of [other, none]) {
        assert.equal(stage().held, 1);
        assert.match(lines[0] ?? '', /certificate|self.signed|issuer/i);
      }
      assert.equal(receiver.records.length, 1);
    });

    it('takes a replaced file of authorities without a restart', async (t) => {
      const authority = new Authority(t, 'new');
      const [file = ''] = replaceable(t, new Authority(t, 'old').file);
      const receiver = await serve(t, protocol, authority.issue());
      const { sink, stage } = await setUp(t, protocol, receiver.url, { CERTIFICATE: file });
      await sleep(700);
      assert.equal(stage().held, 1);
      copyFileSync(authority.file, file);
      await sink.flush();
      assert.equal(stage().out, 1);
    });

    it('waits while the certificate of the server is expired', async (t) => {
      const authority = new Authority(t, 'ours');
      const expired = await serve(t, protocol, authority.issue(-1));
      const { sink, lines, stage } = await setUp(t, protocol, expired.url, { CERTIFICATE: authority.file });
      await sleep(1000);
      assert.equal(stage().held, 1);
      assert.match(lines[0] ?? '', /expired/i);
      await expired.stop();
      const port = Number(new URL(expired.url).port);
      const renewed = await serve(t, protocol, authority.issue(), { port });
      await sink.flush();
      assert.deepEqual([stage().out, stage().dropped, renewed.records.length], [1, {}, 1]);
    });

    it('shows its certificate; an expired one is replaced without a restart', async (t) => {
      const authority = new Authority(t, 'ours');
      const receiver = await serve(t, protocol, authority.issue(), { clientCa: authority.text });
      const trust = { CERTIFICATE: authority.file };
      const anonymous = await setUp(t, protocol, receiver.url, trust);
      const client = authority.issue();
      const known = await setUp(t, protocol, receiver.url, {
        ...trust,
        CLIENT_KEY: client.key,
        CLIENT_CERTIFICATE: client.cert,
      });
      const old = authority.issue(-1);
      const [key = '', cert = ''] = replaceable(t, old.key, old.cert);
      const late = await setUp(t, protocol, receiver.url, {
        ...trust,
        CLIENT_KEY: key,
        CLIENT_CERTIFICATE: cert,
      });
      await known.sink.flush();
      assert.equal(known.stage().out, 1);
      await sleep(1000);
      assert.deepEqual([anonymous.stage().held, late.stage().held], [1, 1]);
      // As a rotation may look from outside: first half of it, which must not be fatal.
      copyFileSync(client.key, key);
      await sleep(1500);
      assert.equal(late.stage().held, 1);
      copyFileSync(client.cert, cert);
      await late.sink.flush();
      assert.equal(late.stage().out, 1);
      assert.equal(receiver.records.length, 2);
    });

    it('goes on with the certificates it has when new ones are of no use', async (t) => {
      const authority = new Authority(t, 'ours');
      const [file = ''] = replaceable(t, authority.file);
      const receiver = await serve(t, protocol, authority.issue());
      const { sink, lines, stage } = await setUp(t, protocol, receiver.url, { CERTIFICATE: file });
      await sink.flush();
      writeFileSync(file, '-----BEGIN CERTIFICATE-----\nAAAA\n');
      await sleep(1100);
      sink.accept(logEvent());
      await sink.flush();
      assert.equal(stage().out, 2);
      assert.match(lines[0] ?? '', /^otlp: new certificate files cannot be used yet/);
    });

    it('a missing file is waited for', async (t) => {
      const authority = new Authority(t, 'ours');
      const [file = ''] = replaceable(t, authority.file);
      rmSync(file);
      const receiver = await serve(t, protocol, authority.issue());
      const { sink, lines, stage } = await setUp(t, protocol, receiver.url, { CERTIFICATE: file });
      await sleep(300);
      assert.equal(stage().held, 1);
      assert.match(lines[0] ?? '', /ENOENT/);
      copyFileSync(authority.file, file);
      await sink.flush();
      assert.equal(stage().out, 1);
    });

    it('a client key without its certificate is an error at the start', () => {
      const env = {
        [`${PREFIX}PROTOCOL`]: protocol,
        [`${PREFIX}ENDPOINT`]: 'https://127.0.0.1:1',
        [`${PREFIX}CLIENT_KEY`]: '/a',
      };
      assert.throws(
        () => targetOf('logs', env),
        (error) => error instanceof UserError && /client certificate/.test(error.message),
      );
    });
  });
}
