/**
 * Where the floods run: on this host by the agent's own choice of hooks, or in a test machine (test/machines/), whose processor is
 * emulated, so that bounds are smaller there and take longer to fill.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../src/control/client.ts';
import type { PipelineStats } from '../../src/pipeline.ts';

/** Options of the agent. WHODNS_TEST_HOOK as in test/e2e/stage.ts. */
export const HOOK: readonly string[] = ['--hook', process.env['WHODNS_TEST_HOOK'] ?? 'auto'];
/** Programs are built already, and there is no compiler. */
export const isBuilt = process.env['WHODNS_TEST_BUILT'] !== undefined;
const isEmulated = process.env['WHODNS_TEST_EMULATED'] !== undefined;

/** Of a bound or a count of the attack. */
export const scaled = (count: number): number => (isEmulated ? Math.ceil(count / 10) : count);
/** Of a limit of time, ms. */
export const patient = (ms: number): number => (isEmulated ? ms * 6 : ms);

/** Of the agent behind that control socket, which gives up who does not ask within a second: in a machine this may take longer. */
export async function stats(control: string): Promise<PipelineStats> {
  for (let attempt = 0; ; attempt++)
    try {
      return (await ask(control, '/stats')) as PipelineStats;
    } catch (error) {
      if (!isEmulated || attempt === 20) throw error;
      await sleep(500);
    }
}
