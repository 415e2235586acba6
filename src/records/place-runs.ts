/** Thread, hook, attribution and network namespace of a record, as bytes: those of one thread's lookups are the same. */
import type { Envelope } from '../lookup/envelope.ts';
import { FIELD } from '../lookup/fields.ts';
import type { Owner, ProcessIdentity } from '../model.ts';
import type { ProtobufWriter } from '../otlp/encode.ts';
import { AttributeKey, KeptRun } from './attribute-writer.ts';
import { commText } from './record-common.ts';

/** A power of two. Threads that fall on the same slot drive each other out. */
const SLOTS = 1024;
/** Bytes of the longest run. */
const MAX_RUN = 256;

const THREAD_ID = new AttributeKey('whodns.thread.id');
const THREAD_NAME = new AttributeKey('whodns.thread.name');
const HOOK = new AttributeKey('whodns.hook');
const ATTRIBUTION = new AttributeKey('whodns.attribution');
const NETWORK_NAMESPACE = new AttributeKey('whodns.netns');

class Place extends KeptRun {
  owner: Owner | undefined = undefined;
  attribution: ProcessIdentity['attribution'] = 'none';
  hook = -1;
  networkNamespace = 0;
}

export class PlaceRuns {
  readonly #places = new Array<Place | undefined>(SLOTS).fill(undefined);

  write(writer: ProtobufWriter, raw: Envelope, { attribution }: ProcessIdentity): void {
    const { owner, words, at } = raw;
    const hook = (words[at + FIELD.DIALED_PORT] as number) >>> 16;
    const networkNamespace = (words[at + FIELD.NETWORK_NAMESPACE] as number) >>> 0;
    const place = this.#placeOf(owner);
    if (
      place.owner === owner &&
      place.attribution === attribution &&
      place.hook === hook &&
      place.networkNamespace === networkNamespace
    ) {
      place.write(writer);
      return;
    }
    const start = writer.position;
    if (owner !== undefined) {
      THREAD_ID.integer(writer, owner.tid);
      THREAD_NAME.text(writer, commText(owner.threadName));
    }
    HOOK.text(writer, raw.hook);
    ATTRIBUTION.text(writer, attribution);
    // 0 = unknown: a capture file has no namespaces.
    if (networkNamespace !== 0) NETWORK_NAMESPACE.integer(writer, networkNamespace);
    place.keep(writer, start);
    place.owner = owner;
    place.attribution = attribution;
    place.hook = hook;
    place.networkNamespace = networkNamespace;
  }

  #placeOf(owner: Owner | undefined): Place {
    const slot = (owner === undefined ? 0 : owner.tid) & (SLOTS - 1);
    const known = this.#places[slot];
    if (known !== undefined) return known;
    const place = new Place(MAX_RUN);
    this.#places[slot] = place;
    return place;
  }
}
