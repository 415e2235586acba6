/** `whodns config` and OTEL_CONFIG_FILE, by the real command. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { MAIN } from '../matrix/program.ts';

const ROOT = join(import.meta.dirname, '../..');
const CAPTURE = join(ROOT, 'test/golden/pcaps/edns-opts.pcap');
const SECRET = 'hunter2';
const directory = mkdtempSync(join(tmpdir(), 'whodns-config-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Nothing of the test's own environment but what a program needs. */
function whodns(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  return { status, stdout, stderr };
}

interface Setting {
  readonly name: string;
  readonly value?: unknown;
  readonly from: string;
}

function settings(args: readonly string[], env: Readonly<Record<string, string>> = {}): Map<string, Setting> {
  const { status, stdout, stderr } = whodns(['config', '--format', 'json', ...args], env);
  assert.equal(status, 0, stderr);
  assert.doesNotMatch(stdout + stderr, new RegExp(SECRET));
  const { settings: list } = JSON.parse(stdout) as { settings: Setting[] };
  const found = new Map(list.map((setting) => [setting.name, setting]));
  assert.equal(found.size, list.length, 'each setting once');
  return found;
}

function fileWith(yaml: string): string {
  const path = join(directory, 'otel.yaml');
  writeFileSync(path, yaml);
  return path;
}

const FILE = `file_format: "1.1"
resource:
  attributes:
    - { name: service.name, value: agent }
    - { name: api.token, value: ${SECRET} }
logger_provider:
  processors:
    - batch:
        schedule_delay: 250
        exporter:
          otlp_grpc:
            endpoint: https://user:${SECRET}@collector:4317
            headers:
              - { name: authorization, value: "\${CREDENTIAL}" }
distribution:
  whodns:
    emit: request
`;

describe('whodns config', () => {
  it('says where each value comes from: flag, variable, file, default', () => {
    const path = fileWith(FILE);
    const env = { OTEL_CONFIG_FILE: path, CREDENTIAL: SECRET, WHODNS_MAX_PAYLOAD: '9999' };
    const found = settings(['--port', '5353'], env);
    const of = (name: string) => [found.get(name)?.value, found.get(name)?.from];
    assert.deepEqual(of('--port'), [[5353], '--port']);
    assert.deepEqual(of('--emit'), ['request', `${path}: distribution.whodns.emit`]);
    assert.deepEqual(of('--config-file'), [path, 'OTEL_CONFIG_FILE']);
    assert.deepEqual(of('--max-payload'), [4096, 'default'], 'a variable beside the file does not count');
    const processor = `${path}: logger_provider.processors[0].batch`;
    assert.deepEqual(of('OTEL_BLRP_SCHEDULE_DELAY'), [250, `${processor}.schedule_delay`]);
    const endpoint = of('OTEL_EXPORTER_OTLP_LOGS_ENDPOINT');
    assert.deepEqual(endpoint, ['https://***@collector:4317', `${processor}.exporter.otlp_grpc.endpoint`]);
    const headers = of('OTEL_EXPORTER_OTLP_LOGS_HEADERS');
    assert.deepEqual(headers, [{ authorization: '***' }, `${processor}.exporter.otlp_grpc.headers`]);
    const resource = of('OTEL_RESOURCE_ATTRIBUTES')[0];
    assert.deepEqual(resource, { 'service.name': 'agent', 'api.token': '***' });
    assert.deepEqual(of('OTEL_LOGS_EXPORTER'), [['otlp'], `${path}: logger_provider`]);
  });

  it('shows variables by their name, and no credential of theirs', () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://user:${SECRET}@collector:4317`,
      OTEL_EXPORTER_OTLP_HEADERS: `x-api-key=${SECRET},tenant=${SECRET}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '1234',
    };
    const found = settings([], env);
    assert.deepEqual(found.get('OTEL_EXPORTER_OTLP_HEADERS')?.value, { 'x-api-key': '***', tenant: '***' });
    assert.equal(found.get('OTEL_EXPORTER_OTLP_LOGS_TIMEOUT')?.from, 'OTEL_EXPORTER_OTLP_TIMEOUT');
    const table = whodns(['config'], env);
    assert.equal(table.status, 0);
    assert.doesNotMatch(table.stdout, new RegExp(SECRET));
    assert.match(table.stdout, /^SETTING +VALUE +FROM$/m);
    assert.match(table.stdout, /^OTEL_EXPORTER_OTLP_LOGS_TIMEOUT +1234ms +OTEL_EXPORTER_OTLP_TIMEOUT$/m);
    assert.match(whodns(['config', '--all'], env).stdout, /^--ring-bytes +8M +default$/m);
  });

  it('shows nothing of a hostile value raw', () => {
    const { stdout, stderr, status } = whodns(['config'], { OTEL_SERVICE_NAME: '\u001b]0;x\u0007' });
    assert.equal(status, 0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is what is tested
    assert.doesNotMatch(stdout + stderr, /[\x00-\x09\x0b-\x1f]/);
  });

  it('refuses what run would refuse', () => {
    assert.equal(whodns(['config', '--port', '0']).status, 2);
    const path = fileWith('file_format: "1.1"\nlog_level: loud\n');
    for (const command of [['config'], ['doctor'], ['run'], ['replay', CAPTURE]]) {
      const { status, stderr, stdout } = whodns(command, { OTEL_CONFIG_FILE: path });
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.equal(stderr.split('\n').filter((line) => line.startsWith('whodns: ')).length, 1, stderr);
    }
  });
});

describe('a run by a configuration file', () => {
  it('does what it says', () => {
    const output = join(directory, 'records.jsonl');
    const path = fileWith(`file_format: "1.0"
attribute_limits: { attribute_count_limit: 2 }
logger_provider:
  processors:
    - batch: { exporter: { otlp_file/development: { output_stream: "file://${output}" } } }
`);
    const { status, stderr } = whodns(['replay', CAPTURE, '--config', path], {
      OTEL_LOGS_EXPORTER: 'console',
    });
    assert.equal(status, 0, stderr);
    const lines = readFileSync(output, 'utf8').trimEnd().split('\n');
    const records = lines.flatMap((line) =>
      (
        JSON.parse(line) as {
          resourceLogs: {
            scopeLogs: { logRecords: { attributes: []; droppedAttributesCount: number }[] }[];
          }[];
        }
      ).resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)),
    );
    assert.ok(records.length > 0);
    for (const { attributes, droppedAttributesCount } of records) {
      assert.equal(attributes.length, 2);
      assert.ok(droppedAttributesCount > 5);
    }
  });

  it('is silent when it is disabled', () => {
    const path = fileWith(`${FILE}disabled: true\n`);
    const { status, stdout } = whodns(['replay', CAPTURE], { OTEL_CONFIG_FILE: path, CREDENTIAL: 'x' });
    assert.equal(status, 0);
    assert.equal(stdout, '');
  });
});
