/** An example of a detector: lookups of administrators' tools between midnight and five, UTC. */
import type { Detector } from 'whodns/detect';

interface State {
  readonly programs: ReadonlySet<string>;
}

const detector: Detector<State> = {
  name: 'late-night',
  severity: 'info',
  describe: 'A tool for administrators looks up a name at night.',
  settings: {
    programs: {
      kind: 'list',
      default: ['dig', 'nmap'],
      description: 'executables that nobody uses at night',
    },
  },
  init: ({ settings }) => ({ programs: new Set(settings['programs'] as readonly string[]) }),
  onEvent(event, { state }) {
    if (event.kind !== 'lookup' || !state.programs.has(event.process.executableName)) return undefined;
    const hour = new Date(event.at).getUTCHours();
    if (hour >= 5) return undefined;
    return {
      subject: event.process.executableName,
      message: `${event.process.executableName} asked for ${event.name} at ${hour} o'clock`,
      evidence: { 'dns.question.name': event.name },
    };
  },
};

export default detector;
