// What was said, as pieces that grow and are replaced. Pure. Every stream of a segment brings the
// segment's whole text anew; the streams of one segment come in order, but are read side by side.

import type { Turn } from './latency.ts';

export interface Caption {
  /** Who and which segment. */
  key: string;
  speaker: 'you' | 'assistant' | 'other';
  /** The name of another person in the room. */
  name?: string;
  text: string;
  /** No more will come. */
  final: boolean;
  /** Written, not said. */
  typed: boolean;
  /** The number of the stream that brought the text; later streams have greater ones. */
  stream: number;
  /** How long the answer took to begin. */
  turn?: Turn;
}

export type CaptionUpdate = Omit<Caption, 'turn'>;

/** As many stay on the page; older ones go. */
export const KEPT = 200;
/** The longest text shown of one piece, in UTF-16 units: some ten minutes of speech. */
const LONGEST = 10_000;

/** The captions after `update`; the same array where it is stale or says nothing. */
export function captionsAfter(captions: readonly Caption[], update: CaptionUpdate): readonly Caption[] {
  const text = update.text.slice(0, LONGEST);
  const at = captions.findIndex((c) => c.key === update.key);
  const known = captions[at];
  if (known) {
    if (update.stream < known.stream || (known.final && !update.final)) return captions;
    const next = { ...known, ...update, text };
    return captions.with(at, next);
  }
  if (text.trim() === '') return captions;
  return [...captions, { ...update, text }].slice(-KEPT);
}

export function isYours(caption: Caption): boolean {
  return caption.speaker === 'you';
}

/** What stands over a caption. */
export function speakerName(caption: Caption): string {
  switch (caption.speaker) {
    case 'you':
      return caption.typed ? 'You wrote' : 'You';
    case 'assistant':
      return 'Assistant';
    case 'other':
      return caption.name || 'Somebody else';
  }
}
