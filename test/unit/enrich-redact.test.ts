import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { masked } from '../../src/enrich/process/redact.ts';

type Row = readonly [what: string, args: readonly string[], expected: readonly string[]];

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dGhpcyBpcyBhIHNlY3JldA';

const ROWS: readonly Row[] = [
  ['--password=', ['app', '--password=s3cret'], ['app', '--password=****']],
  ['--password next', ['app', '--password', 's3cret', '--x'], ['app', '--password', '****', '--x']],
  ['-password', ['java', '-password', 's3cret'], ['java', '-password', '****']],
  ['a longer name', ['app', '--db-password-file=/x'], ['app', '--db-password-file=****']],
  ['a name in front', ['app', '--vault-token', 's3cret'], ['app', '--vault-token', '****']],
  ['upper case', ['app', '--API-KEY', 's3cret'], ['app', '--API-KEY', '****']],
  ['api_key=', ['app', 'api_key=s3cret'], ['app', 'api_key=****']],
  ['--client-secret', ['app', '--client-secret', 's3cret'], ['app', '--client-secret', '****']],
  ['a value that begins with a dash', ['app', '--token', '-s3cret'], ['app', '--token', '****']],
  ['-p x', ['app', '-p', 's3cret'], ['app', '-p', '****']],
  ['-p of dig is a port', ['dig', '-p', '5353', 'a.example'], ['dig', '-p', '5353', 'a.example']],
  ['-p of ssh is a port', ['/usr/bin/ssh', '-p', '22', 'h'], ['/usr/bin/ssh', '-p', '22', 'h']],
  ['mysql -pSECRET', ['mysql', '-uroot', '-ps3cret', 'db'], ['mysql', '-uroot', '-p****', 'db']],
  ['sshpass -p', ['sshpass', '-p', 's3cret', 'ssh', 'h'], ['sshpass', '-p', '****', 'ssh', 'h']],
  ['redis-cli -a', ['redis-cli', '-a', 's3cret', 'ping'], ['redis-cli', '-a', '****', 'ping']],
  ['curl -u', ['curl', '-u', 'me:s3cret', 'https://x'], ['curl', '-u', '****', 'https://x']],
  ['curl -ume:s3cret', ['curl', '-ume:s3cret', 'https://x'], ['curl', '-u****', 'https://x']],
  ['curl --user', ['curl', '--user', 'me:s3cret'], ['curl', '--user', '****']],
  ['ldapsearch -w', ['ldapsearch', '-x', '-w', 's3cret'], ['ldapsearch', '-x', '-w', '****']],
  ['openssl -passin', ['openssl', 'rsa', '-passin', 'pass:s3cret'], ['openssl', 'rsa', '-passin', '****']],
  ['a header', ['curl', '-H', 'Authorization: Bearer s3cret'], ['curl', '-H', 'Authorization: ****']],
  ['a header by name', ['curl', '-H', 'X-Api-Key: s3cret'], ['curl', '-H', 'X-Api-Key: ****']],
  ['a cookie', ['curl', '-H', 'Cookie: sid=s3cret; b=c'], ['curl', '-H', 'Cookie: ****']],
  ['a harmless header', ['curl', '-H', 'Accept: text/html'], ['curl', '-H', 'Accept: text/html']],
  ['a scheme alone', ['app', 'Bearer s3cret'], ['app', 'Bearer ****']],
  ['a URL', ['psql', 'postgres://me:s3cret@db/x'], ['psql', 'postgres://me:****@db/x']],
  [
    'a URL with an @ in the password',
    ['psql', 'postgres://me:s3@cret@db/x'],
    ['psql', 'postgres://me:****@db/x'],
  ],
  ['a URL without a user', ['redis-cli', 'redis://:s3cret@db'], ['redis-cli', 'redis://:****@db']],
  [
    'a token as user',
    ['git', 'clone', 'https://s3cret@github.com/x'],
    ['git', 'clone', 'https://****@github.com/x'],
  ],
  [
    'a user that is none',
    ['git', 'clone', 'ssh://git@github.com/x'],
    ['git', 'clone', 'ssh://git@github.com/x'],
  ],
  ['a plain URL', ['curl', 'https://example.com:8443/a?b=c'], ['curl', 'https://example.com:8443/a?b=c']],
  [
    'a query',
    ['curl', 'https://x/?a=b&access_token=s3cret&c=d'],
    ['curl', 'https://x/?a=b&access_token=****&c=d'],
  ],
  ['an environment', ['env', 'DB_PASSWORD=s3cret', 'A=b', 'x'], ['env', 'DB_PASSWORD=****', 'A=b', 'x']],
  ['docker -e', ['docker', 'run', '-e', 'PGPASSWORD=s3cret'], ['docker', 'run', '-e', 'PGPASSWORD=****']],
  ['java -D', ['java', '-Ddb.password=s3cret', '-jar', 'x'], ['java', '-Ddb.password=****', '-jar', 'x']],
  ['a connection string', ['app', 'Server=x;Password=s3cret;Db=y'], ['app', 'Server=x;Password=****;Db=y']],
  [
    'JSON',
    ['curl', '-d', '{"user":"a","password":"s3 cret"}'],
    ['curl', '-d', '{"user":"a","password":****}'],
  ],
  [
    'a shell line',
    ['sh', '-c', 'DB_PASS=s3cret mysql --password s3cret -h x'],
    ['sh', '-c', 'DB_PASS=**** mysql --password **** -h x'],
  ],
  ['quotes', ['sh', '-c', 'x --token "s3cret s3cret" y'], ['sh', '-c', 'x --token **** y']],
  ['an AWS id', ['app', 'AKIAIOSFODNN7EXAMPLE'], ['app', '****']],
  [
    'an AWS key',
    ['env', 'AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
    ['env', 'AWS_SECRET_ACCESS_KEY=****'],
  ],
  ['a GitHub token', ['gh', `ghp_${'a1B2'.repeat(9)}`], ['gh', '****']],
  ['a GitLab token', ['x', 'glpat-abcdefghij0123456789'], ['x', '****']],
  ['a Slack token', ['x', 'xoxb-1234567890-abcdef'], ['x', '****']],
  ['a Stripe key', ['x', 'sk_live_abcdefgh12345678'], ['x', '****']],
  ['a JWT', ['x', `a=${JWT}`], ['x', 'a=****']],
  [
    'a private key',
    ['x', '-----BEGIN RSA PRIVATE KEY-----\ns3cret\n-----END RSA PRIVATE KEY-----'],
    ['x', '****'],
  ],
  [
    'nothing',
    ['dig', '+short', '@127.0.0.1', 'www.example.com', 'AAAA'],
    ['dig', '+short', '@127.0.0.1', 'www.example.com', 'AAAA'],
  ],
  [
    'names that only sound so',
    ['ls', '/etc/passwd', 'compass', 'tokenizer.json'],
    ['ls', '/etc/passwd', 'compass', 'tokenizer.json'],
  ],
  ['argument zero is a name', ['passwd', 'alice'], ['passwd', 'alice']],
  ['no arguments', [], []],
];

describe('enrich: secrets in arguments', () => {
  for (const [what, args, expected] of ROWS) it(what, () => assert.deepEqual(masked(args), expected));

  it('leaves no secret of the table readable', () => {
    for (const [what, args] of ROWS) assert.ok(!/s3|\bcret/.test(masked(args).join(' ')), what);
  });

  it('is bounded in arguments and characters', () => {
    assert.equal(masked(Array.from({ length: 1000 }, () => 'x')).length, 256);
    assert.equal(masked(['x'.repeat(100_000)])[0]?.length, 4096);
  });

  it('takes hostile arguments in little time', () => {
    const pieces = [
      'password',
      'a',
      '-',
      '"',
      'token=',
      '://',
      'x@',
      ':',
      ' ',
      '-----BEGIN ',
      '--pass ',
      'eyJ',
      '.',
    ];
    for (const piece of pieces) {
      const argument = piece.repeat(Math.ceil(4096 / piece.length));
      const started = performance.now();
      masked(['app', argument]);
      assert.ok(performance.now() - started < 100, `${piece}: ${performance.now() - started} ms`);
    }
  });

  it('keeps control characters as data', () => {
    assert.deepEqual(masked(['a\n\x1b[31m', '\ufffd']), ['a\n\x1b[31m', '\ufffd']);
  });
});
