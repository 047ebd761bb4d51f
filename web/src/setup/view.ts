// The first-run wizard: one step after the other, each saved as one goes on, so that nothing is lost when
// the page is closed in between. Whoever skips it gets what the server does without being told anything.

import { announce, button, get, make } from '../dom.ts';
import { ask } from '../api.ts';
import type { Events } from '../events.ts';
import type { Desk } from '../settings/desk.ts';
import { Field } from '../settings/field.ts';
import type { HearIt } from '../settings/hear.ts';
import { type Models, ModelsView } from '../settings/models-view.ts';
import { choiceLabel, voiceLabel, wakeWordLabel } from '../settings/names.ts';
import type { TryWake } from '../settings/try-wake.ts';
import { hearIt, trialBelow, tryWake } from '../settings/view.ts';
import type { Visited } from '../views.ts';
import { type Step, STEPS, summary, WORDS } from './steps.ts';

/** Says that the wizard was gone through, or skipped. */
const DONE = 'first_launch_completed';

export class SetupView implements Visited {
  private at = 0;
  private busy = false;
  private readonly fields = new Map<string, Field>();
  private readonly pages = new Map<string, HTMLElement>();
  private readonly hear: HearIt;
  private readonly wake: TryWake;
  private readonly body = get('setup-body', HTMLElement);
  private readonly title = get('setup-title', HTMLElement);
  private readonly back = get('setup-back', HTMLButtonElement);
  private readonly next = get('setup-next', HTMLButtonElement);
  private readonly skip = get('setup-skip', HTMLButtonElement);

  constructor(
    private readonly desk: Desk,
    private readonly models: Models,
    private readonly events: Events,
    microphone: () => string,
    /** Goes to the conversation. */
    private readonly leaveFor: () => void,
  ) {
    this.hear = hearIt(desk);
    this.wake = tryWake(desk, microphone);
    get('setup-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.goOn();
    });
    this.back.addEventListener('click', () => this.go(this.at - 1));
    this.skip.addEventListener('click', () => void this.finish());
    desk.onChange(() => this.show());
  }

  enter(): void {
    this.at = 0;
    this.events.look('setup');
    void this.desk.load();
    void this.desk.loadOffers();
    void this.models.load();
    this.show();
  }

  leave(): void {
    this.events.leave('setup');
    this.quiet();
  }

  private quiet(): void {
    this.hear.stop();
    this.wake.stop('');
  }

  private get step(): Step {
    return STEPS[this.at] ?? (STEPS[0] as Step);
  }

  private go(to: number): void {
    this.quiet();
    this.at = Math.min(Math.max(to, 0), STEPS.length - 1);
    this.show();
    this.title.focus();
    window.scrollTo(0, 0);
    announce(`Step ${this.at + 1} of ${STEPS.length}: ${this.step.title}`);
  }

  private async goOn(): Promise<void> {
    if (this.busy) return;
    if (this.step.id === 'done') return this.finish();
    this.busy = true;
    const result = await this.desk.save(this.step.keys);
    this.busy = false;
    if (result === 'saved') return this.go(this.at + 1);
    this.step.keys.map((key) => this.fields.get(key)).find((field) => field?.isWrong)?.focus();
  }

  /** Keeps that the wizard was seen, whether to its end or not; a change that was not saved stays in the settings. */
  private async finish(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    const { table } = this.desk;
    let kept = true;
    if (table && this.desk.shown(DONE) !== 'true') {
      this.desk.edit(DONE, 'true');
      kept = (await this.desk.save([DONE])) === 'saved';
    }
    this.busy = false;
    if (!kept) return;
    void ask('/api/prewarm', { method: 'POST' });
    this.leaveFor();
  }

  private show(): void {
    const { desk, step, at } = this;
    this.title.textContent = step.title;
    get('setup-lead', HTMLElement).textContent = step.lead;
    get('setup-count', HTMLElement).textContent = `Step ${at + 1} of ${STEPS.length}`;
    get('setup-steps', HTMLElement).replaceChildren(...STEPS.map((one, i) => stepElement(one, i, at)));
    this.back.hidden = at === 0;
    this.next.textContent = desk.saving ? 'Saving…' : step.id === 'done' ? 'Start talking' : 'Next';
    this.skip.hidden = step.id === 'done';
    const trouble = get('setup-trouble', HTMLElement);
    trouble.hidden = desk.trouble === undefined;
    trouble.replaceChildren(desk.trouble ?? '', ...(desk.table ? [] : [' ', button('Try again', () => void desk.load())]));
    if (!desk.table) return;
    const page = this.pages.get(step.id) ?? this.build(step);
    for (const field of this.fields.values()) field.show();
    this.wake.show();
    if (step.id === 'done') page.replaceChildren(this.summary());
    if (this.body.firstElementChild !== page) this.body.replaceChildren(page);
  }

  private build(step: Step): HTMLElement {
    const page = make('div', { id: `setup-${step.id}` });
    this.pages.set(step.id, page);
    for (const key of step.keys) {
      const setting = this.desk.table?.settings.get(key);
      if (!setting) continue;
      const field = new Field(this.desk, setting, 'setup', 'little', WORDS[key]);
      this.fields.set(key, field);
      page.append(field.element, ...this.beside(key));
    }
    if (step.id === 'model') {
      page.append(make('h3', {}, 'On this machine'), new ModelsView(this.models, 'needed').element);
    }
    if (step.id === 'wake-word') page.append(this.wake.element);
    return page;
  }

  private beside(key: string): readonly HTMLElement[] {
    const above = () => this.fields.get(key);
    switch (key) {
      case 'tts_voice_kokoro':
        return [this.hear.element];
      case 'ollama_host':
        return [trialBelow(this.desk, 'ollama', above)];
      case 'groq_api_key':
        return [trialBelow(this.desk, 'groq', above)];
      case 'openai_api_key':
        return [trialBelow(this.desk, 'openai-compatible', above)];
      case 'hass_token':
        return [trialBelow(this.desk, 'hass', above)];
      case 'n8n_token':
        return [trialBelow(this.desk, 'n8n', above)];
      default:
        return [];
    }
  }

  private summary(): HTMLElement {
    const shown = (key: string) => this.desk.shown(key);
    const lines = summary(shown, called).flatMap(({ label, value }) => [make('dt', {}, label), make('dd', {}, value)]);
    return make('dl', { class: 'summary' }, ...lines);
  }
}

function called(key: string, value: string): string {
  switch (key) {
    case 'tts_voice_kokoro':
      return voiceLabel(value);
    case 'wake_word_model':
      return value.split(',').map(wakeWordLabel).join('” or “');
    default:
      return choiceLabel(key, value).name;
  }
}

function stepElement(step: Step, i: number, at: number): HTMLElement {
  const now = i === at;
  const state = i < at ? 'past' : now ? 'now' : 'to come';
  return make('li', { 'data-state': state, ...(now ? { 'aria-current': 'step' } : {}) }, make('span', {}, step.name));
}
