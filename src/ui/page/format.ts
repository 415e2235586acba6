/** Numbers and times as they are shown. Times come in Unix microseconds. */
import { forTerminal } from '../../lib/escape.ts';

/** Longer text is cut: it may come from anyone. */
const MAX_CHARACTERS = 1024;

/** Text of others: what would not be seen, or would change the order of what is, is written out. */
export function shown(text: string, most = MAX_CHARACTERS): string {
  return forTerminal(text.length > most ? `${text.slice(0, most - 1).toWellFormed()}…` : text);
}

const two = (value: number): string => String(value).padStart(2, '0');

/** `08:57:59`, local time. */
export function clock(time: number): string {
  const date = new Date(time / 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `.752` */
export function millis(time: number): string {
  return `.${String(Math.floor(time / 1000) % 1000).padStart(3, '0')}`;
}

function isToday(time: number): boolean {
  return new Date(time / 1000).toDateString() === new Date().toDateString();
}

/** `08:57:59`, with the day before it where that is not today. */
export function moment(time: number): string {
  if (isToday(time)) return clock(time);
  const date = new Date(time / 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(time)}`;
}

/** `85 µs`, `1.2 ms`, `5.0 s`. */
export function latency(micros: number | undefined): string {
  if (micros === undefined) return '';
  if (micros < 1000) return `${Math.round(micros)} µs`;
  if (micros < 10_000) return `${(micros / 1000).toFixed(1)} ms`;
  if (micros < 1_000_000) return `${Math.round(micros / 1000)} ms`;
  return `${(micros / 1_000_000).toFixed(1)} s`;
}

const SPACED = new Intl.NumberFormat('en', { useGrouping: true });

export function count(value: number): string {
  return SPACED.format(value);
}

/** `1.2k`, `3.4M`: four characters. */
export function short(value: number): string {
  if (value < 1000) return Number.isInteger(value) ? String(value) : value.toFixed(1);
  if (value < 10_000) return `${(value / 1000).toFixed(1)}k`;
  if (value < 1_000_000) return `${Math.round(value / 1000)}k`;
  return `${(value / 1_000_000).toFixed(value < 10_000_000 ? 1 : 0)}M`;
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${(value / 1024).toFixed(value < 10_240 ? 1 : 0)} KiB`;
  if (value < 1024 ** 3) return `${(value / 1024 ** 2).toFixed(value < 10 * 1024 ** 2 ? 1 : 0)} MiB`;
  return `${(value / 1024 ** 3).toFixed(1)} GiB`;
}

export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %';
  const value = (100 * part) / whole;
  return `${value < 0.1 ? '<0.1' : value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** `12 s`, `3 min`, `2 h`, `5 d`. @param micros a length of time */
export function age(micros: number): string {
  const seconds = Math.max(micros / 1_000_000, 0);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
