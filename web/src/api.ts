// Asking the server: JSON there and back, and what it refuses in words for the person. Its older routes
// answer with FastAPI's `detail`, its own with problem JSON; both are read here.

import { logIn } from './login.ts';

export interface Answer {
  /** 0 where there was none. */
  status: number;
  body: unknown;
  /** The server's own words, where it refused in a way that has no fields. */
  problem: string | undefined;
  /** What is wrong with which key, where it refused values. */
  fields: ReadonlyMap<string, string>;
}

export interface Wish {
  method?: 'GET' | 'POST' | 'DELETE';
  body?: unknown;
  /** The longest wait, in ms. */
  patience?: number;
}

/** What is said where no answer came. */
export const NO_ANSWER = 'CAAL does not answer. Is "caal serve" still running, and is this device in the same network?';

/** The answer to one request; the person is asked for the key where the server wants it. */
export async function ask(path: string, { method = 'GET', body, patience = 15_000 }: Wish = {}): Promise<Answer> {
  const send = () =>
    fetch(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      cache: 'no-store',
      signal: AbortSignal.timeout(patience),
    });
  try {
    let answer = await send();
    if (answer.status === 401 && (await logIn())) answer = await send();
    const read: unknown = answer.status === 204 ? undefined : await answer.json().catch(() => undefined);
    return { status: answer.status, body: read, ...refusal(answer.status, read) };
  } catch {
    return { status: 0, body: undefined, problem: NO_ANSWER, fields: new Map() };
  }
}

export function isGood(answer: Answer): boolean {
  return answer.status >= 200 && answer.status < 300;
}

/** What `status` and `body` refuse, in words. */
export function refusal(status: number, body: unknown): Pick<Answer, 'problem' | 'fields'> {
  const fields = new Map<string, string>();
  if (status >= 200 && status < 300) return { problem: undefined, fields };
  if (!isRecord(body)) return { problem: `CAAL answered ${status}; its log says why.`, fields };
  const { detail, fields: named } = body;
  if (Array.isArray(detail)) {
    for (const one of detail as unknown[]) {
      if (!isRecord(one) || typeof one['msg'] !== 'string' || !Array.isArray(one['loc'])) continue;
      const key = (one['loc'] as unknown[]).findLast((step) => typeof step === 'string') as string | undefined;
      fields.set(key ?? '', sentence(one['msg']));
    }
  } else if (isRecord(named)) {
    for (const [key, why] of Object.entries(named)) if (typeof why === 'string') fields.set(key, sentence(why));
  }
  const said = typeof detail === 'string' && detail !== '' ? detail : `CAAL answered ${status}; its log says why.`;
  return { problem: fields.size > 0 ? undefined : sentence(said), fields };
}

/** The sentence beside a field: what it must be, without the name and the value that stand there anyway. */
export function sentence(message: string): string {
  const must = message.lastIndexOf(': it must ');
  const text = (must < 0 ? message : message.slice(must + 2)).trim();
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The texts in a list; none where it is no list. */
export function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? (value as unknown[]).filter((one) => typeof one === 'string') : [];
}
