/** What the other parts and programs that import the package use of the cache. */
export {
  DataNotFound,
  type DnsCacheAnswer,
  KeyNotSupported,
  type NegativeAnswer,
  type NotFound,
} from './answer.ts';
export {
  type AddressName,
  DnsCache,
  type DnsCacheOptions,
  type DnsCacheStats,
  type DnsCacheTree,
} from './cache.ts';
export { HOST_SCOPE, type Scope, scopesOf } from './scope.ts';
