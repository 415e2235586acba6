/** The cache of a run that keeps none: knows nothing. */
import type { NameCache } from './detector.ts';

export const NO_CACHE: NameCache = {
  get: (key) => {
    throw new Error(`no cache is kept: ${key}`);
  },
};
