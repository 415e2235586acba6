/** containerd 1.6 of the distribution: its CRI has no events, containerd's own are used. */
import { testContainerd } from './containerd-cases.ts';

testContainerd({ title: 'containerd 1.6', program: () => '/usr/bin/containerd', events: 'containerdEvents' });
