// The settings as this page has them: the server's table, what was changed and not saved, and the lists
// that fields offer. The settings view and the wizard both work on the one desk there is.

import { announce } from '../dom.ts';
import { type Answer, ask, isGood, isRecord, NO_ANSWER, texts } from '../api.ts';
import {
  changedKeys,
  type Draft,
  edited,
  EMPTY,
  planOf,
  PROMPT_TEXT,
  rebased,
  refused,
  reset,
  restored,
  shownText,
} from './draft.ts';
import { readTable, type Table } from './table.ts';

export type Saving = 'saved' | 'refused' | 'failed';

export class Desk {
  table: Table | undefined;
  draft: Draft = EMPTY;
  /** Changed keys that somebody else has changed, too. */
  clashes: readonly string[] = [];
  /** Why nothing could be loaded or saved. */
  trouble: string | undefined;
  saving = false;
  /** What fields offer, by key. */
  readonly offers = new Map<string, readonly string[]>();
  private readonly listeners = new Set<() => void>();

  /** Calls `listener` after every change. */
  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  shown(key: string): string {
    return this.table ? shownText(this.table, this.draft, key) : '';
  }

  changes(): readonly string[] {
    return changedKeys(this.draft);
  }

  edit(key: string, raw: string): void {
    if (!this.table) return;
    this.draft = edited(this.table, this.draft, key, raw);
    this.tell();
  }

  reset(key: string): void {
    if (!this.table) return;
    this.draft = reset(this.table, this.draft, key);
    this.tell();
  }

  discard(keys: readonly string[] = this.changes()): void {
    this.draft = restored(this.draft, keys);
    this.clashes = this.clashes.filter((key) => !keys.includes(key));
    this.trouble = undefined;
    this.tell();
  }

  /** Has what was discarded back. */
  bringBack(draft: Draft): void {
    this.draft = draft;
    this.tell();
  }

  /** Loads the table; what was changed and not saved stays. */
  async load(): Promise<boolean> {
    const answer = await ask('/api/settings/table');
    const table = isGood(answer) ? readTable(answer.body) : undefined;
    if (table) this.take(table);
    this.trouble = table ? undefined : (answer.problem ?? 'This server and this page do not fit together. Reload the page.');
    this.tell();
    return table !== undefined;
  }

  private take(table: Table): void {
    if (this.table) {
      const { draft, clashes } = rebased(this.table, table, this.draft);
      this.draft = draft;
      this.clashes = [...new Set([...this.clashes, ...clashes])].filter((key) => draft.edits.has(key));
    }
    this.table = table;
  }

  /** Saves what was changed of `keys`. All values are judged together: one wrong value, and none is kept. */
  async save(keys: readonly string[] = this.changes()): Promise<Saving> {
    if (!this.table || this.saving) return 'failed';
    const sent = this.changes().filter((key) => keys.includes(key));
    if (sent.length === 0) return 'saved';
    const before = this.draft;
    const plan = planOf(this.table, this.draft, sent);
    this.saving = true;
    this.trouble = undefined;
    this.tell();
    let answer: Answer | undefined;
    const steps: (readonly [path: string, body: unknown])[] = [];
    if (Object.keys(plan.set).length > 0) steps.push(['/api/settings', { settings: plan.set }]);
    if (plan.prompt !== undefined) steps.push(['/api/prompt', { content: plan.prompt }]);
    if (plan.choose !== undefined) steps.push(['/api/settings', { settings: { prompt: plan.choose } }]);
    if (plan.unset.length > 0) steps.push(['/api/settings/unset', { keys: plan.unset }]);
    for (const [path, body] of steps) {
      answer = await ask(path, { method: 'POST', body });
      if (!isGood(answer)) break;
    }
    this.saving = false;
    if (answer && !isGood(answer)) return this.failed(answer, sent);
    // What was typed while it was being saved is a change still.
    const settled = sent.filter((key) => this.draft.edits.get(key) === before.edits.get(key));
    this.draft = restored(this.draft, settled);
    this.clashes = this.clashes.filter((key) => !settled.includes(key));
    await this.load();
    announce('Saved.');
    return 'saved';
  }

  private failed(answer: Answer, sent: readonly string[]): Saving {
    if (answer.fields.size === 0) {
      this.trouble = answer.status === 0 ? `Nothing was saved. ${NO_ANSWER}` : `Nothing was saved. ${answer.problem ?? ''}`;
      this.tell();
      return 'failed';
    }
    const problems = new Map([...answer.fields].map(([key, why]) => [key === 'content' ? PROMPT_TEXT : key, why]));
    this.draft = refused(this.draft, sent, problems);
    this.tell();
    return 'refused';
  }

  /** Loads what the fields offer; a list that cannot be had leaves its field to be typed into. */
  async loadOffers(): Promise<void> {
    const list = async (path: string, member: string, key: string) => {
      const { body } = await ask(path);
      this.offer(key, isRecord(body) ? texts(body[member]) : []);
    };
    await Promise.all([
      list('/api/voices?provider=kokoro', 'voices', 'tts_voice_kokoro'),
      list('/api/voices?provider=piper', 'voices', 'tts_voice_piper'),
      list('/api/wake-word/models', 'models', 'wake_word_model'),
      list('/api/models', 'models', 'ollama_model'),
    ]);
  }

  offer(key: string, options: readonly string[]): void {
    const before = this.offers.get(key) ?? [];
    // An Ollama that just went away does not empty the list of its models.
    if (options.length === 0 || options.join('\n') === before.join('\n')) return;
    this.offers.set(key, options);
    this.tell();
  }
}
