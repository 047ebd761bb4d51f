// The server's events (`GET /api/events`), while a view looks on. The browser comes back by itself where the
// line breaks; where the server refuses, it is asked again here.

import { isRecord } from './api.ts';

const PAUSE_MS = 10_000;

export type EventName = 'ready' | 'download' | 'turn';

export class Events {
  private source: EventSource | undefined;
  private retry: number | undefined;
  private readonly lookers = new Set<string>();
  private readonly listeners = new Map<EventName, Set<(data: Readonly<Record<string, unknown>>) => void>>();

  on(name: EventName, listener: (data: Readonly<Record<string, unknown>>) => void): void {
    const all = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, all.add(listener));
  }

  /** `who` looks on: the line is open while somebody does. */
  look(who: string): void {
    this.lookers.add(who);
    this.open();
  }

  leave(who: string): void {
    this.lookers.delete(who);
    if (this.lookers.size > 0) return;
    clearTimeout(this.retry);
    this.source?.close();
    this.source = undefined;
  }

  private open(): void {
    if (this.source) return;
    const source = new EventSource('/api/events');
    this.source = source;
    for (const name of ['ready', 'download', 'turn'] as const) {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => this.tell(name, data));
    }
    source.addEventListener('error', () => {
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      this.source = undefined;
      this.retry = window.setTimeout(() => this.lookers.size > 0 && this.open(), PAUSE_MS);
    });
  }

  private tell(name: EventName, text: string): void {
    let data: unknown;
    try {
      data = JSON.parse(text);
    } catch {
      return;
    }
    if (isRecord(data)) for (const listener of this.listeners.get(name) ?? []) listener(data);
  }
}
