/** Settings of where the metadata of containers comes from: part of OPTIONS. */
import type { Parsed } from '../lib/values.ts';
import { option, repeatable } from './option.ts';

/** The socket of a container runtime. */
export interface RuntimeAddress {
  readonly api: 'cri' | 'docker';
  readonly path: string;
}

const MAX_RUNTIMES = 8;
/** sun_path of unix(7), with its end. */
const MAX_PATH = 107;

export const METADATA_OPTIONS = {
  containerRuntime: option<'auto' | 'off' | readonly RuntimeAddress[]>({
    flag: '--container-runtime <where>',
    joins: ',',
    commands: ['run'],
    env: ['WHODNS_CONTAINER_RUNTIME'],
    description:
      'who knows the containers: auto (the usual sockets), off, or sockets: cri:PATH, docker:PATH, PATH; comma list',
    parse: runtimes,
    default: 'auto',
  }),
  containerLabels: repeatable<string>({
    flag: '--container-label <key>',
    repeatable: true,
    commands: ['run'],
    env: ['WHODNS_CONTAINER_LABELS'],
    description: 'container label to add as container.label.KEY; repeat or comma list',
    parse: labelKey,
    default: [],
    shownDefault: 'none',
  }),
} as const;

function runtimes(text: string): Parsed<'auto' | 'off' | readonly RuntimeAddress[]> {
  if (text === 'auto' || text === 'off') return { value: text };
  const addresses: RuntimeAddress[] = [];
  for (const part of text.split(',')) {
    const parsed = address(part.trim());
    if ('problem' in parsed) return parsed;
    addresses.push(parsed.value);
  }
  if (addresses.length > MAX_RUNTIMES) return { problem: `names more than ${MAX_RUNTIMES} sockets` };
  return { value: addresses };
}

/** Without the API the name of the socket tells: dockerd and Podman speak Docker's, everything else CRI. */
function address(text: string): Parsed<RuntimeAddress> {
  const [, given, path = ''] = /^(?:(cri|docker):)?(?:unix:\/\/)?(\/.*)$/s.exec(text) ?? [];
  if (path === '' || path.includes('\0')) {
    return { problem: 'is not auto, off, or a list of cri:PATH, docker:PATH or PATH with absolute paths' };
  }
  if (Buffer.byteLength(path) > MAX_PATH)
    return { problem: `has a path longer than a socket's (${MAX_PATH})` };
  const guessed = /(?:^|\/)(?:docker|podman)\.sock$/.test(path) ? 'docker' : 'cri';
  return { value: { api: given === 'cri' || given === 'docker' ? given : guessed, path } };
}

function labelKey(text: string): Parsed<string> {
  // Whatever a label may be called, an attribute's name is no place for control characters.
  return /^[\x21-\x7e]{1,255}$/.test(text)
    ? { value: text }
    : { problem: 'is not a label key: 1 to 255 printable characters without space' };
}
