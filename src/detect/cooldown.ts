/**
 * Says a finding once for the same process and subject, then counts for a while; and no more of one workload than its share, so that
 * who makes a thousand processes that each deserve one does not keep those of others from going out.
 */
import { BoundedMap } from '../lib/bounded-map.ts';
import type { DetectorEvent } from './detector.ts';
import { ownerOf } from './owner.ts';

/** (rule, process, subject) remembered at once; the oldest is forgotten, its finding may come again. */
const MAX_REMEMBERED = 8192;
/** Users, of each control group and of all, whose share is remembered; the one that found nothing for longest has a whole one again. */
const MAX_SHARES = 1024;

/** Findings at once, and a second, of all rules together. */
interface Share {
  readonly burst: number;
  readonly perSecond: number;
}

const ALL: Share = { burst: 1000, perSecond: 25 };
/** A user within a control group. */
const CONTROL_GROUP: Share = { burst: 100, perSecond: 2 };
/** Whoever has a control group of his own can make more of them. Root is many workloads. */
const USER: Share = { burst: 200, perSecond: 5 };

interface Bucket {
  tokens: number;
  filled: number;
}

export class Cooldown {
  readonly #ms: number;
  readonly #remembered = new BoundedMap<string, { until: number; suppressed: number }>(MAX_REMEMBERED);
  readonly #groups = new BoundedMap<string, Bucket>(MAX_SHARES);
  readonly #users = new BoundedMap<number, Bucket>(MAX_SHARES);
  readonly #all = newBucket(ALL);

  constructor(ms: number) {
    this.#ms = ms;
  }

  /** How many like it were suppressed before when it is to go out; else why not. */
  admit(rule: string, event: DetectorEvent, subject: string): number | 'cooldown' | 'limit' {
    const { process, at } = event;
    const key = `${rule}\0${process.pid}\0${process.startTime}\0${subject}`;
    const known = this.#remembered.get(key);
    if (known !== undefined && at < known.until) {
      known.suppressed++;
      return 'cooldown';
    }
    if (!this.#take(event)) return 'limit';
    this.#remembered.set(key, { until: at + this.#ms, suppressed: 0 });
    return known?.suppressed ?? 0;
  }

  /** Of all its shares or of none. A capture file knows no workloads. */
  #take(event: DetectorEvent): boolean {
    const owner = ownerOf(event);
    const shares: [Bucket, Share][] = [[this.#all, ALL]];
    if (owner !== undefined)
      shares.push([bucketOf(this.#groups, `${owner.cgroupId} ${owner.uid}`, CONTROL_GROUP), CONTROL_GROUP]);
    if (owner !== undefined && owner.uid !== 0) shares.push([bucketOf(this.#users, owner.uid, USER), USER]);
    for (const [bucket, share] of shares) fill(bucket, share, event.at);
    if (shares.some(([{ tokens }]) => tokens < 1)) return false;
    for (const [bucket] of shares) bucket.tokens--;
    return true;
  }
}

function newBucket({ burst }: Share): Bucket {
  return { tokens: burst, filled: Number.NEGATIVE_INFINITY };
}

function bucketOf<K>(buckets: BoundedMap<K, Bucket>, key: K, share: Share): Bucket {
  const bucket = buckets.get(key) ?? newBucket(share);
  buckets.set(key, bucket);
  return bucket;
}

function fill(bucket: Bucket, { burst, perSecond }: Share, at: number): void {
  const seconds = Math.max((at - bucket.filled) / 1000, 0);
  bucket.tokens = Math.min(bucket.tokens + seconds * perSecond, burst);
  bucket.filled = Math.max(bucket.filled, at);
}
