/** The programs of docs/examples, run as they are against the built package, real lookups and a real OTLP receiver. */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiStage, Program } from './api-stage.ts';
import { attributes, Receiver } from './receiver.ts';

const EXAMPLES = resolve('docs/examples');

let stage: ApiStage;
before(async () => {
  stage = await ApiStage.open();
});
after(() => stage?.close());

async function example(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  use: (program: Program) => Promise<void>,
): Promise<void> {
  const [file = '', ...rest] = argv;
  const program = new Program([process.execPath, `${EXAMPLES}/${file}`, ...rest], env);
  try {
    await use(program);
  } finally {
    await program.kill();
  }
}

/** Asks until the program has said something that matches. */
async function askUntil(program: Program, host: string, pattern: RegExp): Promise<void> {
  for (let i = 0; i < 60 && !pattern.test(program.output); i++) {
    await stage.ask(host);
    await sleep(500);
    assert.equal(program.child.exitCode, null, program.errors);
  }
  assert.match(program.output, pattern);
}

test('print.ts: this host', () =>
  example(['print.ts'], {}, async (program) => {
    await askUntil(
      program,
      'www',
      new RegExp(`"dig" A www\\.${stage.zone} NOERROR \\d+\\.\\d ms 192\\.0\\.2\\.1\\n`),
    );
  }));

test('print.ts: a capture file, without rights', () =>
  example(['print.ts', resolve('test/golden/pcaps/dns_udp.pcap')], {}, async (program) => {
    assert.equal(await program.ended(), 0, program.errors);
    assert.match(program.output, / NOERROR \d+\.\d ms /);
    assert.equal(program.errors, '');
  }));

test('alert.ts: the name that was given, and no other', () =>
  example(['alert.ts', `bulk.${stage.zone}`, 'evil.example'], {}, async (program) => {
    await stage.ask('www');
    await askUntil(program, 'x.bulk', /\n/);
    await stage.ask('www');
    await sleep(500);
    for (const line of program.said) {
      assert.equal(line['alert'], `x.bulk.${stage.zone}`);
      assert.match(String(line['executable']), /\/dig$/);
    }
  }));

test('alert.ts: a name that is none of the language is refused with its place', () =>
  example(['alert.ts'], {}, async (program) => {
    assert.equal(await program.ended(), 1);
    assert.match(program.errors, /^filter: .*expected a domain name/);
    assert.match(program.errors, /\(options\)/);
  }));

test('own-sdk.ts: the stock console exporters', () =>
  example(['own-sdk.ts'], {}, async (program) => {
    await program.until(() => program.errors.includes('capturing'), 'start');
    await askUntil(program, 'www', new RegExp(`'dns.question.name': 'www.${stage.zone}'`));
    program.child.kill('SIGTERM');
    assert.equal(await program.ended(), 0, program.errors);
    assert.match(program.output, /'process\.executable\.name': 'dig'/);
    assert.match(program.output, /'service\.name': 'my-watcher'/);
    for (const metric of ['whodns.queries', 'dns.lookup.duration', 'whodns.dropped'])
      assert.ok(program.output.includes(`name: '${metric}'`), metric);
  }));

test('own-sdk.ts: the stock OTLP exporter, to a real receiver', async (t) => {
  const receiver = await Receiver.grpc();
  t.after(() => receiver.stop());
  await example(['own-sdk.ts'], { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, async (program) => {
    await program.until(() => program.errors.includes('capturing'), 'start');
    await stage.ask('www');
    await sleep(500);
    program.child.kill('SIGTERM');
    assert.equal(await program.ended(), 0, program.errors);
  });
  const ours = receiver.records.filter(
    ({ record }) => attributes(record.attributes)['dns.question.name'] === `www.${stage.zone}`,
  );
  assert.equal(ours.length, 1);
  const [{ resource, scope, record } = assert.fail()] = ours;
  assert.equal(resource['service.name'], 'my-watcher');
  assert.deepEqual(
    [scope.name, record.eventName, record.severityNumber],
    ['whodns', 'whodns.query', 'SEVERITY_NUMBER_INFO'],
  );
  const {
    'process.executable.name': name,
    'dns.answers': answers,
    'service.name': service,
  } = attributes(record.attributes);
  assert.deepEqual([name, answers, service], ['dig', ['192.0.2.1'], 'unknown_service:dig']);
  assert.match(record.timeUnixNano, /^\d{19}$/);
});
