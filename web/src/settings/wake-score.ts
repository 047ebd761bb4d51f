// What the meter of a wake word shows, from the scores that the server sends, one per 80 ms. Pure.

import { isRecord } from '../api.ts';

export interface Score {
  score: number;
  /** The gate opened here, by the threshold that is saved. */
  heard: boolean;
  threshold: number;
}

/** A message of the server; `undefined` where it is none. */
export function readScore(text: string): Score | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return undefined;
    const { score, heard, threshold } = value;
    if (typeof score !== 'number' || typeof threshold !== 'number') return undefined;
    return { score, heard: heard === true, threshold };
  } catch {
    return undefined;
  }
}

export interface Gauge {
  /** Now, 0 to 1. */
  score: number;
  /** The highest of late; it sinks slowly, because a word is over in half a second. */
  peak: number;
  /** How often it was heard. */
  times: number;
  /** The score is over the threshold and has not been clearly below it since. */
  over: boolean;
}

export const RESTING: Gauge = { score: 0, peak: 0, times: 0, over: false };

/** The peak loses this much with every score: gone after about five seconds. */
const SINKS = 0.016;

/**
 * The gauge after `one`. `threshold` is that of the form: where it is the saved one, the server's own
 * judgement counts; another is judged here, by the score alone.
 */
export function after(gauge: Gauge, one: Score, threshold: number): Gauge {
  const { score } = one;
  const peak = Math.max(score, gauge.peak - SINKS);
  const over = score >= threshold || (gauge.over && score >= threshold / 2);
  const saved = Math.abs(threshold - one.threshold) < 1e-6;
  const heard = saved ? one.heard : over && !gauge.over;
  return { score, peak, over, times: gauge.times + (heard ? 1 : 0) };
}

/** 16-bit little-endian samples of sound in -1..1. */
export function toPcm(samples: Float32Array): ArrayBuffer {
  const bytes = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, i) => {
    const clipped = Math.max(-1, Math.min(1, sample));
    bytes.setInt16(i * 2, Math.round(clipped * 32_767), true);
  });
  return bytes.buffer;
}
