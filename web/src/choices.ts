// What the person chose, kept in the browser for the next visit. A browser that keeps nothing (private
// windows, blocked storage) is no error: the choices then last as long as the page.

import type { Mode } from './state.ts';

export interface Kept {
  mode: Mode;
  microphone: string;
  speaker: string;
}

const KEY = 'caal.choices';

/** The choices of the text in the storage; what is missing or wrong falls back to the beginning's. */
export function readChoices(text: string | null): Kept {
  let found: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    if (typeof value === 'object' && value !== null) found = value as Record<string, unknown>;
  } catch {
    // Somebody else's text under our name.
  }
  const id = (value: unknown) => (typeof value === 'string' ? value : '');
  return {
    mode: found['mode'] === 'hold' ? 'hold' : 'open',
    microphone: id(found['microphone']),
    speaker: id(found['speaker']),
  };
}

export function loadChoices(): Kept {
  try {
    return readChoices(localStorage.getItem(KEY));
  } catch {
    return readChoices(null);
  }
}

export function keepChoices(kept: Kept): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // See above.
  }
}
