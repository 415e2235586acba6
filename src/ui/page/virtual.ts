/** @tanstack/virtual-core for Preact: which rows of a long table are to be drawn. */
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from '@tanstack/virtual-core';
import { useLayoutEffect, useMemo, useReducer } from 'preact/hooks';

const OVERSCAN = 12;

export interface VirtualRows {
  readonly items: readonly VirtualItem[];
  /** Pixels above and below them. */
  readonly above: number;
  readonly below: number;
  readonly toIndex: (index: number) => void;
}

export function useVirtualRows(
  scroller: { readonly current: HTMLElement | null },
  rowCount: number,
  rowHeight: number,
  headHeight: number,
): VirtualRows {
  const [, redraw] = useReducer((value: number, _: undefined) => value + 1, 0);
  const virtualizer = useMemo(
    () =>
      new Virtualizer<HTMLElement, HTMLElement>(options(scroller, rowCount, rowHeight, headHeight, () => {})),
    [],
  );
  virtualizer.setOptions(options(scroller, rowCount, rowHeight, headHeight, () => redraw(undefined)));
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => virtualizer._willUpdate());
  const items = virtualizer.getVirtualItems();
  const first = items[0];
  const last = items.at(-1);
  return {
    items,
    above: first?.start ?? 0,
    below: last === undefined ? 0 : Math.max(rowCount * rowHeight - last.end, 0),
    toIndex: (index) => virtualizer.scrollToIndex(index),
  };
}

function options(
  scroller: { readonly current: HTMLElement | null },
  count: number,
  rowHeight: number,
  headHeight: number,
  onChange: () => void,
) {
  return {
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    scrollPaddingStart: headHeight,
    overscan: OVERSCAN,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange,
  };
}
