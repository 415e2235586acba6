/** The frame: what the agent does now, filter and span, time line, views, panel. */
import { untracked, useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Agent } from './agent.tsx';
import { connection } from './ask.ts';
import { FilterBar } from './filter-bar.tsx';
import { Findings } from './findings.tsx';
import { Flow } from './flow.tsx';
import { count, short, shown } from './format.ts';
import { beat, follow, hello } from './live.ts';
import { Login } from './login.tsx';
import { isTyping, Lookups } from './lookups.tsx';
import { Panel } from './panel.tsx';
import { filter, go, href, subject, VIEWS, type View, view } from './place.ts';
import { theme, toggleTheme } from './theme.ts';
import { Timeline } from './timeline.tsx';
import { access, hasToken } from './token.ts';
import { Top } from './top.tsx';

const TITLES: Readonly<Record<View, string>> = {
  lookups: 'Lookups',
  top: 'Top',
  flow: 'Flow',
  findings: 'Findings',
  agent: 'Agent',
};

const PAGES: Readonly<Record<View, () => preact.JSX.Element>> = {
  lookups: Lookups,
  top: Top,
  flow: Flow,
  findings: Findings,
  agent: Agent,
};

export function App() {
  useSignalEffect(() => {
    const wanted = filter.value;
    if (hasToken()) untracked(() => follow(wanted));
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const picked = VIEWS[Number(event.key) - 1];
      if (
        picked !== undefined &&
        !isTyping(event.target) &&
        !event.ctrlKey &&
        !event.altKey &&
        !event.metaKey
      )
        go({ view: picked });
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  if (!hasToken() || access.value === 'refused') return <Login />;
  const Page = PAGES[view.value];
  const looked = subject.value;
  return (
    <div class={looked === undefined ? 'frame' : 'frame with-panel'}>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <header>
        <h1>
          <a href={href({ view: 'lookups', filter: '', span: { kind: 'live' } })}>whodns</a>
        </h1>
        <span class="host">{shown(hello.value?.host ?? '', 64)}</span>
        <FilterBar />
        <Pulse />
        <button
          type="button"
          class="quiet theme"
          aria-label={`Switch to ${theme.value === 'dark' ? 'light' : 'dark'}`}
          onClick={toggleTheme}
        >
          <span aria-hidden="true">{theme.value === 'dark' ? '☀' : '☾'}</span>
        </button>
      </header>
      {view.value !== 'agent' && <Timeline />}
      <nav aria-label="Views">
        {VIEWS.map((each, index) => (
          <a
            key={each}
            href={href({ view: each })}
            aria-current={each === view.value ? 'page' : undefined}
            title={`${index + 1}`}
          >
            {TITLES[each]}
          </a>
        ))}
      </nav>
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
      {looked !== undefined && <Panel of={looked} />}
    </div>
  );
}

/** Whether the agent is there, how much it sees, what it lost. */
function Pulse() {
  const state = connection.value;
  const now = beat.value;
  const lost = now?.lost ?? 0;
  return (
    <div class="pulse">
      <span class={`state ${state}`} role="status">
        <span class="dot" aria-hidden="true" />
        {state === 'open' ? 'live' : state === 'lost' ? 'no agent, trying again' : 'connecting'}
      </span>
      {now !== undefined && state === 'open' && (
        <>
          <span class="figure">
            <strong>{short(Math.round(now.rate))}</strong>/s
          </span>
          <a class={lost > 0 ? 'figure bad' : 'figure muted'} href={href({ view: 'agent' })}>
            lost {count(lost)}
          </a>
        </>
      )}
    </div>
  );
}
