/** What the configuration says about who is captured. */
import type { Config } from '../config/config.ts';
import type { Policy } from './decide.ts';
import type { LookupRules } from './lookup-filter.ts';

export function policyOf(config: Config): Policy {
  const { includeNamespaces, excludeNamespaces, includePods, excludePods } = config;
  return {
    default: config.capture,
    host: config.captureHost,
    includeNamespaces,
    excludeNamespaces,
    includePods,
    excludePods,
  };
}

/** The policy leaves nobody out; annotations may all the same. */
export function isEverybody(policy: Policy): boolean {
  const { default: fallback, host, includeNamespaces, excludeNamespaces, includePods, excludePods } = policy;
  const fence = [includeNamespaces, excludeNamespaces, includePods, excludePods];
  return fallback === 'on' && (host ?? 'on') === 'on' && fence.every((rule) => rule.length === 0);
}

export function lookupRulesOf(config: Config): LookupRules {
  return {
    includeExecutables: config.includeExecutables,
    excludeExecutables: config.excludeExecutables,
    includeUsers: config.includeUsers,
    excludeUsers: config.excludeUsers,
    includeDomains: config.includeDomains,
    excludeDomains: config.excludeDomains,
    includeTypes: config.includeTypes,
    excludeTypes: config.excludeTypes,
  };
}
