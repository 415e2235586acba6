/**
 * What the page uses of packages that only build.ts installs (../package.json), so that `npm run check` needs none of them. Props of
 * components are checked where they are drawn, not here.
 */
declare module 'react' {
  export interface ReactElement {
    readonly key: string | null;
  }
  export type Component<P> = (props: P) => ReactElement;
  export function createElement(
    type: string | Component<never>,
    props: object | null,
    ...children: unknown[]
  ): ReactElement;
}

declare module 'react-dom/client' {
  import type { ReactElement } from 'react';
  export function createRoot(root: Element): { render(children: readonly ReactElement[]): void };
}

declare module 'rxjs' {
  export interface Observable<T> {
    subscribe(next: (value: T) => void): unknown;
  }
  export function firstValueFrom<T>(source: Observable<T>): Promise<T>;
}

declare module '@grafana/data' {
  import type { Observable } from 'rxjs';
  export interface Link {
    readonly title: string;
    readonly href: string;
  }
  export interface Field {
    readonly name: string;
    readonly type: string;
    // biome-ignore lint/suspicious/noExplicitAny: of whatever type the field is
    readonly values: any[];
    readonly labels?: Readonly<Record<string, string>>;
    readonly config: { unit?: string; links?: readonly object[]; custom?: object; color?: { mode: string } };
    readonly getLinks?: (of: { readonly valueRowIndex: number }) => Link[];
  }
  export interface DataFrame {
    readonly length: number;
    readonly fields: Field[];
  }
  export interface GrafanaTheme2 {
    readonly colors: Readonly<Record<'success' | 'warning', { readonly main: string }>> & {
      readonly text: { readonly secondary: string };
    };
    readonly typography: { readonly fontFamilyMonospace: string };
  }
  export type ScopedVars = Readonly<Record<string, { readonly value: unknown } | undefined>>;
  export interface TimeRange {
    readonly from: object;
    readonly to: object;
    readonly raw: object;
  }
  interface Display {
    readonly text: string;
    readonly suffix?: string;
  }
  interface Transformer {
    readonly id: string;
    readonly name: string;
  }
  export const standardTransformers: Readonly<Record<string, Transformer>>;
  interface Registry {
    setInit(init: () => object[]): void;
  }
  export const standardTransformersRegistry: Registry;
  export const standardFieldConfigEditorRegistry: Registry;
  export const identityOverrideProcessor: (value: unknown) => unknown;
  export function cacheFieldDisplayNames(frames: readonly DataFrame[]): void;
  export const locationUtil: { initialize(dependencies: object): void };
  export function createTheme(options: object): GrafanaTheme2;
  export function dateTime(input: number): object;
  export function toDataFrame(frame: object): DataFrame;
  export function transformDataFrame(steps: readonly object[], data: DataFrame[]): Observable<DataFrame[]>;
  export function applyFieldOverrides(options: object): DataFrame[];
  export function getFieldDisplayName(field: Field, frame: DataFrame): string;
  export function getFieldDisplayValues(options: object): { readonly display: Display }[];
  export function getDisplayProcessor(options: object): (value: number) => Display;
}

declare module '@grafana/ui' {
  import type { Component } from 'react';
  export const BigValue: Component<never>;
  export const PanelChrome: Component<never>;
  export const TimeSeries: Component<never>;
  export const UPlotChart: Component<never>;
  interface Plot {
    readonly ctx: CanvasRenderingContext2D;
    valToPos(value: number, scale: string, isCanvas: boolean): number;
  }
  export class UPlotConfigBuilder {
    constructor(timeZone: string);
    addScale(props: object): void;
    addAxis(props: object): void;
    addSeries(props: object): void;
    addHook(when: 'draw', hook: (plot: Plot) => void): void;
  }
}

declare module '@grafana/ui/unstable' {
  import type { Component } from 'react';
  export const TableNG: Component<never>;
}
