// Where the bars of the chart of past turns stand: one a turn, the oldest left, stage upon stage from the
// bottom. Pure; in px of the chart's own width and height.

import { parts } from '../latency.ts';
import type { PastTurn } from './turns.ts';

export interface Piece {
  name: string;
  y: number;
  height: number;
}

export interface Bar {
  turn: PastTurn;
  x: number;
  width: number;
  pieces: readonly Piece[];
}

export interface Tick {
  y: number;
  ms: number;
}

export interface Chart {
  bars: readonly Bar[];
  ticks: readonly Tick[];
  /** What is right of the axis' numbers. */
  left: number;
  bottom: number;
}

const LEFT = 40;
const TOP = 10;
const BELOW = 4;
const WIDEST = 28;
/** As many turns fit into a phone's width and still have a bar that can be seen. */
const NARROWEST = 7;

/** The turns, newest first, as a chart. */
export function chartOf(turns: readonly PastTurn[], width: number, height: number): Chart {
  const room = Math.max(NARROWEST, width - LEFT);
  const shown = turns.slice(0, Math.floor(room / NARROWEST)).reverse();
  const longest = Math.max(200, ...shown.map((turn) => turn.latency.totalMs));
  const step = stepFor(longest);
  const top = Math.ceil(longest / step) * step;
  const bottom = height - BELOW;
  const perMs = (bottom - TOP) / top;
  const pitch = Math.min(WIDEST, room / Math.max(1, shown.length));
  const bars = shown.map((turn, i): Bar => {
    let y = bottom;
    // Stages may overlap: together they are no taller than the turn took.
    const all = parts(turn.latency);
    const sum = all.reduce((ms, part) => ms + part.ms, 0);
    const fit = sum > turn.latency.totalMs && sum > 0 ? turn.latency.totalMs / sum : 1;
    const pieces = all.map(({ name, ms }): Piece => {
      const tall = ms * fit * perMs;
      y -= tall;
      return { name, y, height: tall };
    });
    return { turn, x: LEFT + i * pitch, width: Math.max(2, pitch * 0.78), pieces };
  });
  const count = Math.round(top / step);
  const ticks = Array.from({ length: count + 1 }, (_, i): Tick => ({ ms: i * step, y: bottom - i * step * perMs }));
  return { bars, ticks, left: LEFT, bottom };
}

/** The distance of the lines: a round number of ms, at most five lines. */
function stepFor(longest: number): number {
  const round = [100, 200, 250, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000];
  return round.find((step) => longest / step <= 5) ?? 120_000;
}
