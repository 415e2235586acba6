/** Facts of a process as OpenTelemetry resource attributes (tables/resource-attributes.ts). */
import type { Attributes, AttributeValue, Owner } from '../../model.ts';
import type { ResourceAttributeName } from '../../tables/resource-attributes.ts';
import type { Claim } from '../containers/cgroup-claims.ts';
import { type Container, containerOf } from '../containers/container.ts';
import type { ContainerFacts } from '../containers/container-facts.ts';
import type { UserContainers } from '../containers/user-containers.ts';
import { unknownService } from './service.ts';
import type { UserNames } from './users.ts';

/** What is known of a process besides its owner. undefined or '' = unknown. */
export interface ProcessFacts {
  /** Some of it came from the kernel's process record. */
  readonly announced: boolean;
  /** Some of it came from /proc. */
  readonly fromProc: boolean;
  readonly executablePath: string;
  readonly executableInode: bigint | undefined;
  /** No directory has the file any more, or never had (memfd_create(2)). */
  readonly executableDeleted: boolean;
  readonly command: string | undefined;
  readonly argsCount: number | undefined;
  /** Masked; only when asked for. */
  readonly args: readonly string[] | undefined;
  readonly workingDirectory: string;
  readonly cgroupPath: string;
  readonly cgroupVersion: 1 | 2;
  /** As process.linux.cgroup shows it. */
  readonly cgroup: string;
  readonly interactive: boolean | undefined;
  readonly parentName: string;
  /** What the application says about itself; undefined: its environment was not read. */
  readonly service: Attributes | undefined;
  /** What it publishes in its memory, which comes before; undefined: nothing, or it was not read. */
  readonly published: Attributes | undefined;
}

export interface ResourceContext {
  readonly host: Attributes;
  readonly users: UserNames;
  /** Unix ns at which CLOCK_BOOTTIME was 0. */
  readonly bootTime: bigint;
  /** Which container ids count; undefined: all. */
  readonly claims?: { of(id: bigint, path: string, version: 1 | 2): Claim | undefined } | undefined;
  /** What runtimes and the Kubernetes API say; undefined: no one is asked. */
  readonly containers?: WorkloadDirectory | undefined;
  /** What users say of containers of their own; undefined: no one is asked. */
  readonly userContainers?: Pick<UserContainers, 'find' | 'ask'> | undefined;
}

export interface WorkloadDirectory {
  find(containerId: string, podUid: string | undefined): ContainerFacts;
  /** As a runtime of root's has it. */
  container?(id: string): unknown;
}

export interface Described {
  readonly resource: Attributes;
  readonly executableName: string;
  readonly container: Container | undefined;
  /** Of its control group, if that calls itself a container's. Not verified: anyone may have called it so. */
  readonly claim: Claim | undefined;
  readonly workload: ContainerFacts | undefined;
}

export function describe(owner: Owner, facts: ProcessFacts, context: ResourceContext): Described {
  const executableName = baseName(facts.executablePath);
  const claim = claimOf(owner, facts, context);
  const container = claim?.verified === true ? claim.container : undefined;
  const workload =
    container === undefined ? undefined : context.containers?.find(container.id, container.podUid);
  const known: Partial<Record<ResourceAttributeName, AttributeValue | undefined>> = {
    'process.pid': owner.pid,
    'process.creation.time': creationTime(owner.startTime, context.bootTime),
    'process.executable.name': text(executableName),
    'process.executable.path': text(facts.executablePath),
    'whodns.process.executable.deleted': facts.executableDeleted || undefined,
    'process.command': facts.command,
    'process.args_count': facts.argsCount,
    'process.command_args': facts.args,
    'process.parent_pid': owner.parentPid,
    'process.vpid': owner.vpid,
    'process.user.id': owner.uid,
    'process.user.name': claim === undefined ? context.users.name(owner, facts.cgroupPath) : undefined,
    'process.working_directory': text(facts.workingDirectory),
    'process.interactive': facts.interactive,
    'process.linux.cgroup': text(facts.cgroup),
    'whodns.process.parent.executable.name': text(facts.parentName),
    'container.id': container?.id,
    'container.runtime.name': container?.runtime,
    ...ofUser(owner, claim, context),
    'k8s.pod.uid': container?.podUid,
  };
  // The application's own words first: what was measured stands, should both name it.
  const resource: Record<string, AttributeValue> = {
    'service.name': unknownService(executableName),
    ...workload?.advised,
    ...facts.service,
    ...facts.published,
    ...context.host,
  };
  for (const [name, value] of Object.entries(known)) if (value !== undefined) resource[name] = value;
  Object.assign(resource, workload?.measured);
  return { resource, executableName, container, claim, workload };
}

/** A container of a user's own, as he calls it. The id of one that root's runtime knows is not his to give, nor is what root runs. */
function ofUser(
  { uid }: Owner,
  claim: Claim | undefined,
  { containers, userContainers }: ResourceContext,
): Partial<Record<ResourceAttributeName, AttributeValue | undefined>> {
  if (claim === undefined || claim.given === undefined || uid === 0) return {};
  const { id, runtime } = claim.container;
  const container = userContainers?.find(claim.given.user, id);
  if (container === undefined || containers?.container?.(id) !== undefined) return {};
  return {
    'container.id': id,
    'container.name': container.name,
    'container.runtime.name': runtime,
    'container.image.name': container.imageName,
    'container.image.tags': container.imageTags.length === 0 ? undefined : container.imageTags,
  };
}

function claimOf(owner: Owner, facts: ProcessFacts, { claims }: ResourceContext): Claim | undefined {
  if (claims !== undefined) return claims.of(owner.cgroupId, facts.cgroupPath, facts.cgroupVersion);
  const container = containerOf(facts.cgroupPath);
  return container && { container, verified: true };
}

/** Start time in ns of CLOCK_BOOTTIME as ISO 8601 with milliseconds, UTC. */
function creationTime(startTime: bigint, bootTime: bigint): string | undefined {
  const milliseconds = Number((bootTime + startTime) / 1_000_000n);
  const LAST = 8.64e15; // ECMA-262 section 21.4.1.1: what a Date can hold
  return milliseconds <= LAST ? new Date(milliseconds).toISOString() : undefined;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function text(value: string): string | undefined {
  return value === '' ? undefined : value;
}
