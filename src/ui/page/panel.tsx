/** The panel over the view: one process or one name. Escape closes it and gives the focus back. */
import { useEffect, useRef } from 'preact/hooks';
import { NamePanel } from './name.tsx';
import { go, href, type Subject } from './place.ts';
import { ProcessPanel } from './process.tsx';

export function Panel({ of: subject }: { readonly of: Subject }) {
  const box = useRef<HTMLElement>(null);
  const id = subject.kind === 'process' ? subject.key : subject.name;
  useEffect(() => {
    const before = document.activeElement;
    // Of the window: what had the focus may be gone from the panel, and the focus with it.
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !(event.target instanceof HTMLInputElement)) go({});
    };
    window.addEventListener('keydown', onKey);
    return () => {
      window.removeEventListener('keydown', onKey);
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  useEffect(() => {
    box.current?.scrollTo({ top: 0 });
    box.current?.focus();
  }, [id]);
  return (
    <aside
      class="panel"
      ref={box}
      tabIndex={-1}
      aria-label={subject.kind === 'process' ? 'One process' : 'One name'}
    >
      <a class="close" href={href({})}>
        <span aria-hidden="true">×</span>
        <span class="unseen">Close the panel</span>
      </a>
      {subject.kind === 'process' ? <ProcessPanel of={subject.key} /> : <NamePanel of={subject.name} />}
    </aside>
  );
}
