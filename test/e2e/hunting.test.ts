/** docs/hunting.md says what its commands say: all of them are run again, of a real agent's history. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { comparable, huntingPage, QUESTIONS } from './hunt-page.ts';
import { type Facts, HuntStage } from './hunt-stage.ts';

let stage: HuntStage;
let facts: Facts;
before(async () => {
  stage = await HuntStage.open();
  facts = await stage.play();
});
after(() => stage?.close());

test('every command of the page is run, and says what the page says', () => {
  assert.equal(QUESTIONS.length, 10);
  const now = huntingPage(facts, (command) => stage.ask(command));
  const page = readFileSync('docs/hunting.md', 'utf8');
  assert.deepEqual(comparable(now), comparable(page), 'mend: node test/e2e/write-hunting.ts');
});

test('what is asked is answered: process, name, age of the answer, distance of the beacons', () => {
  const one = stage.ask(`whodns search 203.0.113.66:443 --local-port ${facts.localPort}`);
  assert.match(
    one,
    / curl +.* TCP +evil\.example +connect +203\.0\.113\.66:443 from port \d+ \(answer \S+ old\)/,
  );
  const times = stage
    .ask('whodns search c2.example --type A --format json')
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { readonly time: number }).time);
  const distances = times.slice(1).map((time, i) => (time - (times[i] ?? 0)) / 1e6);
  assert.ok(distances.length >= 3 && distances.every((each) => each >= 2 && each < 10), String(distances));
  const findings = stage.ask('whodns search --findings');
  assert.match(findings, /rogue|198\.51\.100\.53/);
});
