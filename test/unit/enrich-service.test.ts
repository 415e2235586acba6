import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import {
  publishedAttributes,
  serviceAttributes,
  serviceVariables,
  unknownService,
} from '../../src/enrich/process/service.ts';

const environ = (...variables: string[]) => Buffer.from(variables.map((line) => `${line}\0`).join(''));
const of = (...variables: string[]) => serviceAttributes(serviceVariables(environ(...variables)));

/** Each also given to the OpenTelemetry SDK itself, see below. */
const SAME_AS_SDK: readonly (readonly [string, readonly string[], Record<string, string>])[] = [
  ['nothing', [], {}],
  ['the name', ['OTEL_SERVICE_NAME=shop'], { 'service.name': 'shop' }],
  ['the name with spaces around', ['OTEL_SERVICE_NAME= shop '], { 'service.name': ' shop ' }],
  ['a name of spaces', ['OTEL_SERVICE_NAME=  '], {}],
  ['an empty name', ['OTEL_SERVICE_NAME='], {}],
  [
    'the name before the attributes',
    ['OTEL_RESOURCE_ATTRIBUTES=service.name=b,service.version=1', 'OTEL_SERVICE_NAME=a'],
    { 'service.name': 'a', 'service.version': '1' },
  ],
  [
    'attributes',
    ['OTEL_RESOURCE_ATTRIBUTES=service.name=b,service.namespace=ns , team=red,'],
    { 'service.name': 'b', 'service.namespace': 'ns', team: 'red' },
  ],
  [
    'percent-encoded',
    ['OTEL_RESOURCE_ATTRIBUTES=service.name=a%2Cb%3Dc,team=%C3%BC%20x'],
    { 'service.name': 'a,b=c', team: 'ü x' },
  ],
  ['a decode error: all discarded', ['OTEL_RESOURCE_ATTRIBUTES=service.name=a,team=%zz'], {}],
  ['bad UTF-8 in percent-encoding: all discarded', ['OTEL_RESOURCE_ATTRIBUTES=service.name=a,team=%ff'], {}],
  ['no equals sign: all discarded', ['OTEL_RESOURCE_ATTRIBUTES=service.name=a,team'], {}],
  ['two equals signs: all discarded', ['OTEL_RESOURCE_ATTRIBUTES=service.name=a,team=b=c'], {}],
  ['an empty key: all discarded', ['OTEL_RESOURCE_ATTRIBUTES=service.name=a,=b'], {}],
  ['too long a value: all discarded', [`OTEL_RESOURCE_ATTRIBUTES=service.name=a,t=${'x'.repeat(256)}`], {}],
  ['the last of two attributes', ['OTEL_RESOURCE_ATTRIBUTES=team=a,team=b'], { team: 'b' }],
  [
    'a discarded value does not touch the name',
    ['OTEL_RESOURCE_ATTRIBUTES=x', 'OTEL_SERVICE_NAME=a'],
    { 'service.name': 'a' },
  ],
];

describe('enrich: what the application says about itself', () => {
  for (const [what, variables, expected] of SAME_AS_SDK) {
    it(what, () => assert.deepEqual(of(...variables).attributes, expected));
  }

  it('is what the OpenTelemetry SDK in the process reports', () => {
    const program = `
      import { detectResources, envDetector } from '@opentelemetry/resources';
      console.log(JSON.stringify(detectResources({ detectors: [envDetector] }).attributes));`;
    for (const [what, variables, expected] of SAME_AS_SDK) {
      const env = Object.fromEntries(variables.map((line) => line.split(/=(.*)/s).slice(0, 2)));
      const out = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
        env,
        encoding: 'utf8',
      });
      assert.deepEqual(JSON.parse(out), expected, what);
    }
  });

  it('ignores variables nobody expanded, and empty values', () => {
    assert.deepEqual(
      of('OTEL_SERVICE_NAME=$(POD_NAME)', 'OTEL_RESOURCE_ATTRIBUTES=a=$X,b=,service.name=n').attributes,
      {
        'service.name': 'n',
      },
    );
  });

  it('does not take its word on what is measured', () => {
    const said =
      'process.pid=1,host.name=x,container.id=y,os.type=z,telemetry.distro.name=q,whodns.x=1,hostess=ok,' +
      'k8s.pod.name=payments-0,K8S.Pod.Name=a,k8s_namespace_name=b,cloud.account.id=c,aws.ecs.task.arn=d,' +
      'container_id=e,a%0ab=f,%20k8s.pod.uid=g,k8s%E2%80%8B.pod.uid=h,k8sish=ok,service_name=ok,process_type=ok';
    const { attributes, refused } = of(`OTEL_RESOURCE_ATTRIBUTES=${said}`);
    assert.deepEqual(attributes, { hostess: 'ok', k8sish: 'ok', service_name: 'ok', process_type: 'ok' });
    assert.equal(refused, 15);
  });

  it('takes no more than a record can bear', () => {
    const large = Array.from({ length: 60 }, (_, i) => [`k${i}`, ['x'.repeat(1000)]] as const);
    const { attributes, refused } = publishedAttributes(Object.fromEntries(large));
    assert.equal(Object.keys(attributes).length, 16);
    assert.equal(refused, 44);
  });

  it('tells a value that is not well-formed from none', () => {
    assert.equal(of('OTEL_RESOURCE_ATTRIBUTES=x').invalid, true);
    assert.equal(of('PATH=/bin').invalid, false);
  });

  it('takes the first of two variables, as getenv does, and only whole names', () => {
    assert.equal(of('OTEL_SERVICE_NAME=a', 'OTEL_SERVICE_NAME=b').attributes['service.name'], 'a');
    assert.deepEqual(of('MY_OTEL_SERVICE_NAME=a', 'X=OTEL_SERVICE_NAME=b').attributes, {});
  });

  it('takes no half of a value that the bound cut', () => {
    assert.deepEqual(serviceVariables(Buffer.from('A=b\0OTEL_SERVICE_NAME=che')), {
      serviceName: undefined,
      resourceAttributes: undefined,
    });
  });

  it('is bounded', () => {
    const many = Array.from({ length: 65 }, (_, i) => `k${i}=v`).join(',');
    assert.deepEqual(of(`OTEL_RESOURCE_ATTRIBUTES=${many}`), { attributes: {}, refused: 0, invalid: true });
    assert.equal(String(of(`OTEL_SERVICE_NAME=${'x'.repeat(9999)}`).attributes['service.name']).length, 255);
  });

  it('carries hostile values unharmed', () => {
    assert.equal(of('OTEL_SERVICE_NAME=a\n\x1b[31mb').attributes['service.name'], 'a\n\x1b[31mb');
    const bytes = Buffer.concat([Buffer.from('OTEL_SERVICE_NAME=a'), Buffer.from([0xff, 0xc3, 0])]);
    assert.equal(serviceAttributes(serviceVariables(bytes)).attributes['service.name'], 'a\ufffd\ufffd');
    const proto = of('OTEL_RESOURCE_ATTRIBUTES=__proto__=x,constructor=y').attributes;
    assert.equal(Object.getPrototypeOf(proto), Object.prototype);
    assert.deepEqual(Object.keys(proto), ['__proto__', 'constructor']);
  });

  it('falls back to the executable', () => {
    assert.equal(unknownService('curl'), 'unknown_service:curl');
    assert.equal(unknownService(''), 'unknown_service');
  });
});
