/** The package's export `whodns/dnscache`. */
export * from '../dnscache/index.ts';
export { RemoteDnsCache } from './dns-cache-client.ts';
