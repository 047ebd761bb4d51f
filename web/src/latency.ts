// How long an answer took to begin, by stage: read from the assistant's `caal.turn` packets, and put
// into words and shares for the bar. Pure.

export interface Stage {
  name: string;
  ms: number;
}

export interface Turn {
  totalMs: number;
  stages: readonly Stage[];
}

const LABELS: Readonly<Record<string, string>> = {
  endpoint: 'end of turn',
  stt: 'understanding',
  llm: 'first word',
  clause: 'first clause',
  tts: 'voice',
  playout: 'sound',
};

/** More stages than this are no turn of ours. */
const MOST_STAGES = 12;
/** Longer than this is no turn of ours: ten minutes. */
const LONGEST_MS = 600_000;

/** A turn from a packet's JSON value; `undefined` where it is none. */
export function readTurn(value: unknown): Turn | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { total_ms: total, stages } = value as Record<string, unknown>;
  if (!Array.isArray(stages) || stages.length > MOST_STAGES) return undefined;
  const read: Stage[] = [];
  for (const stage of stages as unknown[]) {
    if (typeof stage !== 'object' || stage === null) return undefined;
    const { name, ms } = stage as Record<string, unknown>;
    if (typeof name !== 'string' || !isDuration(ms)) return undefined;
    read.push({ name: name.slice(0, 40), ms });
  }
  // A written message has no end of speech to count from: its stages are its time.
  if (total === null && read.length > 0) return { totalMs: read.reduce((sum, s) => sum + s.ms, 0), stages: read };
  return isDuration(total) ? { totalMs: total, stages: read } : undefined;
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= LONGEST_MS;
}

export function stageLabel(name: string): string {
  return LABELS[name] ?? name;
}

/** "1.24 s", or "80 ms" below a tenth of a second. */
export function duration(ms: number): string {
  return ms < 100 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** The whole turn in words, for those who do not see the bar. */
export function inWords(turn: Turn): string {
  const stages = turn.stages
    .filter((s) => s.ms > 0)
    .map((s) => `${stageLabel(s.name)} ${duration(s.ms)}`);
  return [`Answered after ${duration(turn.totalMs)}`, stages.join(', ')].filter(Boolean).join(': ');
}

/** What the bar is made of: the stages that took time, and the rest that no stage accounts for. */
export function parts(turn: Turn): readonly Stage[] {
  const known = turn.stages.filter((s) => s.ms > 0);
  const rest = turn.totalMs - known.reduce((sum, s) => sum + s.ms, 0);
  return rest >= 1 ? [...known, { name: 'other', ms: rest }] : known;
}
