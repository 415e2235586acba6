/** What is taken of @kubernetes/client-node. By name: so the bundle leaves out the rest, some 15 MB of it. */
export { KubeConfig } from '@kubernetes/client-node';
