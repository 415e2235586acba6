/** containerd 1.7 of the next distribution, whose CRI has GetContainerEvents. */
import { testContainerd } from './containerd-cases.ts';
import { nextContainerd } from './next-containerd.ts';

testContainerd({ title: 'containerd 1.7', program: nextContainerd, events: 'criEvents' });
