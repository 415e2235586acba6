/** The cache of a running agent, for programs: the same questions and typed errors as of a cache of one's own. */
import {
  DataNotFound,
  type DnsCacheAnswer,
  KeyNotSupported,
  type NegativeAnswer,
} from '../dnscache/answer.ts';
import { HOST_SCOPE, type Scope, scopeText } from '../dnscache/scope.ts';
import { ask } from './client.ts';
import type { CacheAnswer, CacheFailure } from './dns-cache.ts';

export class RemoteDnsCache {
  readonly #socket: string;

  /** @param socket path of the agent's control socket (`whodns --control PATH --dnscache enable`) */
  constructor(socket: string) {
    this.#socket = socket;
  }

  /**
   * @throws DataNotFound
   * @throws KeyNotSupported
   * @throws UserError: no agent there, no right to ask it, or it keeps no cache
   */
  async get(key: string, scope: Scope = HOST_SCOPE): Promise<DnsCacheAnswer> {
    if (typeof key !== 'string') throw new KeyNotSupported(`is of type ${typeof key}, not a string`);
    const query = { action: 'get', key, scope: scopeText(scope) };
    const answer = (await ask(this.#socket, '/cache', query)) as CacheAnswer | CacheFailure;
    if (!('error' in answer)) {
      const { learnt, ...found } = answer;
      return found.negative === undefined ? found : { ...found, negative: revived(found.negative) };
    }
    const { code, message, expired = false, negative } = answer.error;
    if (code === 'KEY_NOT_SUPPORTED') throw new KeyNotSupported(message.replace(/^the key /, ''));
    throw new DataNotFound(key, {
      expired,
      negative: negative === undefined ? undefined : revived(negative),
    });
  }
}

/** JSON has no bigint: times come as decimal text. */
function revived(negative: NegativeAnswer): NegativeAnswer {
  return { ...negative, answeredAt: BigInt(negative.answeredAt), expiresAt: BigInt(negative.expiresAt) };
}
