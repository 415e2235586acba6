/**
 * Container and pod from a cgroup path. Pure. Sources of the forms: kubernetes pkg/kubelet/cm (pod and QoS cgroups),
 * containerd, cri-o and podman cgroup managers, moby daemon; see the table in test/unit/enrich-container.test.ts.
 */

export interface Container {
  readonly id: string;
  /** undefined: the path does not tell (bare ids: docker and containerd with the cgroupfs driver write them alike). */
  readonly runtime: string | undefined;
  readonly podUid: string | undefined;
  readonly qos: 'guaranteed' | 'burstable' | 'besteffort' | undefined;
}

/** Longest path looked at (PATH_MAX), and deepest nesting from the root down. */
const MAX_CHARACTERS = 4096;
const MAX_SEGMENTS = 64;

const ID = '([0-9a-f]{64})';

interface Form {
  /** The whole path segment; group 1 is the id. */
  readonly segment: RegExp;
  /** The segment above it; undefined: any. */
  readonly parent?: RegExp;
  readonly runtime?: string;
}

/** First match wins. `*-conmon-*` scopes hold the monitor of a container, not the container: no form matches them. */
const FORMS: readonly Form[] = [
  { segment: new RegExp(`^docker-${ID}\\.scope$`), runtime: 'docker' },
  { segment: new RegExp(`^cri-containerd-${ID}\\.scope$`), runtime: 'containerd' },
  { segment: new RegExp(`^nerdctl-${ID}\\.scope$`), runtime: 'containerd' },
  { segment: new RegExp(`^crio-${ID}(?:\\.scope)?$`), runtime: 'cri-o' },
  { segment: new RegExp(`^libpod-${ID}(?:\\.scope)?$`), runtime: 'podman' },
  // --cgroups=split, as quadlets have it: below the unit's own group
  { segment: new RegExp(`^libpod-payload-${ID}$`), runtime: 'podman' },
  // containerd told to use systemd names without systemd: `kubepods-besteffort-pod<uid>.slice:cri-containerd:<id>`
  { segment: new RegExp(`^[^:]*:cri-containerd:${ID}$`), runtime: 'containerd' },
  { segment: new RegExp(`^[^:]*:docker:${ID}$`), runtime: 'docker' },
  { segment: new RegExp(`^[^:]*:crio:${ID}$`), runtime: 'cri-o' },
  // builds inside dockerd: moby's builder names its scopes as it does containers, with BuildKit's shorter ids
  { segment: /^docker-([a-z0-9]{25})\.scope$/, runtime: 'docker' },
  { segment: new RegExp(`^${ID}$`), parent: /^docker$/, runtime: 'docker' },
  { segment: new RegExp(`^${ID}$`) },
  { segment: /^([a-z0-9]{25})$/, parent: /^buildkit$/, runtime: 'buildkit' },
  // AWS Fargate: task id and a number
  { segment: /^([0-9a-f]{32}-[0-9]{1,10})$/ },
  // Cloud Foundry's Garden shortens a UUID by its last eight digits
  {
    segment: /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}(?:[0-9a-f]{8})?)$/,
    parent: /^garden$/,
    runtime: 'garden',
  },
  { segment: /^lxc\.payload\.([^/]{1,255})$/, runtime: 'lxc' },
  { segment: /^([^/]{1,255})$/, parent: /^lxc(?:\.payload)?$/, runtime: 'lxc' },
];

const UID = '([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})';
/** cgroupfs: kubepods[/burstable|/besteffort]/pod<uid> */
const POD = new RegExp(`^pod${UID}$`);
/** systemd: kubepods[-burstable|-besteffort]-pod<uid with _>.slice, with a prefix under kind and nested kubelets */
const POD_SLICE = new RegExp(
  `^(?:[a-z0-9]+-)?kubepods(?:-(burstable|besteffort))?-pod${UID}\\.slice(?::.*)?$`,
);

/**
 * The outermost container that the path names. What lies inside it (its own systemd, docker in docker, kind) is named by
 * who is in there. `..` of a path seen from inside a cgroup namespace is passed over.
 */
export function containerOf(cgroupPath: string): Container | undefined {
  return containerIn(segmentsOf(cgroupPath))?.container;
}

/** The same of a path's components, and how many of them lead to it. */
export function containerIn(
  segments: readonly string[],
): { readonly container: Container; readonly depth: number } | undefined {
  for (let i = 0; i < segments.length; i++) {
    const form = matchForm(segments[i] ?? '', segments[i - 1] ?? '');
    if (form !== undefined)
      return { container: { ...form, ...podOf(segments.slice(0, i + 1)) }, depth: i + 1 };
  }
  return undefined;
}

/** Components from the root down. */
export function segmentsOf(path: string): string[] {
  if (path.length > MAX_CHARACTERS) return [];
  return path
    .split('/')
    .filter((segment) => segment !== '' && segment !== '..')
    .slice(0, MAX_SEGMENTS);
}

function matchForm(segment: string, parent: string): Pick<Container, 'id' | 'runtime'> | undefined {
  for (const form of FORMS) {
    const id = form.segment.exec(segment)?.[1];
    if (id === undefined || form.parent?.test(parent) === false) continue;
    return { id, runtime: form.runtime };
  }
  return undefined;
}

/** The pod nearest above the container. */
function podOf(segments: readonly string[]): Pick<Container, 'podUid' | 'qos'> {
  for (let i = segments.length - 1; i >= 0; i--) {
    const segment = segments[i] ?? '';
    const slice = POD_SLICE.exec(segment);
    if (slice !== null) return { podUid: slice[2]?.replaceAll('_', '-'), qos: qosOf(slice[1]) };
    const uid = POD.exec(segment)?.[1];
    if (uid !== undefined) {
      const above = segments[i - 1];
      return { podUid: uid, qos: above === 'burstable' || above === 'besteffort' ? above : 'guaranteed' };
    }
  }
  return { podUid: undefined, qos: undefined };
}

/** Of one path component, the group of a whole pod. */
export function podUidOf(segment: string): string | undefined {
  return POD_SLICE.exec(segment)?.[2]?.replaceAll('_', '-') ?? POD.exec(segment)?.[1];
}

function qosOf(word: string | undefined): Container['qos'] {
  return word === 'burstable' || word === 'besteffort' ? word : 'guaranteed';
}

/**
 * The one line of /proc/PID/cgroup that tells most: one that names a container, else version 2 unless it is the root (a
 * hybrid host keeps it there), else the first of version 1 that is not the root. undefined: the text has no line.
 */
export function chooseCgroup(
  text: string,
): { readonly line: string; readonly path: string; readonly version: 1 | 2 } | undefined {
  const lines = text.split('\n').flatMap((line) => {
    const match = /^(\d+):([^:]*):(.*)$/s.exec(line);
    if (match === null) return [];
    return [{ line, path: match[3] ?? '', version: match[1] === '0' && match[2] === '' ? 2 : 1 } as const];
  });
  return (
    lines.find(({ path }) => containerOf(path) !== undefined) ??
    lines.find(({ path, version }) => version === 2 && path !== '/') ??
    lines.find(({ path }) => path !== '/') ??
    lines[0]
  );
}
