/** The filter, and the span of time. */
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useId, useRef } from 'preact/hooks';
import { parseFilter } from '../../filter/parse.ts';
import { FILTER_FIELDS } from '../../tables/filter-fields.ts';
import { clock, moment } from './format.ts';
import { filterOf } from './free-text.ts';
import { isTyping } from './lookups.tsx';
import { filter, go, type Span, span } from './place.ts';

const SPANS: readonly { readonly value: string; readonly label: string }[] = [
  { value: 'live', label: 'Live' },
  { value: '15', label: 'Last 15 min' },
  { value: '60', label: 'Last hour' },
  { value: '360', label: 'Last 6 hours' },
  { value: '1440', label: 'Last day' },
  { value: '10080', label: 'Last 7 days' },
];

export function FilterBar() {
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  const text = useSignal(filter.value);
  useSignalEffect(() => {
    text.value = filter.value;
  });
  const problem = useComputed(() => {
    const wanted = filterOf(text.value);
    if (wanted === '') return undefined;
    const parsed = parseFilter(wanted);
    return 'problem' in parsed ? parsed.problem : undefined;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== '/' || isTyping(event.target) || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, []);
  const apply = () => {
    if (problem.value === undefined) go({ filter: filterOf(text.value) });
  };
  const wrong = problem.value;
  return (
    <search class="filter">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          apply();
        }}
      >
        <input
          ref={input}
          type="text"
          name="filter"
          aria-label="Filter"
          aria-invalid={wrong !== undefined}
          aria-describedby="filter-problem"
          placeholder="Filter or search: shop.example, 203.0.113.66, failed and process=curl"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          list={list}
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape') event.currentTarget.blur();
          }}
        />
        <datalist id={list}>
          {Object.values(FILTER_FIELDS).map(({ example, description }) => (
            <option key={example} value={example}>
              {description}
            </option>
          ))}
        </datalist>
        {text.value !== filter.value && (
          <button type="submit" disabled={wrong !== undefined}>
            Apply
          </button>
        )}
        {filter.value !== '' && (
          <button
            type="button"
            class="quiet"
            aria-label="Remove the filter"
            onClick={() => go({ filter: '' })}
          >
            <span aria-hidden="true">×</span>
          </button>
        )}
      </form>
      <SpanChoice />
      <p id="filter-problem" class="problem" aria-live="polite">
        {wrong !== undefined && (
          <>
            <mark>{filterOf(text.value).slice(wrong.at, Math.max(wrong.end, wrong.at + 1)) || 'end'}</mark>{' '}
            {wrong.message}
          </>
        )}
      </p>
    </search>
  );
}

function SpanChoice() {
  const chosen = span.value;
  const value = chosen.kind === 'live' ? 'live' : chosen.kind === 'last' ? String(chosen.minutes) : 'fixed';
  return (
    <div class="span">
      <select
        aria-label="Span of time"
        value={value}
        onChange={(event) => {
          const picked = event.currentTarget.value;
          if (picked !== 'fixed') go({ span: spanOf(picked) });
        }}
      >
        {SPANS.map((each) => (
          <option key={each.value} value={each.value}>
            {each.label}
          </option>
        ))}
        {chosen.kind === 'last' && !SPANS.some((each) => each.value === value) && (
          <option value={value}>Last {chosen.minutes} min</option>
        )}
        {chosen.kind === 'fixed' && <option value="fixed">{fixedText(chosen)}</option>}
      </select>
      {chosen.kind !== 'live' && (
        <button type="button" class="quiet" onClick={() => go({ span: { kind: 'live' } })}>
          Live
        </button>
      )}
    </div>
  );
}

function spanOf(value: string): Span {
  return value === 'live' ? { kind: 'live' } : { kind: 'last', minutes: Number(value) };
}

function fixedText({ since, until }: { readonly since: number; readonly until: number }): string {
  return `${moment(since * 1000)} – ${clock(until * 1000)}`;
}
