/** Makes docs/hunting.md again. Not a test; it needs root. */
import { writeFileSync } from 'node:fs';
import { huntingPage } from './hunt-page.ts';
import { HuntStage } from './hunt-stage.ts';

const stage = await HuntStage.open();
try {
  const facts = await stage.play();
  writeFileSync(
    'docs/hunting.md',
    huntingPage(facts, (command) => stage.ask(command)),
  );
} finally {
  await stage.close();
}
