/** How identities came about, for the program's own metrics. */
export interface ProcessTableCounts {
  /** First seen with the kernel's record, from /proc alone, with neither. */
  kernel: number;
  proc: number;
  bare: number;
  /** Requests without an owner. */
  anonymous: number;
  /** Environment not readable: the process was gone, or it was not permitted. The service name is the fallback. */
  environmentUnreadable: number;
  /** OTEL_RESOURCE_ATTRIBUTES not well-formed, discarded. */
  resourceAttributesInvalid: number;
  /** Attributes that processes gave themselves and that are not theirs to give (claimed-attributes.ts). */
  attributesRefused: number;
  /** Looks at a process that found a published identity; one being changed; one that is not valid. */
  contextRead: number;
  contextBusy: number;
  contextInvalid: number;
  /** Metadata changed: new executable, user, cgroup. */
  refreshed: number;
  /** Forgotten for want of room. */
  evicted: number;
  /** Forgotten after exit. */
  exited: number;
}

export function noCounts(): ProcessTableCounts {
  return {
    kernel: 0,
    proc: 0,
    bare: 0,
    anonymous: 0,
    environmentUnreadable: 0,
    resourceAttributesInvalid: 0,
    attributesRefused: 0,
    contextRead: 0,
    contextBusy: 0,
    contextInvalid: 0,
    refreshed: 0,
    evicted: 0,
    exited: 0,
  };
}
